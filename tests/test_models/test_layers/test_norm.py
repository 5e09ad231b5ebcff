import pytest
import torch
from torch import nn

from star.models.layers.norm import set_norm_groups


def test_groups_of_every_norm():
    inner = nn.Sequential(nn.GroupNorm(8, 16), nn.LayerNorm(16))
    network = nn.ModuleList([nn.GroupNorm(32, 32), inner])
    before = [p.clone() for p in network.parameters()]
    set_norm_groups(network, 2)
    assert [network[0].num_groups, inner[0].num_groups] == [2, 2]
    for a, b in zip(before, network.parameters(), strict=True):
        assert torch.equal(a, b)
    x = torch.randn(1, 32, 5, 5)
    halves = x.reshape(1, 2, -1)
    mean, std = halves.mean(2), halves.std(2, correction=0)
    expected = (halves - mean[..., None]) / std[..., None]
    expected = expected.reshape(x.shape)
    torch.testing.assert_close(network[0](x), expected, rtol=0, atol=1e-4)


@pytest.mark.parametrize('groups', [0, -1, 3, 64])
def test_groups_must_divide(groups):
    with pytest.raises(ValueError, match=f'`norm_groups` .* 32 .*{groups}$'):
        set_norm_groups(nn.GroupNorm(32, 32), groups)
