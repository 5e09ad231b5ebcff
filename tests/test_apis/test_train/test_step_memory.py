import pytest
import torch

from star.apis.inference.build import build_model, load_config
from star.apis.train.step_memory import (
    ClipSize,
    _SameOnce,
    step_memory,
)
from star.structures import VideoSample
from star.utils.memory_counter import MemoryCounter
from star.utils.operation_counter import OperationCounter
from tests.test_engine.configs import NETWORK


@pytest.fixture
def config():
    config = load_config('tiny')
    config.model.autoencoder = {
        'type': 'TemporalVAE',
        'block_out_channels': (32, 32, 32),
        'latent_channels': 4,
        'norm_groups': 8,
    }
    config.model.backbone.update(NETWORK, in_dim=4, out_dim=4)
    config.model.controlnet.update(NETWORK, in_dim=4)
    config.model.residual_std = None
    config.model.losses = None
    return config


def test_counts_gradients_and_activations(config):
    with torch.device('meta'):
        model = build_model(config)
    trained = sum(p.numel() for p in model.parameters() if p.requires_grad)
    small = step_memory(config, ClipSize(2, 16, 16), amp=False)
    assert small > 4 * trained
    large = step_memory(config, ClipSize(2, 64, 64), amp=False)
    larger = step_memory(config, ClipSize(4, 64, 128), amp=False)
    # the rest grows with the clip
    assert 3 < (larger - small) / (large - small) < 6


@pytest.mark.slow
def test_what_saves_memory(config):
    clip = ClipSize(4, 128, 128)
    full = step_memory(config, clip, amp=False)
    half = step_memory(config, clip, amp=True)
    assert half < 0.85 * full
    config.model.backbone.checkpointing = True
    config.model.controlnet.checkpointing = True
    assert step_memory(config, clip, 2) < 0.85 * 2 * half


@pytest.mark.slow
def test_decoding_costs(config):
    clip = ClipSize(4, 64, 64)
    without = step_memory(config, clip)
    config.model.losses = {
        'frequency': {'type': 'DynamicFrequencyLoss'},
        'window': {'num_frames': 4},
    }
    whole = step_memory(config, clip)
    config.model.losses.window = {'num_frames': 1, 'crop_size': (32, 32)}
    assert without <= step_memory(config, clip) < whole


@pytest.mark.parametrize('checkpointing', [False, True])
def test_agrees_with_a_real_step(config, checkpointing):
    """The peak of a step on real tensors, counted in the same way."""
    config.model.backbone.checkpointing = checkpointing
    config.model.controlnet.checkpointing = checkpointing
    clip = ClipSize(2, 32, 48)
    expected = step_memory(config, clip, amp=False)
    model = build_model(config).train()
    for parameter in model.parameters():
        torch.nn.init.normal_(parameter, std=0.02)
    z = torch.randn(4, 2, 32 // 4, 48 // 4)
    sample = VideoSample(
        gt=torch.zeros(2, 3, 32, 48, dtype=torch.uint8),
        z0=z,
        z_lq=z.clone(),
        text=torch.zeros(1, 32),
        seed=3,
    )
    with MemoryCounter() as counter:
        loss, _ = model.parse_losses(model.loss(None, [sample]))
        loss.backward()
    assert counter.peak == pytest.approx(expected, rel=0.05)


def test_equal_passes_are_counted_once():
    """Three calls without a gradient, and one with: two are made."""
    layer, x, calls = torch.nn.Linear(5, 7), torch.zeros(3, 5), []

    def velocity(x):
        calls.append(torch.is_grad_enabled())
        return layer(x)

    with OperationCounter() as operations:
        once = _SameOnce(velocity, operations)
        with torch.no_grad():
            found = [once(x) for _ in range(3)]
        assert once(x).requires_grad
    assert calls == [False, True]
    assert operations.total == 4 * 2 * 3 * 5 * 7
    assert {v.shape for v in found} == {(3, 7)}
