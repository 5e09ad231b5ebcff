"""ConvNeXt over clips: one position by hand, and the kernels' lengths."""

import math

import pytest
import torch
from torch import Tensor

from star.evaluation.networks.convnext3d import ConvNeXt3D


def tiny() -> ConvNeXt3D:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        network = ConvNeXt3D((4, 6), (2, 1)).requires_grad_(False).double()
        for parameter in network.parameters():
            torch.nn.init.normal_(parameter, std=0.3)
    return network.eval()


def normalize(x: Tensor, norm: torch.nn.Module) -> Tensor:
    deviation = (x.var(correction=0) + 1e-6).sqrt()
    return (x - x.mean()) / deviation * norm.weight + norm.bias


def block_at(block: torch.nn.Module, x: Tensor, at: tuple[int, ...]) -> Tensor:
    """Compute one position of a block, (C,), with plain loops."""
    weight = block.dwconv.weight
    reach = [side // 2 for side in weight.shape[2:]]
    y = block.dwconv.bias.clone()
    for offset in torch.cartesian_prod(*map(torch.arange, weight.shape[2:])):
        t, h, w = (
            a + int(o) - r for a, o, r in zip(at, offset, reach, strict=True)
        )
        inside = 0 <= t < x.shape[1] and 0 <= h < x.shape[2]
        if inside and 0 <= w < x.shape[3]:
            y += weight[(slice(None), 0, *offset)] * x[:, t, h, w]
    y = block.pwconv1.weight @ normalize(y, block.norm) + block.pwconv1.bias
    y = y * torch.tensor([(1 + math.erf(v / 2**0.5)) / 2 for v in y.tolist()])
    y = block.pwconv2.weight @ y + block.pwconv2.bias
    return x[(slice(None), *at)] + block.gamma * y


@pytest.mark.parametrize(('index', 'frames'), [(0, 1), (1, 3)])
def test_block_at_one_position(index: int, frames: int):
    block = tiny().stages[0][index]
    assert block.dwconv.weight.shape == (4, 1, frames, 7, 7)
    generator = torch.Generator().manual_seed(1)
    x = torch.randn(4, 3, 9, 8, generator=generator, dtype=torch.float64)
    found = block(x[None])[0]
    for at in ((0, 0, 0), (1, 4, 5), (2, 8, 2)):
        expected = block_at(block, x, at)
        torch.testing.assert_close(found[(slice(None), *at)], expected)


def test_every_second_block_spans_three_frames():
    with torch.device('meta'):
        network = ConvNeXt3D()
    spans = [
        [block.dwconv.kernel_size[0] for block in stage]
        for stage in network.stages
    ]
    assert spans == [[1, 3, 1], [1, 3, 1], [1, 3, 1] * 3, [1, 3, 1]]


def test_stages_are_halved_and_normalized_in_order():
    network = tiny()
    generator = torch.Generator().manual_seed(2)
    clip = torch.randn(1, 3, 5, 16, 24, generator=generator).double()
    stem, norm = network.downsample_layers[0]
    x = torch.einsum(
        'cithw,ithwjkl->cjkl',
        stem.weight,
        clip[0, :, :4]
        .unfold(1, 2, 2)
        .unfold(2, 4, 4)
        .unfold(3, 4, 4)
        .permute(0, 4, 5, 6, 1, 2, 3),
    ) + stem.bias.view(-1, 1, 1, 1)
    x = torch.stack([normalize(v, norm) for v in x.flatten(1).T], 1)
    x = network.stages[0](x.view(1, 4, 2, 4, 6))[0]
    norm, halve = network.downsample_layers[1]
    x = torch.stack([normalize(v, norm) for v in x.flatten(1).T], 1)
    x = torch.einsum(
        'cihw,ithwkl->ctkl',
        halve.weight[:, :, 0],
        x.view(4, 2, 4, 6)
        .unfold(2, 2, 2)
        .unfold(3, 2, 2)
        .permute(0, 1, 4, 5, 2, 3),
    ) + halve.bias.view(-1, 1, 1, 1)
    x = network.stages[1](x[None])[0]
    expected = torch.stack(
        [normalize(v, network.norm) for v in x.flatten(1).T], 1
    )
    found = network(clip)[0]
    assert found.shape == (6, 2, 2, 3)
    torch.testing.assert_close(found.flatten(1), expected)
