"""RAFT: names of the original's files, and what it estimates."""

import re
from urllib.error import URLError

import pytest
import torch
from torch import nn

from star.evaluation.networks.flow import RAFT
from star.perceptual.raft import to_torchvision
from tests.paths import WEIGHTS

optical_flow = pytest.importorskip('torchvision.models.optical_flow')
needs_raft = pytest.mark.skipif(
    WEIGHTS is None or not (WEIGHTS / 'raft-small.pth').is_file(),
    reason='no raft-small.pth (set STAR_WEIGHTS)',
)


def original_large() -> set[str]:
    """List the tensors of the original's large network."""
    norm = ['weight', 'bias', 'running_mean', 'running_var']
    norm += ['num_batches_tracked']
    names = []
    for net in ('fnet', 'cnet'):
        layers = ['conv1', 'conv2']
        norms = ['norm1']
        for layer in (1, 2, 3):
            for block in (0, 1):
                place = f'layer{layer}.{block}'
                layers += [f'{place}.conv1', f'{place}.conv2']
                norms += [f'{place}.norm1', f'{place}.norm2']
            if layer > 1:
                layers.append(f'layer{layer}.0.downsample.0')
                norms.append(f'layer{layer}.0.norm3')
                norms.append(f'layer{layer}.0.downsample.1')
        names += [f'{net}.{x}.{y}' for x in layers for y in norm[:2]]
        if net == 'cnet':  # the other's norm has no parameters
            names += [f'{net}.{x}.{y}' for x in norms for y in norm]
    update = ['convc1', 'convc2', 'convf1', 'convf2', 'conv']
    update = [f'encoder.{x}' for x in update]
    update += [f'gru.conv{x}{i}' for x in 'zrq' for i in (1, 2)]
    update += ['flow_head.conv1', 'flow_head.conv2', 'mask.0', 'mask.2']
    names += [f'update_block.{x}.{y}' for x in update for y in norm[:2]]
    return {f'module.{name}' for name in names}


def test_names_of_the_large_network():
    found = to_torchvision({k: torch.zeros(1) for k in original_large()})
    expected = optical_flow.raft_large(weights=None).state_dict().keys()
    assert found.keys() == expected


def test_torchvision_names_stay():
    state = {'feature_encoder.conv.weight': torch.zeros(1)}
    assert to_torchvision(state) is state


@needs_raft
def test_names_and_shapes_of_the_small_network():
    """The original's file holds the tensors in torchvision's order."""
    file = WEIGHTS / 'raft-small.pth'
    state = torch.load(file, weights_only=True, map_location='cpu')
    model = RAFT('small', str(file))
    own = model.raft.state_dict()
    pairs = zip(state.values(), own.values(), strict=True)
    assert all(torch.equal(a, b) for a, b in pairs)
    assert sum(p.numel() for p in model.parameters()) == 990_162
    assert list(to_torchvision(state)) == list(own)


@needs_raft
def test_finds_a_translation():
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(1, 3, 24, 28, generator=generator) * 255
    whole = nn.functional.interpolate(coarse, scale_factor=8, mode='bicubic')
    whole = whole.clamp(0, 255)
    first = whole[..., 8:168, 8:200]
    second = whole[..., 5:165, 12:204]  # what was at x is now at x - 4
    model = RAFT('small', str(WEIGHTS / 'raft-small.pth'))
    flow = model(first, second)
    assert flow.shape == (1, 2, 160, 192)
    inner = flow[0, :, 32:-32, 32:-32].mean((1, 2))
    assert inner.tolist() == pytest.approx([-4, 3], abs=0.15)


@needs_raft
@pytest.mark.parametrize(('height', 'width'), [(120, 160), (132, 160)])
def test_refuses_sizes(height: int, width: int):
    model = RAFT('small', str(WEIGHTS / 'raft-small.pth'))
    frame = torch.zeros(1, 3, height, width)
    with pytest.raises(ValueError, match=re.escape(f'{height}x{width}')):
        model(frame, frame)


@needs_raft
def test_refuses_weights_of_the_other_size():
    with pytest.raises(ValueError, match=r'raft-small.pth does not fit'):
        RAFT('large', str(WEIGHTS / 'raft-small.pth'))


def test_refuses_options():
    with pytest.raises(ValueError, match="'small' or 'large', got 'tiny'"):
        RAFT('tiny')
    with pytest.raises(ValueError, match='`num_updates` must be at least 1'):
        RAFT('small', num_updates=0)


@pytest.mark.parametrize('network', ['small', 'large'])
def test_values_of_torchvision(network: str, tmp_path):
    """Encoding once and enlarging last change nothing."""
    torch.manual_seed(0)
    theirs = getattr(optical_flow, f'raft_{network}')(weights=None).eval()
    torch.save(theirs.state_dict(), tmp_path / 'raft.pth')
    own = RAFT(network, str(tmp_path / 'raft.pth'), num_updates=3)
    first, second = torch.rand(2, 1, 3, 128, 144) * 255
    pairs = torch.cat([first, second]), torch.cat([second, first])
    with torch.no_grad():
        scaled = [x / 127.5 - 1 for x in pairs]
        expected = theirs(*scaled, num_flow_updates=3)[-1]
    size = expected.abs().max()
    assert size > 0.5
    found = own.both_ways(own.encode(first), own.encode(second))
    assert (found - expected).abs().max() < 1e-4 * size
    assert (own(*pairs) - expected).abs().max() < 1e-4 * size


def test_one_direction_at_a_time(tmp_path, monkeypatch: pytest.MonkeyPatch):
    torch.manual_seed(0)
    state = optical_flow.raft_small(weights=None).state_dict()
    torch.save(state, tmp_path / 'raft.pth')
    own = RAFT('small', str(tmp_path / 'raft.pth'), num_updates=2)
    frames = (torch.rand(2, 1, 3, 128, 128) * 255).unbind()
    codes = [own.encode(frame) for frame in frames]
    together = own.both_ways(*codes)
    monkeypatch.setattr('star.evaluation.networks.flow._LARGEST_VOLUME', 1)
    found = own.both_ways(*codes)
    assert (found - together).abs().max() < 1e-4 * together.abs().max()


def test_tells_what_to_do_without_network(tmp_path, monkeypatch):
    def fail(*args: object, **kwargs: object) -> None:
        raise URLError('no route')

    monkeypatch.setattr('star.utils.weight_files.urlopen', fail)
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path))
    with pytest.raises(
        ValueError, match=r'cannot be downloaded .*no route.*weights_dir'
    ):
        RAFT('small')
