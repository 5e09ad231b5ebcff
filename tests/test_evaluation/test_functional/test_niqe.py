"""NIQE: colours, identities and what it refuses."""

from pathlib import Path

import cv2
import numpy as np
import pytest
import scipy.io
import torch
from torch import Tensor

from star.evaluation.functional.niqe import (
    NiqeModel,
    _to_luma,
    load_niqe,
    niqe,
    niqe_frames,
)
from star.evaluation.functional.scene_statistics import gaussian

MODEL = NiqeModel(
    torch.linspace(0, 1, 36, dtype=torch.float64),
    torch.eye(36, dtype=torch.float64),
    gaussian(7, 7 / 6),
)


def clip(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(0, 256, shape, generator=generator, dtype=torch.uint8)


def test_gray_is_opencvs():
    """Rounded alike, ties included."""
    frame = clip(3, 40, 50)
    image = frame.flip(0).permute(1, 2, 0).contiguous().numpy()
    scaled = image.astype(np.float32) / np.float32(255)
    gray = cv2.cvtColor(scaled, cv2.COLOR_BGR2GRAY) * np.float32(255)
    found = _to_luma(frame, 'gray')[0].numpy()
    assert np.mean(found != gray.round()) < 1e-3
    assert np.abs(found - gray).max() <= 0.5 + 1e-4


def test_y_is_studio_range():
    extremes = torch.tensor([0, 255], dtype=torch.uint8).expand(3, 1, 2)
    assert _to_luma(extremes, 'y').flatten().tolist() == [16, 235]


def test_frames_are_scored_one_by_one():
    two = clip(2, 3, 100, 200)
    alone = [niqe(frame[None], MODEL) for frame in two]
    assert niqe_frames(two, MODEL).tolist() == pytest.approx(alone, abs=0)
    assert niqe(two, MODEL) == pytest.approx(sum(alone) / 2)


def test_the_border_and_what_fills_no_block_do_not_count():
    frame = clip(1, 3, 192, 200)
    inside = niqe(frame[..., :, :192], MODEL)
    assert niqe(frame, MODEL) == inside
    framed = torch.nn.functional.pad(frame, (4, 4, 4, 4))
    assert niqe(framed, MODEL, border=4) == inside


def test_distance_from_its_own_features_is_zero():
    """With the mean of the frame itself as the model's."""
    frame = clip(1, 3, 192, 192)
    base = niqe(frame, MODEL)
    shifted = NiqeModel(MODEL.mean, MODEL.covariance * 1e12, MODEL.window)
    assert base > 1
    assert niqe(frame, shifted) == pytest.approx(0, abs=1e-3)


def test_a_flat_frame_is_unknown_and_only_that():
    both = clip(2, 3, 96, 96)
    both[1] = 90
    scores = niqe_frames(both, MODEL)
    assert scores.isnan().tolist() == [False, True]


def test_both_forms_of_the_model(tmp_path: Path):
    mean, covariance = MODEL.mean[None].numpy(), MODEL.covariance.numpy()
    np.savez(tmp_path / 'a.npz', mu_pris_param=mean, cov_pris_param=covariance)
    scipy.io.savemat(
        tmp_path / 'a.mat',
        {'mu_prisparam': mean, 'cov_prisparam': covariance},
    )
    for name in ('a.npz', 'a.mat'):
        model = load_niqe(tmp_path / name)
        assert torch.equal(model.mean, MODEL.mean)
        assert torch.equal(model.covariance, MODEL.covariance)
        assert torch.equal(model.window, MODEL.window)


@pytest.mark.parametrize('name', ['a.npz', 'a.mat'])
def test_refuses_a_damaged_file(tmp_path: Path, name: str):
    (tmp_path / name).write_bytes(bytes(range(256)) * 9)
    with pytest.raises(ValueError, match=rf'{name} cannot be read \(.*\)$'):
        load_niqe(tmp_path / name)


def test_refuses_other_arrays(tmp_path: Path):
    with pytest.raises(ValueError, match='there is no file'):
        load_niqe(tmp_path / 'none.npz')
    np.savez(tmp_path / 'a.npz', other=np.zeros(3))
    with pytest.raises(ValueError, match=r'mu_prisparam of .* is missing'):
        load_niqe(tmp_path / 'a.npz')
    np.savez(tmp_path / 'b.npz', mu_pris_param=np.zeros(35))
    with pytest.raises(ValueError, match=r'\(36,\) finite .* got \(35,\)'):
        load_niqe(tmp_path / 'b.npz')


def test_refuses_what_it_cannot_score():
    with pytest.raises(ValueError, match=r'at least 96 pixels .* got 95x120'):
        niqe(clip(1, 3, 95, 120), MODEL)
    with pytest.raises(ValueError, match=r'at least 96 pixels .* got 94x94'):
        niqe(clip(1, 3, 96, 96), MODEL, border=1)
    with pytest.raises(ValueError, match="'gray' or 'y', got 'rgb'"):
        niqe(clip(1, 3, 96, 96), MODEL, channel='rgb')
    with pytest.raises(ValueError, match='`clip` must be'):
        niqe(clip(1, 3, 96, 96).float(), MODEL)
