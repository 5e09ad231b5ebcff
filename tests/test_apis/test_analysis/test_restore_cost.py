"""The cost of a restoration, computed without running it."""

import pytest
import torch
from torch.utils.flop_counter import FlopCounterMode

from star.apis.analysis.restore_cost import restore_cost
from star.apis.inference.build import build_model, load_config, take_random
from star.models.restoration.choose import choose_options
from star.utils.memory_counter import MemoryCounter
from star.utils.operation_counter import ATTENTION


@pytest.mark.parametrize(
    ('name', 'given'),
    [('tiny_resshift', {}), ('tiny_stablesr', {'steps': 4})],
)
def test_agrees_with_a_real_run(name: str, given: dict):
    """Also where only one and two steps are counted."""
    config = load_config(name)
    found = restore_cost(config, (1, 16, 20), given, torch.float32)
    model = build_model(config).eval()
    take_random(model)
    lq = torch.zeros(1, 3, 16, 20, dtype=torch.uint8)
    options = choose_options(model, given)
    flops = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    with MemoryCounter() as memory, flops:
        model.restore(lq, options)
    counted = flops.get_total_flops() / 1e12
    assert counted > 0
    assert found.tflop == pytest.approx(counted, rel=1e-6)
    assert found.activations == pytest.approx(memory.peak, rel=0.05)
    assert found.weights == sum(p.nbytes for p in model.parameters())
    assert found.peak == found.weights + found.activations


def test_grows_with_the_clip_but_not_the_memory():
    config = load_config('tiny_resshift')
    one, five = (restore_cost(config, (n, 16, 16)) for n in (1, 5))
    assert five.tflop == pytest.approx(5 * one.tflop)
    assert five.activations == one.activations
    assert restore_cost(config, (1, 16, 16), dtype=torch.float32).weights == (
        2 * one.weights
    )


def test_other_methods_are_refused():
    with pytest.raises(ValueError, match='no diffusion baseline'):
        restore_cost(load_config('bicubic'), (1, 16, 16))
