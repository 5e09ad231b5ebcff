"""LPIPS against the package it comes from, with random weights."""

import pytest
import torch
from torch import nn

from star.evaluation.functional.lpips import lpips, lpips_frames
from star.perceptual.lpips import LPIPSNetwork, load_lpips
from tests.test_evaluation.test_functional.test_psnr import clips
from tests.test_perceptual.test_lpips import reference, saved

pytest.importorskip('lpips', reason='the extra `metrics`')


@pytest.fixture(scope='module')
def network(tmp_path_factory) -> LPIPSNetwork:
    path = saved('squeeze', tmp_path_factory.mktemp('lpips'))
    return load_lpips(path, 'squeeze')


def larger() -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(clip.repeat(1, 1, 3, 3) for clip in clips())


def test_agrees_with_the_package(network: nn.Module):
    pred, gt = larger()
    with torch.no_grad():
        package = reference('squeeze')
        expected = package(pred / 127.5 - 1, gt / 127.5 - 1).flatten()
    found = lpips_frames(network, pred, gt)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    mean = expected.double().mean().item()
    assert lpips(network, pred, gt) == pytest.approx(mean, abs=1e-6)


def test_some_frames_and_no_border(network: nn.Module):
    pred, gt = larger()
    whole = lpips_frames(network, pred[..., 4:-4, 4:-4], gt[..., 4:-4, 4:-4])
    found = lpips_frames(network, pred, gt, border=4, every=2)
    assert found.tolist() == pytest.approx(whole[::2].tolist(), abs=1e-7)


def test_equal_clips_score_zero(network: nn.Module):
    assert lpips(network, larger()[0], larger()[0]) == 0


def test_refuses_every(network: nn.Module):
    with pytest.raises(ValueError, match='`every` must be at least 1, got 0'):
        lpips(network, *clips(), every=0)
