import math
import re
from dataclasses import fields

import numpy as np
import pytest

from star.models.restore_options import check_options
from star.structures import RestoreOptions

WORDS = ('mode', 'sampler', 'blend', 'color_fix', 'upsample', 'compat')
INTEGERS = ('steps', 'seed', 'chunk', 'overlap', 'tile', 'tile_overlap')
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
    assert re.search(rf'got {re.escape(str(value))}|got {value!r}', str(error))


def test_overlap_is_less_than_the_tile():
    options = RestoreOptions(tile=128, tile_overlap=128)
    with pytest.raises(ValueError, match=r'`tile_overlap` .* `tile` \(128\)'):
        check_options(options)


@pytest.mark.parametrize('values', RIGHT, ids=str)
def test_right_values_pass(values):
    check_options(RestoreOptions(**values))
