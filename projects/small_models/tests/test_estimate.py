import copy

import pytest
import torch

from projects.small_models.estimate import EstimateControlNet, run_denoiser
from star.models.backbones.compact.denoiser import CompactDenoiser
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from tests.test_models.networks import randomize

SIZES = {
    'dim': 32,
    'dim_mult': (1, 1),
    'num_res_blocks': 1,
    'head_dim': 16,
    'num_heads': 2,
    'context_dim': 8,
    'attn_levels': 0,
    'norm_groups': 4,
    'time_padding': 'replicate',
}
SCHEDULE = {'type': 'I2VGenSchedule', 'scale_min': 0.1, 'scale_max': 0.3}
ESTIMATOR = {
    'type': 'STARModel',
    'autoencoder': {'type': 'PatchDCT', 'patch_size': 4},
    'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 8},
    'backbone': {
        'type': 'CompactDenoiser',
        'in_dim': 48,
        'dim': 8,
        'num_conv': 4,
        'mix_every': 2,
        'gain': 1e3,
        'max_timestep': 9,
    },
    'controlnet': {'type': 'LatentConcat'},
    'schedule': {'type': 'I2VGenSchedule'},
    'residual_std': [1e-3] * 48,
    'restore_options': {
        'sampler': 'ddim',
        'mode': 'normal',
        'steps': 1,
        'strength': 0.01,
        'guidance_scale': 1,
        'noise': 'none',
        'color_fix': 'none',
    },
}
UNET = {'type': 'I2VGenUNet', 'in_dim': 384, 'out_dim': 192, 'sizes': SIZES}
CONTROL = {
    'type': 'EstimateControlNet',
    'estimator': ESTIMATOR,
    'controlnet': {
        'type': 'UNetControlNet',
        'in_dim': 384,
        'sizes': SIZES,
        'dropout': 0.0,
    },
    'schedule': SCHEDULE,
    'patch_size': 8,
    'residual_std': [0.1] * 192,
}
TEACHER = {
    'type': 'STARModel',
    'autoencoder': {'type': 'PatchDCT', 'patch_size': 8},
    'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 8},
    'backbone': {'type': 'EstimateUNet', 'unet': UNET},
    'controlnet': CONTROL,
    'schedule': SCHEDULE,
}
OPTIONS = RestoreOptions(
    sampler='ddim', mode='normal', steps=2, guidance_scale=1, color_fix='none'
)


def teacher(std=0.1):
    torch.manual_seed(0)
    config = copy.deepcopy(TEACHER)
    config['controlnet']['residual_std'] = [std] * 192
    model = MODELS.build(config).eval()
    randomize(model.controlnet.estimator)
    return model


def latents(seed=0, n=1):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(n, 192, 3, 4, 2, generator=generator)


@torch.no_grad()
def test_the_denoiser_shows_what_its_last_layer_sees():
    denoiser = randomize(CompactDenoiser(48, 8, 4, 2))
    z_t, z_lq = torch.randn(2, 2, 48, 3, 6, 5)
    t = torch.tensor([3, 9])
    v, seen = run_denoiser(denoiser, z_t, t, z_lq)
    expected = denoiser(z_t, t, None, z_lq)
    assert torch.allclose(v, expected, atol=1e-5)
    assert seen.shape == (2, 8, 3, 6, 5)


@torch.no_grad()
def test_without_a_residual_a_new_model_restores_as_its_estimator():
    model = teacher(std=1e-5)
    lq = torch.randint(256, (3, 3, 8, 8), dtype=torch.uint8)
    estimator = model.controlnet.estimator
    expected = estimator.restore(lq).float()
    found = model.restore(lq, OPTIONS).float()
    assert (found - expected).abs().max() <= 1


@torch.no_grad()
@pytest.mark.parametrize('t', [0, 450, 899])
def test_a_new_model_knows_the_estimate_and_its_deviation(t):
    model, z_lq = teacher(), latents()
    z, _ = model.controlnet.estimate(z_lq)
    when = torch.tensor([t])
    z_t = model.schedule.add_noise(z, latents(1), when)
    text = model.text_encoder([''])
    v = model.velocity(z_t, when, (text, text), z_lq)
    x0 = model.schedule.to_x0(z_t, v, when)
    std, (alpha, sigma) = 0.1, model.schedule.at(t)
    gain = alpha * std**2 / (alpha**2 * std**2 + sigma**2)
    expected = z + gain * (z_t - alpha * z)
    assert torch.allclose(x0, expected, atol=1e-4)


def test_the_estimator_does_not_learn():
    model = teacher().train()
    text = model.text_encoder([''])
    t, z = torch.tensor([300]), latents()
    for _ in range(2):  # the second has left the zeros of a new model
        v = model.velocity(latents(1), t, (text, text), z)
        v.square().sum().backward()
        with torch.no_grad():
            for parameter in model.parameters():
                if parameter.grad is not None:
                    parameter -= 1e-3 * parameter.grad.sign()
    learnt = {n for n, p in model.named_parameters() if p.grad is not None}
    own = {n for n, p in model.named_parameters() if p.requires_grad}
    assert not any('estimator' in name for name in own)
    assert learnt == own


@torch.no_grad()
def test_an_estimate_is_kept_for_the_clip_alone():
    control = teacher().controlnet
    first, _ = control.estimate(latents())
    again, _ = control.estimate(latents())
    other, _ = control.estimate(latents(1))
    assert again is first
    assert not torch.equal(other, first)


def test_wrong_options():
    wrong = {k: v for k, v in CONTROL.items() if k != 'type'}
    with pytest.raises(ValueError, match='`residual_std` must be 192'):
        EstimateControlNet(**{**wrong, 'residual_std': [0.1] * 48})
    unet = {**ESTIMATOR, 'backbone': {**UNET, 'in_dim': 48, 'out_dim': 48}}
    with pytest.raises(ValueError, match='`estimator` must have a Compact'):
        EstimateControlNet(**{**wrong, 'estimator': unet})
