"""Code that runs on shapes: its memory is that of a real run."""

import pytest
import torch
import torch.nn.functional as F
from torch import nn

from star.utils.memory_counter import MemoryCounter
from star.utils.shape_run import ShapeRun, without_content

MIB = 2**20


class Net(nn.Module):
    """Layers of many kinds; reads a number from its table."""

    def __init__(self):
        super().__init__()
        self.first = nn.Conv2d(3, 32, 3, padding=1)
        self.first.to(memory_format=torch.channels_last)
        self.norm = nn.GroupNorm(4, 32)
        self.line = nn.Linear(32, 48)
        self.register_buffer('table', torch.linspace(0, 1, 10))

    def forward(self, x):
        x = x.contiguous(memory_format=torch.channels_last)
        x = F.silu(self.norm(self.first(x))) * self.table[3].item()
        y = self.line(x.flatten(2).transpose(1, 2))[:, None]
        y = F.scaled_dot_product_attention(y, y, y)[:, 0]
        scale = torch.full((1,), 2.0)
        noise = torch.randn(y.shape, generator=torch.Generator())
        y = (y.double() * scale).float() + noise
        wide = F.interpolate(x, scale_factor=2, mode='bicubic')
        x = wide.clamp(0, 1).cpu()
        return x.mean() + y.mean()


def test_counts_as_a_real_run_does():
    torch.manual_seed(0)
    net, x = Net(), torch.rand(2, 3, 64, 96)
    with MemoryCounter() as real, torch.inference_mode():
        net(x)
    copy = without_content(net)
    with ShapeRun() as run, torch.inference_mode():
        out = copy(torch.empty(x.shape, device='meta'))
    assert out.is_meta
    assert run.peak == pytest.approx(real.peak, rel=0.05)
    assert all(p.is_meta for p in copy.parameters())
    assert not copy.table.is_meta
    assert not any(p.is_meta for p in net.parameters())


def test_a_view_of_a_weight_takes_no_memory():
    weight = torch.empty(2 * MIB, 1, device='meta')
    with ShapeRun() as run:
        seen = [weight.t(), weight[:, 0].view(-1, 16), weight.permute(1, 0)]
        assert run.peak == 0
        made = seen[1] * 2
        assert run.now == made.nbytes == 8 * MIB


def test_on_a_gpu_only_what_lies_there_counts():
    weight = torch.empty(MIB, device='meta')  # float32: 4 MiB
    with ShapeRun(on_gpu=True) as run:
        host = torch.zeros(4 * MIB)
        assert host.is_meta and run.now == 0
        there = host[:MIB] + weight
        assert run.now == 4 * MIB
        back = there.cpu() * 2
        assert run.now == 4 * MIB
        del there
        assert run.now == 0
        assert back.shape == (MIB,)


def test_unfolded_convolutions_count():
    x = torch.empty(1, 8, 6, 66, 66, device='meta')
    weight = torch.empty(8, 8, 3, 3, 3, device='meta')
    with ShapeRun() as run:
        out = F.conv3d(x, weight)
    columns = 27 * 8 * 4 * 64 * 64 * 4
    assert run.peak == out.nbytes + columns


def test_numbers_of_what_has_none_are_zero():
    with ShapeRun():
        assert torch.zeros(2**20).sum().item() == 0


def test_transient_memory():
    with ShapeRun() as run:
        run.add_transient(100)
        assert (run.now, run.peak) == (0, 100)
