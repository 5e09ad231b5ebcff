"""The options of a restoration, and the rule that each obeys."""

import math
import numbers
from collections.abc import Collection, Mapping, Sequence
from dataclasses import asdict, dataclass, fields
from typing import Any

from star.diffusion.samplers import SAMPLERS
from star.models.restoration.noise import NOISES
from star.utils.checks import check_choice
from star.video.color_fix import COLOR_FIXES
from star.video.tiling import TileSize


@dataclass(frozen=True)
class RestoreOptions:
    """Options of a restoration, checked; a config sets a model's own.

    Args:
        scale: output size over input size, a positive number.
        mode: timesteps of the sampler, 'fast' (the official 14 evaluations,
            `steps` unused) or 'normal' (`steps` evaluations).
        steps: sampler evaluations in mode 'normal', >= 1.
        sampler: 'dpmpp_2m_sde', 'ddim', 'heun' or 'cogvideox_dpmpp_2m'.
        guidance_scale: classifier-free guidance; 1 switches it off, or 0 with
            a `guidance_exponent`.
        guidance_exponent: exponent of guidance that changes from step to
            step up to 1 + `guidance_scale`, 5 for CogVideoX; 0 for the same
            guidance at every step.
        guidance_rescale: share of the standard-deviation rescale, [0, 1].
        guidance_interval: shares of the steps between which there is
            guidance, 0 <= first < last <= 1; outside only the prompt counts,
            for half the cost.
        cache: largest relative change of the first layers' features up to
            which a step takes the deep features of an earlier one, [0, 1];
            0 to compute all. See `StepMemory`. A sampler that adds noise at
            each step, 'dpmpp_2m_sde', changes them by half or more.
        strength: share of the first timestep, (0, 1]; 1 starts at the
            model's official one, 899 for I2VGen and 999, pure noise, for
            CogVideoX; less stays closer to the input.
        seed: of all random numbers, 0 to 2**32 - 1.
        prompt: description of the video.
        negative_prompt: description of things to avoid.
        prompt_suffix: appended to `prompt`.
        window: frames per window of the denoiser; k r + 1 where a latent
            stands for r > 1 frames.
        overlap: frames that neighbouring windows share, < window; k r + 1 or
            0 where a latent stands for r > 1 frames.
        blend: 'smooth' or 'cut' (official) changes between windows.
        tile: side of a spatial tile in output pixels, or its height and
            width; 0 for no tiles.
        tile_overlap: pixels shared by neighbouring tiles, < tile.
        color_fix: 'adain', 'wavelet', 'detail', 'lab', 'hsv', 'adaptive' or
            'none'.
        fidelity: how much of what the input shows is taken back, [0, 1]; 0
            for the method's own result. See `keep_input`.
        upsample: 'bicubic' or 'bilinear' enlargement of the input.
        noise: 'per_frame'; 'shared' for the same noise in every frame, of
            methods that restore frames by themselves; 'none', of models that
            begin near the input.
        compat: 'none', or 'official' for the official padding and windows.
        memory: MiB for activations, of methods whose result does not depend
            on it; 0 for a usual number.

    Raises:
        ValueError: a value is out of range, or two do not fit each other.
    """

    scale: float = 4
    mode: str = 'fast'
    steps: int = 15
    sampler: str = 'dpmpp_2m_sde'
    guidance_scale: float = 7.5
    guidance_exponent: int = 0
    guidance_rescale: float = 0.2
    guidance_interval: tuple[float, float] = (0, 1)
    cache: float = 0
    strength: float = 1.0
    seed: int = 0
    prompt: str = ''
    negative_prompt: str = ''
    prompt_suffix: str = ''
    window: int = 32
    overlap: int = 8
    blend: str = 'smooth'
    tile: TileSize = 0
    tile_overlap: int = 128
    color_fix: str = 'adain'
    fidelity: float = 0
    upsample: str = 'bicubic'
    noise: str = 'per_frame'
    compat: str = 'none'
    memory: int = 0

    def __post_init__(self) -> None:
        for field in fields(self):
            check_option(field.name, getattr(self, field.name))
        _check_less('overlap', self.overlap, 'window', self.window)
        for side in _sides(self.tile):
            if side:
                _check_less('tile_overlap', self.tile_overlap, 'tile', side)


