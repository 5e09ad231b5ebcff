"""Training where a latent stands for several frames: small CogVideoX."""

import pytest
import torch

from star.models.editors.star.random_state import ClipRandom
from star.models.editors.star.star_model import STARModel
from star.models.layers.lora import merge_lora
from star.structures import VideoSample
from tests.test_models.fakes import random_clip
from tests.test_models.test_editors.test_star.test_objective import losses_of

TRAINED = ('.lora.', '.local', '.patch_embed.proj.', '.norm_out.', '.proj_out')

CONFIG = dict(
    autoencoder={
        'type': 'CogVideoXVAE',
        'latent_channels': 4,
        'block_out_channels': (4, 4, 8),
        'layers_per_block': 1,
        'norm_groups': 2,
        'posterior': 'sample',
    },
    text_encoder={'type': 'ConstantTextEncoder', 'dim': 8},
    backbone={
        'type': 'CogVideoXDiT',
        'latent_dim': 4,
        'num_layers': 2,
        'num_heads': 2,
        'head_dim': 16,
        'time_dim': 16,
        'text_dim': 8,
        'lora': {'type': 'LoRA', 'rank': 2},
    },
    controlnet={'type': 'LatentConcat'},
    schedule={'type': 'CogVideoXSchedule'},
    losses={
        'frequency': {'type': 'DynamicFrequencyLoss'},
        'window': {'num_frames': 4, 'crop_size': 8},
    },
    restore_options={'mode': 'normal', 'window': 9, 'overlap': 5},
    frozen={
        'autoencoder': (),
        'text_encoder': (),
        'backbone': (
            *('LoRA', 'LIEM', 'PatchProjection'),
            *('AdaLayerNorm', 'FinalProjection'),
        ),
    },
)


@pytest.fixture(scope='module')
def model():
    torch.manual_seed(0)
    return STARModel(**CONFIG).train()


def batch_of(model, frames=9):
    samples = [
        VideoSample(gt=random_clip(frames, 16, 24, seed), seed=seed)
        for seed in (1, 2)
    ]
    inputs = [random_clip(frames, 16, 24, s.seed + 9) for s in samples]
    data = {'inputs': inputs, 'data_samples': samples}
    return model.data_preprocessor(data, True)


def test_the_velocity_is_compared_with_that_of_the_schedule(model):
    """The loss of the velocity, here step by step."""
    batch = batch_of(model)
    found = losses_of(model, batch)
    gt = model.data_preprocessor.stack(batch['data_samples'], 'gt')
    alphas, errors = model.schedule.alpha, []
    for i, sample in enumerate(batch['data_samples']):
        draws = ClipRandom(sample.seed, torch.device('cpu'))
        z0, z_lq = (
            model.autoencoder.encode(x[i : i + 1], [draws.posterior])
            for x in (gt, batch['inputs'])
        )
        assert z0.shape == (1, 4, 3, 4, 6)
        t = model.objective.draw_timesteps([draws])
        noise = draws.noise(z0.shape[1:])[None]
        alpha = alphas[t].item()
        sigma = (1 - alpha**2) ** 0.5
        text = torch.zeros(1, 1, 8)
        z_t = alpha * z0 + sigma * noise
        v = model.backbone(z_t, t, text, z_lq)
        errors.append((v - (alpha * noise - sigma * z0)).square().mean())
    expected = torch.stack(errors).mean().item()
    assert found['loss_velocity'] == pytest.approx(expected, rel=1e-4)
    assert found['loss_frequency'] > 0


def test_cached_latents_give_the_same_losses(model):
    batch = batch_of(model)
    expected = losses_of(model, batch)
    gt = model.data_preprocessor.stack(batch['data_samples'], 'gt')
    for i, sample in enumerate(batch['data_samples']):
        posterior = [ClipRandom(sample.seed, torch.device('cpu')).posterior]
        sample.z0, sample.z_lq = (
            model.autoencoder.encode(x[i : i + 1], posterior)[0]
            for x in (gt, batch['inputs'])
        )
        sample.text = torch.zeros(1, 8)
    found = losses_of(model, {**batch, 'inputs': None})
    assert found == pytest.approx(expected, rel=1e-5)


def test_only_what_is_named_learns(model):
    losses = model(**batch_of(model), mode='loss')
    (losses['loss_velocity'] + losses['loss_frequency']).backward()
    grads = {n for n, p in model.named_parameters() if p.grad is not None}
    model.zero_grad()
    wanted = {
        n
        for n, p in model.named_parameters()
        if n.startswith('backbone.') and any(kind in n for kind in TRAINED)
    }
    assert grads == wanted
    assert all(any(kind in n for n in wanted) for kind in TRAINED)


def test_the_frequency_loss_reaches_the_network(model):
    model(**batch_of(model), mode='loss')['loss_frequency'].backward()
    proj = model.backbone.transformer.proj_out.weight
    assert proj.grad is not None and proj.grad.abs().max() > 0
    model.zero_grad()


def test_a_clip_whose_latents_would_not_be_whole(model):
    with pytest.raises(ValueError, match='got 8') as error:
        model(**batch_of(model, 8), mode='loss')
    assert '\n' not in str(error.value)


def test_merged_updates_restore_the_same():
    """What was trained of an attention is part of its weights afterwards."""
    model = STARModel(**CONFIG).eval()
    for name, parameter in model.named_parameters():
        if name.endswith('.lora.b'):
            torch.nn.init.normal_(parameter, std=0.5)
    x = torch.randn(1, 4, 3, 4, 6)
    inputs = x, torch.tensor([7]), torch.zeros(1, 1, 8), x
    with torch.no_grad():
        before = model.backbone(*inputs)
        merge_lora(model)
        after = model.train().eval().backbone(*inputs)
    assert not any('.lora.' in name for name, _ in model.named_parameters())
    torch.testing.assert_close(after, before, rtol=1e-4, atol=1e-5)
