"""Checks the options of a restoration before any work is done."""

import math
import numbers
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any

from star.diffusion.samplers import SAMPLERS
from star.models.restoration.limits import Limits, check_start
from star.video.color_fix import COLOR_FIXES


@dataclass(frozen=True)
class RestoreOptions:
    """How a low-quality clip is restored; a model's config sets its defaults.

    Args:
        scale: output size over input size, a positive number.
        mode: timesteps of the sampler, 'fast' (the official 14 evaluations,
            `steps` unused) or 'normal' (`steps` evaluations).
        steps: sampler evaluations in mode 'normal', >= 1.
        sampler: 'dpmpp_2m_sde', 'ddim', 'heun' or 'cogvideox_dpmpp_2m'.
        guidance_scale: classifier-free guidance; 1 switches it off, 0 where
            it changes from step to step.
        guidance_exponent: makes guidance change from step to step, up to 1 +
            `guidance_scale`, as CogVideoX has it with 5; 0 for the same
            guidance at every step.
        guidance_rescale: share of the standard-deviation rescale, [0, 1].
        strength: how much noise the low-quality latent gets, (0, 1]; 1 starts
            at the model's official timestep, 899 for I2VGen and 999, pure
            noise, for CogVideoX; less stays closer to the input.
        seed: of all random draws, 0 to 2**32 - 1.
        prompt: what the video shows; None takes the model's default.
        negative_prompt: what to avoid; None takes the model's default.
        chunk: frames per window of the denoiser; k r + 1 where a latent
            stands for r > 1 frames.
        overlap: frames shared by neighbouring windows, < chunk; likewise, or
            0.
        blend: how windows are stitched, 'smooth' or 'cut' (official).
        tile: side of a spatial tile in output pixels, or its height and
            width; 0 for no tiles.
        tile_overlap: pixels shared by neighbouring tiles, < tile.
        color_fix: 'adain', 'wavelet', 'detail' or 'none'.
        upsample: 'bicubic' or 'bilinear' enlargement of the input.
        compat: 'none', or 'official' for the official padding and windows.
    """

    scale: float = 4
    mode: str = 'fast'
    steps: int = 15
    sampler: str = 'dpmpp_2m_sde'
    guidance_scale: float = 7.5
    guidance_exponent: int = 0
    guidance_rescale: float = 0.2
    strength: float = 1.0
    seed: int = 0
    prompt: str | None = None
    negative_prompt: str | None = None
    chunk: int = 32
    overlap: int = 8
    blend: str = 'smooth'
    tile: int | tuple[int, int] = 0
    tile_overlap: int = 128
    color_fix: str = 'adain'
    upsample: str = 'bicubic'
    compat: str = 'none'


_CHOICES = {
    'mode': ('fast', 'normal'),
    'sampler': tuple(SAMPLERS),
    'blend': ('smooth', 'cut'),
    'color_fix': tuple(COLOR_FIXES),
    'upsample': ('bicubic', 'bilinear'),
    'compat': ('none', 'official'),
}
_INTEGERS = (
    'steps',
    'guidance_exponent',
    'seed',
    'chunk',
    'overlap',
    'tile',
    'tile_overlap',
)
_TEXTS = ('prompt', 'negative_prompt')
# name: (least, most, whether the least itself is allowed)
_RANGES = {
    'scale': (0, 16, False),
    'steps': (1, 1000, True),
    'guidance_scale': (0, 100, True),
    'guidance_exponent': (0, 100, True),
    'guidance_rescale': (0, 1, True),
    'strength': (0, 1, False),
    'seed': (0, 2**32 - 1, True),
    'chunk': (1, math.inf, True),
    'overlap': (0, math.inf, True),
    'tile_overlap': (0, math.inf, True),
}


def build_options(fields: Mapping) -> RestoreOptions:
    """Make options of a config.

    Args:
        fields: those that differ from the defaults.

    Raises:
        ValueError: a field is unknown or has a wrong value.
    """
    try:
        options = replace(RestoreOptions(), **fields)
        check_options(options)
    except (TypeError, ValueError) as error:
        raise ValueError(f'`restore_options`: {error}') from error
    return options


