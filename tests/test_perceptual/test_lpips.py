"""Networks of LPIPS: names of the published files, values of the package."""

import re
import sys
import warnings
from functools import lru_cache
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from star.perceptual.lpips import (
    TRUNKS,
    LPIPSNetwork,
    build_lpips,
    load_lpips,
    read_lpips,
    rename,
)
from star.utils import compat

# torchvision's classifiers, whose files hold the trunks
CLASSIFIERS = {'alex': 'alexnet', 'vgg': 'vgg16', 'squeeze': 'squeezenet1_1'}


@lru_cache
def reference(net: str) -> nn.Module:
    """Build the package's network with random weights."""
    compat.allow_missing_torchvision_operators()
    package = pytest.importorskip('lpips', reason='the extra `metrics`')
    torch.manual_seed(0)
    with warnings.catch_warnings():
        warnings.simplefilter('ignore')
        network = package.LPIPS(net=net, pnet_rand=True, verbose=False)
    return network.eval()


def saved(net: str, folder: Path) -> Path:
    path = folder / f'{net}.safetensors'
    state = reference(net).state_dict()
    save_file({k: v.clone() for k, v in state.items()}, path)
    return path


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    shape = (2, 1, 3, height, width)
    first, second = torch.rand(shape, generator=generator) * 2 - 1
    return first, second


@pytest.mark.parametrize('net', TRUNKS)
def test_values_of_the_package(net: str):
    own = build_lpips(rename(reference(net).state_dict(), net), net, 'none')
    first, second = pair(71, 98)
    with torch.no_grad():
        expected = reference(net)(first, second).item()
    assert expected > 1e-4
    assert own(first, second).item() == pytest.approx(expected, rel=1e-5)
    assert own(first, first).item() == 0


@pytest.mark.parametrize('net', TRUNKS)
def test_tiles_equal_the_whole(net: str):
    torch.manual_seed(0)
    network = LPIPSNetwork(net).requires_grad_(False)
    for head in network.heads:
        head.uniform_()
    first, second = pair(202, 211)
    whole = network(first, second).item()
    found = network.tiled(torch.cat([first, second]), 16 * 28).item()
    assert whole > 0.1
    assert found == pytest.approx(whole, rel=1e-6)


@pytest.mark.parametrize('net', ['alex', 'squeeze'])
def test_trunk_and_heads_in_two_files(net: str, tmp_path: Path):
    """A classifier's own file, named or published, and the heads."""
    heads = reference(net).lins  # codespell:ignore lins
    models = pytest.importorskip('torchvision.models')
    torch.manual_seed(1)
    state = getattr(models, CLASSIFIERS[net])(weights=None).state_dict()
    if net == 'alex':  # 230 MB that are not read
        state = {k: v[:2, :2] if v.ndim == 2 else v for k, v in state.items()}
    torch.save(state, tmp_path / 'trunk.pth')
    found, files = read_lpips(tmp_path / 'trunk.pth', net)
    # the heads come with the package
    assert [f.name for f in files] == ['trunk.pth', f'{net}.pth']
    network = build_lpips(found, net, 'none')
    weight = network.features[0].weight
    assert torch.equal(weight, state['features.0.weight'])
    for own, head in zip(network.heads, heads, strict=True):
        assert torch.equal(own, head.model[1].weight)


def test_finds_the_converted_file(tmp_path: Path):
    path = saved('squeeze', tmp_path).rename(
        tmp_path / 'lpips_squeeze.safetensors'
    )
    assert read_lpips(None, 'squeeze', tmp_path)[1] == [path]


def test_needs_neither_package(tmp_path: Path, monkeypatch):
    path = saved('alex', tmp_path)
    monkeypatch.setitem(sys.modules, 'lpips', None)
    monkeypatch.setitem(sys.modules, 'torchvision', None)
    network = load_lpips(path, 'alex')
    assert network.heads[0].shape == (1, 64, 1, 1)


def test_loading_leaves_the_random_state_alone(tmp_path: Path):
    path = saved('squeeze', tmp_path)
    torch.manual_seed(3)
    expected = torch.rand(2)
    torch.manual_seed(3)
    network = load_lpips(path, 'squeeze')
    assert torch.equal(torch.rand(2), expected)
    assert not any(p.requires_grad for p in network.parameters())
    assert not network.training


def test_refuses_wrong_files(tmp_path: Path):
    with pytest.raises(ValueError, match=r"`net` must be .* got 'resnet'"):
        load_lpips(None, 'resnet')
    with pytest.raises(ValueError, match='`weights`: there is no file'):
        load_lpips(tmp_path / 'none.safetensors')
    path = re.escape(str(saved('squeeze', tmp_path)))
    with pytest.raises(ValueError, match=f'{path} does not fit'):
        load_lpips(tmp_path / 'squeeze.safetensors', 'alex')
