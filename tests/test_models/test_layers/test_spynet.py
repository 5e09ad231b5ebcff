"""SPyNet: identities, and the flow that mmagic's finds."""

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.layers.spynet import SPyNet
from star.models.layers.warp import flow_warp
from star.utils.compat import import_mmagic


def network(gain: float = 1.3) -> SPyNet:
    """Make a network whose flows are some pixels long."""
    generator = torch.Generator().manual_seed(0)
    net = SPyNet().eval().requires_grad_(False)
    for parameter in net.parameters():
        noise = torch.randn(parameter.shape, generator=generator)
        spread = gain * parameter[0].numel() ** -0.5
        parameter.copy_(noise * (spread if parameter.ndim > 1 else 0.1))
    return net


def frames(height: int, width: int) -> list[Tensor]:
    generator = torch.Generator().manual_seed(1)
    coarse = torch.rand(2, 2, 3, 5, 6, generator=generator)
    size = (height, width)
    return [F.interpolate(x, size=size, mode='bicubic') for x in coarse]


def test_number_of_parameters():
    with torch.device('meta'):
        net = SPyNet()
    assert sum(p.numel() for p in net.parameters()) == 1_440_300


@pytest.mark.parametrize('size', [(64, 96), (33, 70), (32, 32), (7, 40)])
def test_equals_mmagic(size: tuple[int, int]):
    try:
        import_mmagic()
    except ImportError:
        pytest.skip('mmagic is not installed')
    from mmagic.models.editors.basicvsr.basicvsr_net import SPyNet as Theirs

    ours, theirs = network(), Theirs(pretrained=None).eval()
    state = {}
    for name, tensor in ours.state_dict().items():
        parts = name.split('.')
        if len(parts) > 1:
            parts[3] = f'{int(parts[3]) // 2}.conv'
        state['.'.join(parts)] = tensor
    theirs.load_state_dict(state, strict=True)
    x, other = frames(*size)
    with torch.inference_mode():
        expected = theirs(x, other)
        found = ours(x, other)
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() < 1e-4


def test_first_level_alone_moves_nothing_but_what_it_says():
    """With the finer levels silent the flow is the coarsest one, doubled."""
    net = network()
    for level in net.basic_module[1:]:
        level.basic_module[-1].weight.zero_()
        level.basic_module[-1].bias.zero_()
    last = net.basic_module[0].basic_module[-1]
    last.weight.zero_()
    last.bias.copy_(torch.tensor([0.25, -0.5]))
    flow = net(*frames(64, 48))  # stretched to 64 x 64
    assert (flow[:, 0] - 0.25 * 32 * 48 / 64).abs().max() < 1e-4
    assert (flow[:, 1] + 0.5 * 32).abs().max() < 1e-4


def test_a_level_sees_the_other_picture_moved_by_the_flow():
    """Which picture is warped, and how: the last level's input."""
    net, seen = network(), []
    net.basic_module[-1].register_forward_pre_hook(
        lambda _, inputs: seen.append(inputs[0])
    )
    x, other = frames(64, 64)
    net(x, other)
    a, b = ((picture - net.mean) / net.std for picture in (x, other))
    flow = seen[0][:, 6:]
    assert flow.abs().max() > 0.5
    assert torch.equal(seen[0][:, :3], a)
    warped = flow_warp(b, flow, 'border')
    assert (seen[0][:, 3:6] - warped).abs().max() < 1e-6


@pytest.mark.slow
def test_half_precision_keeps_the_flow_in_float32():
    net = network(gain=1)
    x, other = frames(64, 64)
    expected = net(x, other)
    flow = net.bfloat16()(x.bfloat16(), other.bfloat16())
    assert flow.dtype == torch.float32
    error = (flow - expected).abs().mean() / expected.abs().mean()
    assert error < 0.03
