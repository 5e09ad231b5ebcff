"""NIQE and IL-NIQE against mmagic's and pyiqa's scores of every picture."""

import json
from functools import lru_cache

import numpy as np
import pytest
import torch
from torch import Tensor

from star.evaluation.functional.ilniqe import (
    IlniqeModel,
    ilniqe,
    load_ilniqe,
)
from star.evaluation.functional.niqe import NiqeModel, load_niqe, niqe
from tests.paths import VECTORS, WEIGHTS, needs_vectors

pytestmark = needs_vectors
FOLDER = VECTORS / 'metrics' if VECTORS else None
SCORES = (
    json.loads((FOLDER / 'scores.json').read_text())['no_reference']
    if FOLDER
    else {'none': {}}
)
every_picture = pytest.mark.parametrize('name', SCORES)


def weights(name: str) -> str:
    if WEIGHTS is None or not (WEIGHTS / name).is_file():
        pytest.skip(f'no {name} (set STAR_WEIGHTS)')
    return str(WEIGHTS / name)


@pytest.fixture(scope='module')
def niqe_model() -> NiqeModel:
    return load_niqe(weights('niqe_pris_params.npz'))


@pytest.fixture(scope='module')
def ilniqe_model() -> IlniqeModel:
    pytest.importorskip('scipy', reason='the extra `metrics`')
    return load_ilniqe(weights('ilniqe_templateModel.mat'))


@lru_cache
def pictures() -> dict[str, np.ndarray]:
    found: dict[str, np.ndarray] = {}
    for path in sorted(FOLDER.glob('*.npz')):
        found |= dict(np.load(path))
    return found


def clip(name: str) -> Tensor:
    return torch.from_numpy(pictures()[name]).permute(2, 0, 1)[None]


@every_picture
def test_niqe_equals_mmagic(name: str, niqe_model: NiqeModel):
    expected = SCORES[name]
    found = [niqe(clip(name), niqe_model, 0, c) for c in ('gray', 'y')]
    assert found == pytest.approx(
        [expected[f'niqe_mmagic_{c}_crop0'] for c in ('gray', 'y')], abs=2e-5
    )


@every_picture
def test_niqe_is_close_to_pyiqa(name: str, niqe_model: NiqeModel):
    """pyiqa computes in float32, so its flat regions differ."""
    expected = SCORES[name]['niqe_pyiqa']
    assert niqe(clip(name), niqe_model) == pytest.approx(expected, abs=0.06)


@every_picture
def test_ilniqe_equals_pyiqa(name: str, ilniqe_model: IlniqeModel):
    expected = SCORES[name]
    found = ilniqe(clip(name), ilniqe_model)
    assert found == pytest.approx(expected['ilniqe_pyiqa'], abs=5e-3)


@every_picture
def test_ilniqe_with_rounding(name: str, ilniqe_model: IlniqeModel):
    """pyiqa has rounding noise in flat regions, hence the tolerance."""
    expected = SCORES[name]['ilniqe_pyiqa_round_after_resize']
    found = ilniqe(clip(name), ilniqe_model, 'matlab')
    assert found == pytest.approx(expected, abs=2e-2)