# how a clip is cut, which some methods' results do not depend on
CUTS = frozenset({'window', 'overlap', 'tile', 'tile_overlap', 'memory'})
_CHOICES = {
    'mode': ('fast', 'normal'),
    'sampler': tuple(SAMPLERS),
    'blend': ('smooth', 'cut'),
    'color_fix': tuple(COLOR_FIXES),
    'upsample': ('bicubic', 'bilinear'),
    'noise': NOISES,
    'compat': ('none', 'official'),
}
_INTEGERS = (
    'steps',
    'memory',
    'guidance_exponent',
    'seed',
    'window',
    'overlap',
    'tile',
    'tile_overlap',
)
_TEXTS = ('prompt', 'negative_prompt', 'prompt_suffix')
# name: (least, most, is the least allowed)
_RANGES = {
    'scale': (0, 16, False),
    'steps': (1, 1000, True),
    'memory': (0, 2**40, True),
    'guidance_scale': (0, 100, True),
    'guidance_exponent': (0, 100, True),
    'guidance_rescale': (0, 1, True),
    'cache': (0, 1, True),
    'strength': (0, 1, False),
    'fidelity': (0, 1, True),
    'seed': (0, 2**32 - 1, True),
    'window': (1, math.inf, True),
    'overlap': (0, math.inf, True),
    'tile_overlap': (0, math.inf, True),
}


def build_options(changes: Mapping) -> RestoreOptions:
    """Make the options of a config.

    Args:
        changes: the options that differ from the defaults.

    Raises:
        ValueError: a field is unknown or has a wrong value.
    """
    try:
        return RestoreOptions(**changes)
    except (TypeError, ValueError) as error:
        raise ValueError(f'`restore_options`: {error}') from error


def decisive(
    options: RestoreOptions, names: Collection[str]
) -> dict[str, Any]:
    """Return the options that decide a result, as builtin types.

    A `fidelity` of 0 is left out, so that results from before it was known
    are known again.

    Args:
        options: of the restoration.
        names: of those that matter to the method.
    """
    found = {k: v for k, v in asdict(options).items() if k in names}
    if not options.fidelity:
        found.pop('fidelity', None)
    return found


def fit_overlap(overlap: int, window: int, ratio: int) -> int:
    """Choose an overlap that fits windows of a given size.

    Args:
        overlap: the best one, in frames.
        window: frames of a window.
        ratio: frames of a latent.

    Returns:
        The most, up to `overlap` and half of `window`, that a model with such
        latents can have; 0 if there is none.
    """
    most = min(overlap, window // 2)
    return most if ratio == 1 else max(0, (most - 1) // ratio * ratio + 1)


def check_option(name: str, value: object) -> None:
    """Check the value of one option by itself.

    Args:
        name: of the option.
        value: to be checked.

    Raises:
        ValueError: the value is out of range.
    """
    if name in _CHOICES:
        check_choice(name, value, _CHOICES[name])
    if name in _TEXTS and not isinstance(value, str):
        raise ValueError(f'`{name}` must be a text, got {value!r}')
    if name in _RANGES:
        _check_range(name, value, *_RANGES[name])
    if name == 'tile':
        _check_tile(value)
    if name == 'guidance_interval':
        _check_interval(name, value)


def _check_tile(tile: Any) -> None:
    sides = _sides(tile)
    if sides is tile and len(sides) != 2:
        raise ValueError(
            f'`tile` must be a side, or a height and a width, got {tile}'
        )
    for side in sides:
        _check_range('tile', side, int(sides is tile), math.inf, True)


def _check_interval(name: str, value: Any) -> None:
    if not isinstance(value, tuple | list) or len(value) != 2:
        raise ValueError(f'`{name}` must be two numbers, got {value!r}')
    for share in value:
        _check_range(name, share, 0, 1, True)
    if value[0] >= value[1]:
        raise ValueError(f'`{name}` must increase, got {value}')


def _sides(tile: Any) -> Sequence[int]:
    return tile if isinstance(tile, tuple | list) else (tile,)


def _check_range(
    name: str, value: Any, least: float, most: float, inclusive: bool
) -> None:
    integer = name in _INTEGERS
    kind: Any = numbers.Integral if integer else numbers.Real
    if not isinstance(value, kind) or isinstance(value, bool):
        word = 'a whole number' if integer else 'a number'
        raise ValueError(f'`{name}` must be {word}, got {value!r}')
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
