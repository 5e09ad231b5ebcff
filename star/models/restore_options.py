"""Checks the options of a restoration before any work is done."""

import math
import numbers

from star.diffusion.samplers import SAMPLERS
from star.structures import RestoreOptions
from star.video.color_fix import COLOR_FIXES

_CHOICES = {
    'mode': ('fast', 'normal'),
    'sampler': tuple(SAMPLERS),
    'blend': ('smooth', 'cut'),
    'color_fix': tuple(COLOR_FIXES),
    'upsample': ('bicubic', 'bilinear'),
    'compat': ('none', 'official'),
}
_INTEGERS = ('steps', 'seed', 'chunk', 'overlap', 'tile', 'tile_overlap')
_TEXTS = ('prompt', 'negative_prompt')
# name: (least, most, whether the least itself is allowed)
_RANGES = {
    'scale': (0, 16, False),
    'steps': (1, 1000, True),
    'guidance_scale': (0, 100, True),
    'guidance_rescale': (0, 1, True),
    'strength': (0, 1, False),
    'seed': (0, 2**32 - 1, True),
    'chunk': (1, math.inf, True),
    'overlap': (0, math.inf, True),
    'tile': (0, math.inf, True),
    'tile_overlap': (0, math.inf, True),
}


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
    _check_less(options, 'overlap', 'chunk')
    if options.tile:
        _check_less(options, 'tile_overlap', 'tile')


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


def _check_less(options: RestoreOptions, name: str, other: str) -> None:
    value, bound = getattr(options, name), getattr(options, other)
    if value >= bound:
        raise ValueError(
            f'`{name}` must be less than `{other}` ({bound}), got {value}'
        )