def fit_overlap(overlap: int, size: int, ratio: int) -> int:
    """Choose an overlap that fits windows of a size that was asked for.

    Args:
        overlap: what would be best, in frames.
        size: frames of a window.
        ratio: frames of a latent.

    Returns:
        The most, up to `overlap` and half of `size`, that a model with such
        latents can have; 0 if there is none.
    """
    most = min(overlap, size // 2)
    return most if ratio == 1 else max(0, (most - 1) // ratio * ratio + 1)


def check_options(options: RestoreOptions) -> None:
    """Refuse options that no restoration can have.

    Raises:
        ValueError: naming the option, the rule and the value.
    """
    for name, choices in _CHOICES.items():
        value = getattr(options, name)
        if value not in choices:
            raise ValueError(
                f'`{name}` must be one of {", ".join(choices)}, got {value!r}'
            )
    for name in _TEXTS:
        value = getattr(options, name)
        if not isinstance(value, str | None):
            raise ValueError(f'`{name}` must be a text, got {value!r}')
    for name, (least, most, inclusive) in _RANGES.items():
        _check_type(name, getattr(options, name))
        _check_range(name, getattr(options, name), least, most, inclusive)
    _check_less('overlap', options.overlap, 'chunk', options.chunk)
    _check_tile(options)


def check_fit(
    options: RestoreOptions,
    autoencoder: Any,
    schedule: Any,
    limits: Limits | None = None,
) -> None:
    """Refuse options that this model cannot restore with.

    Args:
        options: that `check_options` let pass.
        autoencoder: of the model.
        schedule: of the model.
        limits: of the model's backbone; None for none.

    Raises:
        ValueError: naming the option, the rule and the value.
    """
    first, *_ = schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    check_start(limits or Limits(), first, schedule.start_timestep)
    ratio = autoencoder.temporal_downsample
    if ratio == 1:
        return
    for name in ('chunk', 'overlap'):
        value = getattr(options, name)
        zero = name == 'overlap' and value == 0
        if value % ratio != 1 and not zero:
            raise ValueError(
                f'`{name}` must be {"0 or " * (name == "overlap")}a multiple '
                f'of {ratio} and 1 more for this model, got {value}'
            )
    for name, only in (('blend', 'smooth'), ('compat', 'none')):
        value = getattr(options, name)
        if value != only:
            raise ValueError(
                f'`{name}` must be {only!r} for a model whose latents stand '
                f'for {ratio} frames, got {value!r}'
            )


def _check_tile(options: RestoreOptions) -> None:
    tile = options.tile
    sides = tile if isinstance(tile, tuple | list) else (tile,)
    least = 1 if sides is tile else 0
    if sides is tile and len(sides) != 2:
        raise ValueError(
            f'`tile` must be a side, or a height and a width, got {tile}'
        )
    for side in sides:
        _check_type('tile', side)
        _check_range('tile', side, least, math.inf, True)
        if side:
            _check_less('tile_overlap', options.tile_overlap, 'tile', side)


def _check_type(name: str, value: object) -> None:
    integer = name in _INTEGERS
    kind = numbers.Integral if integer else numbers.Real
    if not isinstance(value, kind) or isinstance(value, bool):
        word = 'a whole number' if integer else 'a number'
        raise ValueError(f'`{name}` must be {word}, got {value!r}')


def _check_range(
    name: str, value: float, least: float, most: float, inclusive: bool
) -> None:
    good = least <= value <= most if inclusive else least < value <= most
    if not good:  # also for NaN
        sign = '>=' if inclusive else '>'
        limit = '' if most == math.inf else f' and <= {most}'
        raise ValueError(
            f'`{name}` must be {sign} {least}{limit}, got {value}'
        )


def _check_less(name: str, value: int, other: str, bound: int) -> None:
    if value >= bound:
        raise ValueError(
            f'`{name}` must be less than `{other}` ({bound}), got {value}'
        )
