from dataclasses import replace

import pytest
import torch
import torch.nn.functional as F

from star.models.backbones import CompactDenoiser
from star.models.backbones.compact.denoiser import TemporalMix
from star.registry import MODELS
from tests.test_models.networks import randomize

SMALL = {'in_dim': 12, 'dim': 8, 'num_conv': 4, 'mix_every': 2}
STAR = {
    'type': 'STARModel',
    'autoencoder': {'type': 'PatchDCT', 'patch_size': 2},
    'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 4},
    'backbone': {'type': 'CompactDenoiser', 'gain': 1e3, **SMALL},
    'controlnet': {'type': 'LatentConcat'},
    'schedule': {'type': 'I2VGenSchedule'},
    'residual_std': [1e-3] * 12,
    'restore_options': {
        'strength': 0.01,
        'guidance_scale': 1,
        'steps': 2,
        'color_fix': 'none',
    },
}


def inputs(frames=3):
    torch.manual_seed(1)
    z_t, z_lq = torch.randn(2, 2, 12, frames, 5, 6)
    return z_t, torch.tensor([9, 500]), None, z_lq


def test_all_weights_are_used():
    net = CompactDenoiser(**SMALL)
    randomize(net)
    net(*inputs()).square().sum().backward()
    without = [
        name
        for name, parameter in net.named_parameters()
        if parameter.grad is None or not parameter.grad.abs().max()
    ]
    assert not without
    assert len(net.mixes) == 2


def test_sees_the_frames_beside_noise_and_time():
    net = CompactDenoiser(**SMALL)
    randomize(net)
    z_t, t, text, z_lq = inputs()
    with torch.no_grad():
        out = net(z_t, t, text, z_lq)
        other = z_lq.clone()
        other[:, :, 0] = 0
        assert (net(z_t, t, text, other) - out)[:, :, 1].abs().max() > 1e-4
        assert (net(0 * z_t, t, text, z_lq) - out).abs().max() > 1e-4
        assert (net(z_t, t + 9, text, z_lq) - out).abs().max() > 1e-4
    assert out.shape == z_t.shape


def test_clips_of_a_batch_do_not_meet():
    net = CompactDenoiser(**SMALL)
    randomize(net)
    z_t, t, text, z_lq = inputs()
    with torch.no_grad():
        both = net(z_t, t, text, z_lq)
        alone = [
            net(z_t[i : i + 1], t[i : i + 1], text, z_lq[i : i + 1])
            for i in range(2)
        ]
    torch.testing.assert_close(both, torch.cat(alone), rtol=1e-4, atol=1e-4)


def test_mix_is_that_of_three_frames():
    torch.manual_seed(0)
    mix = TemporalMix(2)
    x = torch.randn(6, 2, 3, 3)  # two clips
    assert torch.equal(mix(x, 3), x)
    randomize(mix)
    before, now, after = mix.conv.weight[..., 0, 0].split(2, 1)
    with torch.no_grad():
        expected = x[4] + mix.conv.bias.view(-1, 1, 1)
        for matrix, frame in ((before, 3), (now, 4), (after, 5)):
            expected += torch.einsum('dc,chw->dhw', matrix, x[frame])
        torch.testing.assert_close(mix(x, 3)[4], expected)


@pytest.mark.parametrize('num_frames', [1, 2, 5])
def test_all_frames_of_a_still_clip_are_equal(num_frames):
    net = CompactDenoiser(**SMALL)
    randomize(net)
    one = inputs(frames=1)
    still = [x if x is None or x.ndim < 2 else stretch(x, 7) for x in one]
    with torch.no_grad():
        middle = net(*still)[:, :, 3:4]
        for frame in net(*still).split(1, 2):
            torch.testing.assert_close(frame, middle)
        few = [
            x if x is None or x.ndim < 2 else x[:, :, :num_frames]
            for x in still
        ]
        torch.testing.assert_close(net(*few), stretch(middle, num_frames))


def stretch(x, length):
    return x.expand(-1, -1, length, -1, -1)


@pytest.mark.parametrize(
    ('option', 'message'),
    [
        ({'num_conv': 0}, '`num_conv` must be at least 1, got 0'),
        ({'dim': 7}, '`dim` must be even and at least 2, got 7'),
    ],
)
def test_wrong_sizes_are_refused(option, message):
    with pytest.raises(ValueError, match=message):
        CompactDenoiser(**{**SMALL, **option})


def limited():
    torch.manual_seed(0)
    backbone = {**STAR['backbone'], 'max_timestep': 9, 'scale': 2}
    model = MODELS.build({**STAR, 'backbone': backbone})
    randomize(model.backbone)
    return model


@pytest.mark.parametrize(
    'changes', [{'strength': 0.6}, {'mode': 'fast', 'strength': 0.02}]
)
def test_more_noise_than_it_knows_is_refused(changes):
    model = limited()
    options = replace(model.restore_options, **changes)
    with pytest.raises(ValueError, match=r'`strength` must be at most 0\.01 '):
        model.restore(torch.zeros(1, 3, 4, 4, dtype=torch.uint8), options)


@pytest.mark.parametrize(('scale', 'size'), [(1.5, (9, 12)), (4, (24, 32))])
def test_other_scales_are_resized(scale, size):
    model = limited()
    lq = torch.randint(256, (2, 3, 6, 8), dtype=torch.uint8)
    options = replace(model.restore_options, scale=2)
    own = model.restore(lq, options).float() / 127.5 - 1
    got = model.restore(lq, replace(options, scale=scale))
    expected = F.interpolate(own, size=size, mode='bicubic', antialias=True)
    expected = (127.5 * (expected.clamp(-1, 1) + 1)).round()
    assert got.shape == (2, 3, *size)
    # `own` was rounded before it was resized, the other was not
    assert (got.float() - expected).abs().max() <= 2
