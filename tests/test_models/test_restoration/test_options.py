import math
from dataclasses import fields, replace

import numpy as np
import pytest

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.models.restoration.choose import check_fit, choose_options
from star.models.restoration.limits import Limits
from star.models.restoration.options import (
    RestoreOptions,
    fit_overlap,
)

WORDS = (
    *('mode', 'sampler', 'blend', 'color_fix', 'upsample'),
    *('noise', 'compat'),
)
INTEGERS = (
    *('steps', 'guidance_exponent', 'seed', 'memory'),
    *('window', 'overlap', 'tile', 'tile_overlap'),
)
NUMBERS = (
    *('scale', 'guidance_scale', 'guidance_rescale', 'strength', 'cache'),
    'fidelity',
)
TEXTS = ('prompt', 'negative_prompt', 'prompt_suffix')
WRONG = [
    *((name, value) for name in WORDS for value in ('fasst', '', None, 3)),
    *((n, v) for n in INTEGERS for v in (-1, 1.5, math.nan, '4', None, True)),
    *((n, v) for n in NUMBERS for v in (-1, math.nan, math.inf, '4', None)),
    *((name, value) for name in TEXTS for value in (3, None, b'a', ['a'])),
    ('scale', 0),
    ('scale', 16.5),
    ('steps', 0),
    ('steps', 1001),
    ('guidance_rescale', 1.01),
    ('strength', 0),
    ('strength', 1.01),
    ('seed', 2**32),
    ('window', 0),
    ('overlap', 32),
    *(('tile', v) for v in [(), (480,), (480, 720, 3), (480, 0), (480, '4')]),
    *(('tile', v) for v in [(256, -1), (256, True), [256, 1.5]]),
    ('memory', 2**41),
    ('cache', 1.01),
    ('fidelity', 1.01),
    *(('guidance_interval', v) for v in [0.5, (), (0.5,), '0-1', (0, 1.5)]),
    *(('guidance_interval', v) for v in [(0.5, 0.5), [1, 0], (0, '1')]),
]
RIGHT = [
    {},
    {'scale': 0.5},
    {'scale': np.float32(2.5)},
    {'scale': 16},
    {'seed': 2**32 - 1},
    {'window': np.int64(1), 'overlap': 0},
    {'strength': 1e-6, 'guidance_scale': 0, 'guidance_rescale': 0},
    {'tile': 0, 'tile_overlap': 128},
    {'tile': 129, 'tile_overlap': 128},
    {'tile': (480, 720), 'tile_overlap': 479},
    {'tile': [np.int64(480), 720]},
    {'guidance_exponent': 5},
    {'mode': 'normal', 'steps': 1000, 'sampler': 'heun', 'blend': 'cut'},
    {'prompt': '', 'negative_prompt': 'x', 'compat': 'official'},
    {'noise': 'shared'},
    {'cache': 1},
    {'fidelity': 1},
    {'guidance_interval': (0.2, 0.7)},
    {'guidance_interval': [0, 1]},
]


def test_every_field_is_tried():
    tried = {name for name, _ in WRONG}
    assert tried == {field.name for field in fields(RestoreOptions)}


@pytest.mark.parametrize('name, value', WRONG)
def test_wrong_values_are_named(name, value):
    with pytest.raises(ValueError, match=f'^`{name}` must ') as error:
        RestoreOptions(**{name: value})
    told = str(error.value)
    sides = [*value, value] if isinstance(value, tuple | list) else [value]
    assert any(told.endswith((f'got {v}', f'got {v!r}')) for v in sides)


@pytest.mark.parametrize('tile', [128, (480, 128), (128, 720)])
def test_overlap_is_less_than_the_tile(tile):
    with pytest.raises(ValueError, match=r'`tile_overlap` .* `tile` \(128\)'):
        RestoreOptions(tile=tile, tile_overlap=128)


