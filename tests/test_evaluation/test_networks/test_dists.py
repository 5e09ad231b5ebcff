"""DISTS: values by numpy and by the package, files, tiles."""

import re
from functools import lru_cache
from pathlib import Path

import numpy as np
import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.evaluation.networks.dists import (
    CHANNEL_WEIGHTS,
    DISTSNetwork,
    load_dists,
)
from star.utils import compat

CHANNELS = 1475


@lru_cache
def trunk() -> nn.Sequential:
    """Build torchvision's VGG16 with random weights."""
    compat.allow_missing_torchvision_operators()
    vgg = pytest.importorskip('torchvision.models.vgg')
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        layers = vgg.make_layers(vgg.cfgs['D'])
        for layer in layers:
            if isinstance(layer, nn.Conv2d):
                nn.init.kaiming_normal_(layer.weight, nonlinearity='relu')
                nn.init.normal_(layer.bias, std=0.1)
    return layers.requires_grad_(False)


@lru_cache
def channel_weights() -> dict[str, Tensor]:
    generator = torch.Generator().manual_seed(2)
    alpha, beta = torch.rand(2, 1, CHANNELS, 1, 1, generator=generator)
    return {'alpha': alpha, 'beta': beta}


def save_trunk(folder: Path) -> Path:
    """Save the trunk as torchvision does, with a small classifier."""
    state = {f'features.{k}': v for k, v in trunk().state_dict().items()}
    state['classifier.0.weight'] = torch.zeros(1)
    torch.save(state, folder / 'vgg16-397923af.pth')
    return folder / 'vgg16-397923af.pth'


def save_whole(folder: Path) -> Path:
    """Save trunk and channels in one file, as the authors' network does."""
    state = {'mean': torch.zeros(3), 'stage2.4.filter': torch.zeros(3)}
    for name, tensor in trunk().state_dict().items():
        stage = 1 + sum(int(name.split('.')[0]) > i for i in (4, 9, 16, 23))
        state[f'stage{stage}.{name}'] = tensor
    torch.save(state | channel_weights(), folder / 'whole.pth')
    return folder / 'whole.pth'


@pytest.fixture(scope='module')
def network(tmp_path_factory) -> DISTSNetwork:
    path = save_whole(tmp_path_factory.mktemp('dists'))
    return load_dists(path)[0]


def pair(height: int, width: int) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    x = torch.rand(1, 3, height, width, generator=generator)
    x = F.avg_pool2d(x, 3, 1, 1)
    noise = torch.randn(x.shape, generator=generator)
    return x, (x + 0.2 * noise).clamp(0, 1)


def slow_features(image: Tensor) -> list[np.ndarray]:
    """Run torchvision's layers, with Hann windows instead of maxima."""
    mean = torch.tensor([0.485, 0.456, 0.406]).view(3, 1, 1)
    std = torch.tensor([0.229, 0.224, 0.225]).view(3, 1, 1)
    found, x = [image], (image - mean) / std
    hann = torch.from_numpy(np.hanning(5)[1:-1]).float()
    window = torch.outer(hann, hann)[None, None] / 4
    for i, layer in enumerate(trunk()[:30]):
        if isinstance(layer, nn.MaxPool2d):
            planes = F.pad(x[0][:, None] ** 2, (1, 1, 1, 1))
            x = F.conv2d(planes, window, stride=2)[:, 0][None].sqrt()
        else:
            x = layer(x.clone())
        if i in (3, 8, 15, 22, 29):
            found.append(x)
    return [x[0].double().flatten(1).numpy() for x in found]


def slow_distance(x: Tensor, y: Tensor) -> float:
    """Ding et al. 2020, equations 4 to 6, channel by channel."""
    alpha, beta = (w.flatten().numpy() for w in channel_weights().values())
    total, kept, i = float(alpha.sum() + beta.sum()), 0.0, 0
    for a, b in zip(slow_features(x), slow_features(y), strict=True):
        for p, q in zip(a, b, strict=True):
            m, n = p.mean(), q.mean()
            covariance = ((p - m) * (q - n)).mean()
            texture = (2 * m * n + 1e-6) / (m**2 + n**2 + 1e-6)
            both = p.var() + q.var() + 1e-6
            kept += alpha[i] * texture
            kept += beta[i] * (2 * covariance + 1e-6) / both
            i += 1
    assert i == CHANNELS
    return 1 - kept / total


def test_values(network: DISTSNetwork):
    x, y = pair(53, 66)
    expected = slow_distance(x, y)
    assert expected > 0.05
    assert network(x, y).item() == pytest.approx(expected, rel=1e-4)
    assert network(x, x).item() == network(y, y).item() == 0


def test_pairs_do_not_mix(network: DISTSNetwork):
    x, y = pair(40, 48)
    found = network(torch.cat([x, y]), torch.cat([y, y]))
    expected = [network(x, y).item(), 0]
    assert found.tolist() == pytest.approx(expected, rel=1e-5)


def test_values_of_the_package(
    network: DISTSNetwork, monkeypatch: pytest.MonkeyPatch
):
    compat.allow_missing_torchvision_operators()
    pytest.importorskip('pyiqa', reason='the extra `pyiqa`')
    module = pytest.importorskip('pyiqa.archs.dists_arch')
    vgg = nn.Module()
    vgg.features = trunk()
    monkeypatch.setattr(module.models, 'vgg16', lambda weights: vgg)
    package = module.DISTS(pretrained=False)
    package.load_state_dict(channel_weights(), strict=False)
    x, y = pair(90, 71)
    with torch.no_grad():
        expected = package(x, y).item()
    assert network(x, y).item() == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('size', [(24, 301), (301, 24)])
def test_tiles_equal_the_whole(network: DISTSNetwork, size: tuple[int, int]):
    x, y = pair(*size)
    whole = network(x, y).item()
    found = network(x, y, side=16 * 22).item()
    assert found == pytest.approx(whole, rel=1e-5)


def test_trunk_and_channels_in_two_files(
    network: DISTSNetwork, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    trunk_file = save_trunk(tmp_path)
    torch.save(channel_weights(), tmp_path / CHANNEL_WEIGHTS)
    # neither is the published file
    monkeypatch.setattr('star.utils.weight_files._verify', lambda *_: None)
    found, files = load_dists(None, tmp_path)
    assert files == [trunk_file, tmp_path / CHANNEL_WEIGHTS]
    for name, tensor in network.state_dict().items():
        assert torch.equal(found.state_dict()[name], tensor), name
    assert not found.training
    assert not any(p.requires_grad for p in found.parameters())


def test_refuses_wrong_files(tmp_path: Path):
    path = save_whole(tmp_path)
    state = torch.load(path)
    del state['beta'], state['stage5.28.bias']
    torch.save(state, path)
    message = f'{re.escape(str(path))} does not fit .*beta'
    with pytest.raises(ValueError, match=message):
        load_dists(path)
