"""LPIPS against the package it comes from, with random weights."""

import sys
from urllib.error import URLError

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from star.evaluation.functional.lpips import load_lpips, lpips, lpips_frames
from tests.test_evaluation.test_functional.test_psnr import clips

package = pytest.importorskip('lpips', reason='the extra `metrics`')


@pytest.fixture(scope='module')
def reference() -> nn.Module:
    torch.manual_seed(0)
    return package.LPIPS(net='squeeze', pnet_rand=True, verbose=False)


@pytest.fixture(scope='module')
def weights(reference: nn.Module, tmp_path_factory) -> str:
    path = tmp_path_factory.mktemp('lpips') / 'squeeze.safetensors'
    state = {k: v.clone() for k, v in reference.state_dict().items()}
    save_file(state, path)
    return str(path)


def larger() -> tuple[torch.Tensor, torch.Tensor]:
    return tuple(clip.repeat(1, 1, 3, 3) for clip in clips())


def test_agrees_with_the_package(reference: nn.Module, weights: str):
    pred, gt = larger()
    with torch.no_grad():
        expected = reference(pred / 127.5 - 1, gt / 127.5 - 1).flatten()
    network = load_lpips(weights)
    found = lpips_frames(network, pred, gt)
    assert found.tolist() == pytest.approx(expected.tolist(), abs=1e-6)
    mean = expected.double().mean().item()
    assert lpips(network, pred, gt) == pytest.approx(mean, abs=1e-6)


def test_some_frames_and_no_border(weights: str):
    network = load_lpips(weights)
    pred, gt = larger()
    whole = lpips_frames(network, pred[..., 4:-4, 4:-4], gt[..., 4:-4, 4:-4])
    found = lpips_frames(network, pred, gt, border=4, every=2)
    assert found.tolist() == pytest.approx(whole[::2].tolist(), abs=1e-7)


def test_equal_clips_score_zero(weights: str):
    assert lpips(load_lpips(weights), larger()[0], larger()[0]) == 0


def test_loading_leaves_the_random_state_alone(weights: str):
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    network = load_lpips(weights)
    assert torch.equal(torch.rand(2), expected)
    assert not any(p.requires_grad for p in network.parameters())


def test_refuses_wrong_use(weights: str, tmp_path):
    with pytest.raises(ValueError, match=r"`net` must be .* got 'resnet'"):
        load_lpips(weights, 'resnet')
    with pytest.raises(ValueError, match='`weights`: there is no file'):
        load_lpips(str(tmp_path / 'none.safetensors'))
    with pytest.raises(ValueError, match='does not fit'):
        load_lpips(weights, 'alex')
    with pytest.raises(ValueError, match='`every` must be at least 1, got 0'):
        lpips(load_lpips(weights), *clips(), every=0)


def test_names_the_extra(weights: str, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setitem(sys.modules, 'lpips', None)
    with pytest.raises(ImportError):
        load_lpips(weights)


def test_tells_what_to_do_without_network(monkeypatch: pytest.MonkeyPatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise URLError('no route')

    monkeypatch.setattr('torch.hub.download_url_to_file', fail)
    monkeypatch.setattr('torch.hub.get_dir', lambda: '/nonexistent/hub')
    monkeypatch.setattr('os.makedirs', lambda *args, **kwargs: None)
    with pytest.raises(
        ValueError, match=r'cannot be downloaded .*name a file'
    ):
        load_lpips()
