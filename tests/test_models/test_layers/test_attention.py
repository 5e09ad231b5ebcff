"""The kernels of attention."""

import pytest
import torch

from star.models.layers.attention import (
    AttentionLayer,
    choose_kernel,
    mix_tokens,
)
from tests.test_models.networks import small_backbone, small_inputs

CPU = torch.device('cpu')


@pytest.mark.parametrize('kernel', ['auto', 'math', 'flash'])
def test_kernels_compute_the_equation(kernel):
    generator = torch.Generator().manual_seed(0)
    q, k, v = torch.randn(3, 2, 3, 40, 16, generator=generator)
    weights = (q @ k.transpose(-1, -2) / 4).softmax(-1)
    found = mix_tokens(q, k, v, kernel)
    torch.testing.assert_close(found, weights @ v)


def test_all_layers_of_a_network_take_the_kernel():
    network, inputs = small_backbone(), small_inputs(1)
    with torch.inference_mode():
        plain = network(*inputs[:3])
        choose_kernel(network, 'math', CPU, torch.float32)
        math = network(*inputs[:3])
        choose_kernel(network, 'auto', CPU, torch.float32)
        again = network(*inputs[:3])
    kernels = {
        m.kernel for m in network.modules() if isinstance(m, AttentionLayer)
    }
    assert kernels == {'auto'}
    assert torch.equal(again, plain)
    torch.testing.assert_close(math, plain, rtol=1e-4, atol=1e-4)


@pytest.mark.parametrize(
    'kernel, message',
    [
        ('cudnn', "^`attention` 'cudnn' does not run on cpu in float32: "),
        ('efficient', "^`attention` 'efficient' does not run on cpu"),
        ('fast', "^`attention` must be one of auto, .*, got 'fast'$"),
    ],
)
def test_kernels_that_do_not_run(kernel, message):
    with pytest.raises(ValueError, match=message) as error:
        choose_kernel(small_backbone(), kernel, CPU, torch.float32)
    assert '\n' not in str(error.value)


def test_a_package_that_is_missing(monkeypatch):
    monkeypatch.setitem(__import__('sys').modules, 'sageattention', None)
    with pytest.raises(ValueError, match='needs the package sageattention'):
        choose_kernel(small_backbone(), 'sage', CPU, torch.float32)
