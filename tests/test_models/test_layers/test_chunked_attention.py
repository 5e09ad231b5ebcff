import pytest
import torch

from star.models.layers.chunked_attention import ChunkedAttention


@pytest.fixture
def attention():
    from diffusers.models.attention_processor import Attention

    torch.manual_seed(0)
    layer = Attention(
        32,
        heads=1,
        dim_head=32,
        norm_num_groups=8,
        eps=1e-6,
        bias=True,
        residual_connection=True,
    )
    torch.nn.init.normal_(layer.group_norm.weight)
    return layer.eval()


@pytest.mark.parametrize('scores', [1, 35, 3 * 35, 1 << 20])
@torch.no_grad()
def test_equals_all_queries_together(attention, scores):
    x = torch.randn(2, 32, 5, 7, generator=torch.Generator().manual_seed(1))
    expected = attention(x)
    attention.set_processor(ChunkedAttention(scores))
    torch.testing.assert_close(attention(x), expected, atol=2e-6, rtol=1e-6)
