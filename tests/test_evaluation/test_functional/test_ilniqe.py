"""IL-NIQE: identities and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
import scipy.io
import torch
from torch import Tensor

from star.evaluation.functional.ilniqe import (
    IlniqeModel,
    _describe,
    _resize,
    ilniqe,
    ilniqe_frames,
    load_ilniqe,
)


def model(seed: int = 0) -> IlniqeModel:
    generator = torch.Generator().manual_seed(seed)
    components = torch.randn(
        468, 430, generator=generator, dtype=torch.float64
    )
    return IlniqeModel(
        torch.zeros(430, dtype=torch.float64),
        torch.eye(430, dtype=torch.float64) * 1e3,
        torch.zeros(468, dtype=torch.float64),
        components / 468**0.5,
    )


def clip(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(1)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_a_frame_has_its_score_in_any_clip():
    two = clip(2, 3, 60, 80)
    scores = ilniqe_frames(two, model())
    assert scores[0] != scores[1]
    assert ilniqe(two[1:], model()) == pytest.approx(float(scores[1]), abs=0)


def test_presets_differ_by_rounding():
    frame = clip(3, 50, 70)
    fractions, rounded = _resize(frame, 'pyiqa'), _resize(frame, 'matlab')
    assert fractions.shape == rounded.shape == (3, 504, 504)
    assert torch.equal(fractions.round(), rounded)
    assert 0.2 < float((fractions - rounded).abs().mean()) < 0.3
    assert 0 <= float(fractions.min()) <= float(fractions.max()) <= 255


def test_features_in_the_order_of_the_model():
    """Of noise, where the distributions are known."""
    generator = torch.Generator().manual_seed(2)
    noise = torch.randn(3, 504, 504, generator=generator).double() + 128
    features = _describe(noise, 1)
    assert features.shape == (36, 234)
    assert not features.isnan().any()
    # beyond the picture is 0: the outer blocks have an edge
    mean = features.view(6, 6, 234)[1:5, 1:5].mean((0, 1))
    # magnitudes of Gaussian gradients are Rayleigh: Weibull of shape 2
    assert mean[19:24:2].tolist() == pytest.approx([2, 2, 2], abs=0.1)
    # less where the filter has a direction
    assert 1.7 < float(mean[187::2].min()) <= float(mean[187::2].max()) < 1.9
    # log colours: mean 0 over the picture, and variance
    assert mean[24:30:2].tolist() == pytest.approx([0, 0, 0], abs=1e-3)
    variance = mean[25:30:2] * 128**2
    assert variance.tolist() == pytest.approx([1, 1, 1], rel=0.05)
    # derivatives and responses are Gaussian: shape 2
    assert float((mean[30:186:2] - 2).abs().max()) < 0.2


def test_a_flat_frame_is_unknown_and_only_that():
    both = clip(2, 3, 30, 30)
    both[1] = 90
    scores = ilniqe_frames(both, model())
    assert scores.isnan().tolist() == [False, True]


def save(path: Path, parts: list[np.ndarray]) -> Path:
    cells = np.empty((1, len(parts)), dtype=object)
    cells[0] = parts
    scipy.io.savemat(path, {'templateModel': cells})
    return path


def parts() -> list[np.ndarray]:
    values = model(3)
    return [
        values.mean.numpy()[None],
        values.covariance.numpy(),
        values.centre.numpy()[:, None],
        values.components.numpy(),
    ]


def test_reads_the_authors_form(tmp_path: Path):
    found, expected = load_ilniqe(save(tmp_path / 'a.mat', parts())), model(3)
    assert torch.equal(found.mean, expected.mean)
    assert torch.equal(found.covariance, expected.covariance)
    assert torch.equal(found.centre, expected.centre)
    assert torch.equal(found.components, expected.components)


def test_refuses_other_files(tmp_path: Path):
    with pytest.raises(ValueError, match='there is no file'):
        load_ilniqe(tmp_path / 'none.mat')
    wrong = [part[:, :1] for part in parts()]
    with pytest.raises(ValueError, match=r'part 1 of .* \(430,\) finite'):
        load_ilniqe(save(tmp_path / 'a.mat', wrong))
    with pytest.raises(ValueError, match='no `templateModel` of 4 parts'):
        load_ilniqe(save(tmp_path / 'b.mat', parts()[:3]))
    (tmp_path / 'c.mat').write_bytes(b'MATLAB' * 99)
    with pytest.raises(ValueError, match=r'c\.mat cannot be read \(.*\)$'):
        load_ilniqe(tmp_path / 'c.mat')


def test_refuses_what_it_cannot_score():
    with pytest.raises(ValueError, match="pyiqa, matlab, got 'python'"):
        ilniqe(clip(1, 3, 30, 30), model(), 'python')
    with pytest.raises(ValueError, match='`clip` must be'):
        ilniqe(clip(1, 3, 30, 30)[0], model())
