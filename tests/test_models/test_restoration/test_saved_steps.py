"""Steps that cost less: features taken again, guidance in some steps only."""

import pytest
import torch

from star.models.backbones.i2vgen.encoder import MiddleBlock
from star.models.layers.step_memory import StepMemory
from star.models.restoration import guided_velocity, restoration
from tests.test_models.fakes import (
    fake_model,
    latent,
    random_clip,
    restore,
    small_model,
)

# little noise: x_t changes little from step to step
NEAR = {'strength': 0.2, 'sampler': 'ddim'}


def count_calls(model, kind=MiddleBlock):
    """Return a list that grows by the batch of each call of a layer."""
    calls = []
    for part in (model.backbone, model.controlnet):
        for layer in part.modules():
            if isinstance(layer, kind):
                layer.register_forward_pre_hook(
                    lambda module, inputs: calls.append(len(inputs[0]))
                )
    return calls


@pytest.mark.parametrize('guidance, both', [(1, 1), (7.5, 2)])
def test_deep_layers_run_once_while_nothing_changes(guidance, both):
    model = small_model(steps=4, guidance_scale=guidance, **NEAR)
    calls = count_calls(model)
    lq = random_clip(3)
    off = latent(model, lq)
    assert calls == [both] * 8  # backbone and ControlNet in four steps
    calls.clear()
    cached = latent(model, lq, cache=1)
    assert calls == [both] * 2
    change = (cached - off).norm() / off.norm()
    assert 1e-4 < change < 0.1
    assert torch.equal(latent(model, lq, cache=1e-6), off)  # computes all


def test_each_tile_and_window_has_a_memory_of_its_own(monkeypatch):
    made = []

    class Counted(StepMemory):
        def __init__(self, threshold):
            super().__init__(threshold)
            made.append(self)

    monkeypatch.setattr(guided_velocity, 'StepMemory', Counted)
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    model = small_model(window=4, overlap=0, steps=3, guidance_scale=1, **NEAR)
    options = {'cache': 1, 'tile': 8, 'tile_overlap': 0}
    lq = random_clip(8, 4, 8)
    latent(model, lq, **options)
    tiles = len(made) / 2  # two segments of a window each
    assert tiles > 1 and tiles == int(tiles)
    assert {(m.calls, m.reused) for m in made} == {(3, 2)}


def test_a_segment_forgets_the_one_before(monkeypatch):
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    model = small_model(window=4, overlap=0, steps=3, guidance_scale=1, **NEAR)
    calls = count_calls(model)
    lq = random_clip(4)
    twice = latent(model, torch.cat([lq, random_clip(4, seed=1)]), cache=1)
    assert calls == [1] * 4
    assert torch.equal(latent(model, lq, cache=1), twice[:, :, :4])


def test_what_keeps_no_features_refuses_the_option():
    model = fake_model()
    assert 'cache' not in model.options_used
    assert 'cache' in small_model().options_used
    with pytest.raises(ValueError, match=r'^`cache` must be 0 .* got 0.5$'):
        fake_model(cache=0.5)


@pytest.mark.parametrize(
    'interval, calls',
    [
        ((0, 1), [2, 2, 2, 2]),
        ((0, 0.5), [2, 2, 1, 1]),
        ((0.25, 0.75), [1, 2, 2, 1]),
        ([0.5, 1], [1, 1, 2, 2]),
        ((0.9, 1), [1, 1, 1, 1]),
    ],
)
def test_guidance_in_an_interval_of_the_steps(interval, calls):
    model = small_model(steps=4, guidance_scale=7.5)
    found = []
    model.backbone.register_forward_pre_hook(
        lambda module, inputs: found.append(len(inputs[0]))
    )
    restore(model, random_clip(2), guidance_interval=interval)
    assert found == calls


@pytest.mark.parametrize('sampler', ['heun', 'ddim', 'dpmpp_2m_sde'])
def test_the_whole_interval_changes_nothing(sampler):
    model = small_model(steps=3, guidance_scale=7.5, sampler=sampler)
    batches = []
    model.backbone.register_forward_pre_hook(
        lambda module, inputs: batches.append(len(inputs[0]))
    )
    lq = random_clip(2)
    latent(model, lq)
    assert set(batches) == {2}
    alone = latent(model, lq, guidance_scale=1)
    never = latent(model, lq, guidance_interval=(0.99, 0.999))
    assert torch.equal(alone, never)
