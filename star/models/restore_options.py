"""Checks the options of a restoration before any work is done."""

import math

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
# name: (least, most, whether the least itself is allowed)
_RANGES = {
    'scale': (0, 16, False),
    'steps': (1, 1000, True),
    'guidance_scale': (0, 100, True),
    'guidance_rescale': (0, 1, True),
    'strength': (0, 1, False),
    'seed': (0, 2**62, True),
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
    for name, (least, most, inclusive) in _RANGES.items():
        _check_range(name, getattr(options, name), least, most, inclusive)
    if options.overlap >= options.chunk:
        raise ValueError(
            f'`overlap` must be less than `chunk` ({options.chunk}), got '
            f'{options.overlap}'
        )
    if options.tile and options.tile_overlap >= options.tile:
        raise ValueError(
            f'`tile_overlap` must be less than `tile` ({options.tile}), got '
            f'{options.tile_overlap}'
        )


def _check_range(
    name: str, value: float, least: float, most: float, inclusive: bool
) -> None:
    good = least <= value <= most if inclusive else least < value <= most
    if not good:  # also for NaN
        sign = '>=' if inclusive else '>'
        limit = '' if most == math.inf else f' and <= {most}'
        raise ValueError(f'`{name}` must be {sign} {least}{limit}, got {value}')
