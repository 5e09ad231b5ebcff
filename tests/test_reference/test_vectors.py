"""The vectors in `tests/data`: the same numbers as the whole ones."""

import re
from pathlib import Path

import numpy as np
import pytest

from tests.paths import VECTORS
from tests.test_reference.vectors import DATA

FILES = sorted(path for path in DATA.rglob('*.*') if path.parent != DATA)
ARRAYS = [path for path in FILES if path.suffix == '.npz']
CROP = np.s_[:2, :, 64:192, 96:256]  # of the frames of `ewarp`


def name_of(path: Path) -> str:
    return path.relative_to(DATA).as_posix()


@pytest.mark.parametrize('path', ARRAYS, ids=name_of)
def test_numbers_are_the_whole_vectors(path: Path):
    if VECTORS is None:
        pytest.skip('nothing to compare with (set STAR_VECTORS)')
    whole = re.sub(r'_(step\d+|crop)$', '', path.stem)
    expected = np.load(VECTORS / path.parent.name / f'{whole}.npz')
    vector = dict(np.load(path))
    step = vector.pop('step', np.int64(1))
    for key, values in vector.items():
        if key == 'crop_tchw':
            wanted = expected['frames_tchw'][CROP]
        elif path.stem.endswith('crop'):
            wanted = expected[key][:1]
        else:
            wanted = expected[key]
        if wanted.shape != values.shape:
            rows = -3 if key.endswith('thwc_0_255') else -2
            wanted = take(take(wanted, rows, step), rows + 1, step)
        np.testing.assert_array_equal(values, wanted, key)


def take(array: np.ndarray, axis: int, step: int) -> np.ndarray:
    return array.take(range(0, array.shape[axis], step), axis)


def test_they_are_small_and_described():
    described = (DATA / 'README.md').read_text(encoding='utf-8')
    assert all(f'`{name_of(path)}`' in described for path in FILES)
    assert sum(path.stat().st_size for path in FILES) < 4.5e6
