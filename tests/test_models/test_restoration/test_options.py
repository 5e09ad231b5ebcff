import math
from dataclasses import fields

import numpy as np
import pytest

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.models.restoration.options import (
    RestoreOptions,
    check_fit,
    check_options,
    fit_overlap,
)

WORDS = ('mode', 'sampler', 'blend', 'color_fix', 'upsample', 'compat')
INTEGERS = (
    *('steps', 'guidance_exponent', 'seed'),
    *('chunk', 'overlap', 'tile', 'tile_overlap'),
)
NUMBERS = ('scale', 'guidance_scale', 'guidance_rescale', 'strength')
TEXTS = ('prompt', 'negative_prompt')
WRONG = [
    *((name, value) for name in WORDS for value in ('fasst', '', None, 3)),
    *((n, v) for n in INTEGERS for v in (-1, 1.5, math.nan, '4', None, True)),
    *((n, v) for n in NUMBERS for v in (-1, math.nan, math.inf, '4', None)),
    *((name, value) for name in TEXTS for value in (3, b'a', ['a'])),
    ('scale', 0),
    ('scale', 16.5),
    ('steps', 0),
    ('steps', 1001),
    ('guidance_rescale', 1.01),
    ('strength', 0),
    ('strength', 1.01),
    ('seed', 2**32),
    ('chunk', 0),
    ('overlap', 32),
    *(('tile', v) for v in [(), (480,), (480, 720, 3), (480, 0), (480, '4')]),
    *(('tile', v) for v in [(256, -1), (256, True), [256, 1.5]]),
]
RIGHT = [
    {},
    {'scale': 0.5},
    {'scale': np.float32(2.5)},
    {'scale': 16},
    {'seed': 2**32 - 1},
    {'chunk': np.int64(1), 'overlap': 0},
    {'strength': 1e-6, 'guidance_scale': 0, 'guidance_rescale': 0},
    {'tile': 0, 'tile_overlap': 128},
    {'tile': 129, 'tile_overlap': 128},
    {'tile': (480, 720), 'tile_overlap': 479},
    {'tile': [np.int64(480), 720]},
    {'guidance_exponent': 5},
    {'mode': 'normal', 'steps': 1000, 'sampler': 'heun', 'blend': 'cut'},
    {'prompt': '', 'negative_prompt': 'x', 'compat': 'official'},
]


def test_every_field_is_tried():
    tried = {name for name, _ in WRONG}
    assert tried == {field.name for field in fields(RestoreOptions)}


@pytest.mark.parametrize('name, value', WRONG)
def test_wrong_values_are_named(name, value):
    options = RestoreOptions(**{name: value})
    with pytest.raises(ValueError, match=f'^`{name}` must ') as error:
        check_options(options)
    told = str(error.value)
    sides = [*value, value] if isinstance(value, tuple | list) else [value]
    assert any(told.endswith((f'got {v}', f'got {v!r}')) for v in sides)


@pytest.mark.parametrize('tile', [128, (480, 128), (128, 720)])
def test_overlap_is_less_than_the_tile(tile):
    options = RestoreOptions(tile=tile, tile_overlap=128)
    with pytest.raises(ValueError, match=r'`tile_overlap` .* `tile` \(128\)'):
        check_options(options)


class Ratio:
    def __init__(self, temporal_downsample):
        self.temporal_downsample = temporal_downsample


@pytest.mark.parametrize(
    'fields, message',
    [
        ({'chunk': 24}, '`chunk` must be a multiple of 4 and 1 more .* 24'),
        ({'overlap': 8}, '`overlap` must be 0 or a multiple of 4 and 1 more'),
        ({'blend': 'cut'}, "`blend` must be 'smooth' .* 4 frames, got 'cut'"),
        ({'compat': 'official'}, "`compat` must be 'none' .* got 'official'"),
    ],
)
def test_latents_of_several_frames(fields, message):
    options = RestoreOptions(**{'chunk': 25, 'overlap': 9, **fields})
    check_options(options)
    check_fit(options, Ratio(1), I2VGenSchedule())
    with pytest.raises(ValueError, match=message):
        check_fit(options, Ratio(4), I2VGenSchedule())


@pytest.mark.parametrize('chunk, overlap', [(25, 9), (25, 0), (1, 0), (5, 1)])
def test_windows_of_whole_latents_pass(chunk, overlap):
    options = RestoreOptions(chunk=chunk, overlap=overlap)
    check_fit(options, Ratio(4), I2VGenSchedule())


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
        check_fit(RestoreOptions(mode='fast'), Ratio(1), CogVideoXSchedule())


@pytest.mark.parametrize('values', RIGHT, ids=str)
def test_right_values_pass(values):
    check_options(RestoreOptions(**values))
