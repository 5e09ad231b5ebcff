import pytest
import torch
import torch.nn.functional as F
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from star.models.layers.product import ProductLinear, is_faster, product
from star.utils.operation_counter import OperationCounter

with torch.no_grad():
    FASTER = is_faster(torch.ones(1))


class Calls(TorchDispatchMode):
    """Lists the names of operations."""

    def __init__(self):
        super().__init__()
        self.names = []

    def __torch_dispatch__(self, func, types, args=(), kwargs=None):
        self.names.append(func.name())
        return func(*args, **(kwargs or {}))


def takes_onednn(function, *args):
    with Calls() as calls:
        function(*args)
    return 'mkldnn::_linear_pointwise' in calls.names


@pytest.mark.parametrize('with_bias', [True, False])
@pytest.mark.parametrize(
    'shape', [(1,), (7,), (16,), (2, 24), (1, 2, 4, 4), (96,), (112,), (130,)]
)
@torch.no_grad()
def test_product_is_the_exact_one(shape, with_bias):
    x, weight = torch.randn(*shape, 40), torch.randn(72, 40)
    bias = torch.randn(72) if with_bias else None
    exact = F.linear(
        x.double(), weight.double(), None if bias is None else bias.double()
    )
    y = product(x, weight, bias)
    assert y.dtype == torch.float32 and y.is_contiguous()
    torch.testing.assert_close(y.double(), exact, rtol=0, atol=3e-5)


@torch.no_grad()
def test_any_layout_gives_the_same():
    x, weight = torch.randn(32, 40), torch.randn(72, 40)
    expected = F.linear(x, weight)
    wide = torch.zeros(32, 3, 40)
    wide[:, 1] = x
    for tokens in (x.t().contiguous().t(), wide[:, 1]):
        for matrix in (weight, weight.t().contiguous().t()):
            y = product(tokens, matrix)
            torch.testing.assert_close(y, expected, rtol=0, atol=3e-5)
    assert product(x[:0], weight).shape == (0, 72)


def test_layer_learns_like_a_linear_one():
    ours, usual = ProductLinear(8, 4), nn.Linear(8, 4)
    usual.load_state_dict(ours.state_dict())
    x = torch.randn(16, 8)
    for layer in (ours, usual):
        layer(x).square().sum().backward()
    assert torch.equal(ours.weight.grad, usual.weight.grad)
    assert torch.equal(ours.bias.grad, usual.bias.grad)


@pytest.mark.skipif(not FASTER, reason='this processor has no AVX512')
def test_onednn_is_taken_where_it_can_be(monkeypatch):
    layer, x = ProductLinear(8, 4), torch.randn(16, 8)
    assert not takes_onednn(layer, x)  # it knows no gradient
    with torch.no_grad():
        assert takes_onednn(layer, x) and takes_onednn(layer, x[:5])
        assert not takes_onednn(layer.bfloat16(), x.bfloat16())
        layer.float()
        with torch.autocast('cpu', torch.bfloat16):
            assert layer(x).dtype == torch.bfloat16
        monkeypatch.setattr(torch.compiler, 'is_compiling', lambda: True)
        assert not takes_onednn(layer, x)


@torch.no_grad()
def test_operations_are_counted_without_content():
    with OperationCounter() as counter:
        layer = ProductLinear(8, 4, device='meta')
        assert layer(torch.empty(16, 8, device='meta')).shape == (16, 4)
    assert counter.total == 2 * 16 * 8 * 4