class Ratio:
    def __init__(self, temporal_downsample):
        self.temporal_downsample = temporal_downsample


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'window': 24}, '`window` must be a multiple of 4 and 1 more .* 24'),
        ({'overlap': 8}, '`overlap` must be 0 or a multiple of 4 and 1 more'),
        ({'blend': 'cut'}, "`blend` must be 'smooth' .* 4 frames, got 'cut'"),
        ({'compat': 'official'}, "`compat` must be 'none' .* got 'official'"),
    ],
)
def test_latents_of_several_frames(fields, message):
    options = RestoreOptions(**{'window': 25, 'overlap': 9, **fields})
    check_fit(options, Ratio(1), I2VGenSchedule(), Limits())
    with pytest.raises(ValueError, match=message):
        check_fit(options, Ratio(4), I2VGenSchedule(), Limits())


@pytest.mark.parametrize('window, overlap', [(25, 9), (25, 0), (1, 0), (5, 1)])
def test_windows_of_whole_latents_pass(window, overlap):
    options = RestoreOptions(window=window, overlap=overlap)
    check_fit(options, Ratio(4), I2VGenSchedule(), Limits())


@pytest.mark.parametrize(
    'overlap, size, ratio, wanted',
    [
        *[(8, 32, 1, 8), (8, 5, 1, 2), (8, 1, 1, 0)],
        *[(9, 25, 4, 9), (9, 13, 4, 5), (9, 9, 4, 1), (9, 5, 4, 1)],
        *[(9, 1, 4, 0), (0, 25, 4, 0), (8, 25, 4, 5)],
    ],
)
def test_overlap_that_fits(overlap, size, ratio, wanted):
    assert fit_overlap(overlap, size, ratio) == wanted


def test_a_mode_that_the_schedule_lacks():
    with pytest.raises(ValueError, match="`mode` must be 'normal'"):
        check_fit(
            RestoreOptions(mode='fast'),
            Ratio(1),
            CogVideoXSchedule(),
            Limits(),
        )


@pytest.mark.parametrize('values', RIGHT, ids=str)
def test_right_values_pass(values):
    options = RestoreOptions(**values)
    assert {name: getattr(options, name) for name in values} == values


class Chooser:
    """A restorer with windows of an odd number of frames."""

    restore_options = RestoreOptions(scale=2, window=9, overlap=3, seed=4)
    options_used = frozenset(
        ['scale', 'mode', 'steps', 'window', 'overlap', 'tile', 'tile_overlap']
    )

    def check_options(self, options):
        if options.window % 2 == 0:
            raise ValueError(f'`window` must be odd, got {options.window}')

    def overlap_for(self, window):
        return fit_overlap(self.restore_options.overlap, window, 1)


@pytest.mark.parametrize(
    'given, changed',
    [
        ({}, {}),
        ({'scale': 3}, {}),
        ({'steps': 7}, {'mode': 'normal'}),
        ({'steps': 7, 'mode': 'normal'}, {}),
        ({'window': 5}, {'overlap': 2}),
        ({'window': 21}, {'overlap': 3}),
        ({'window': 21, 'overlap': 10}, {}),
        ({'tile': 64}, {'tile_overlap': 32}),
        ({'tile': (300, 40)}, {'tile_overlap': 20}),
        ({'tile': 512}, {'tile_overlap': 128}),
        ({'tile': 512, 'tile_overlap': 5}, {}),
        ({'tile': 0}, {}),
    ],
)
def test_given_options_replace_the_restorers_own(given, changed):
    expected = replace(Chooser.restore_options, **given, **changed)
    assert choose_options(Chooser(), given) == expected


@pytest.mark.parametrize(
    'given, message',
    [
        ({'seed': 1}, '`seed` means nothing to Chooser, which uses mode, '),
        ({'chunks': 1}, '`chunks` means nothing'),
        ({'steps': 7, 'mode': 'fast'}, "`steps` needs the mode 'normal'"),
        ({'window': 'four'}, "`window` must be a whole number, got 'four'"),
        ({'tile': (1, 2, 3)}, '`tile` must be a side, or a height and a'),
        ({'window': 5, 'overlap': 5}, '`overlap` must be less than `window`'),
        ({'window': 6}, '`window` must be odd, got 6'),
    ],
)
def test_wrong_choices_are_refused(given, message):
    with pytest.raises(ValueError, match=message):
        choose_options(Chooser(), given)
