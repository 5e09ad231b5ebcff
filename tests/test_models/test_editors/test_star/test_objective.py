"""STARModel as it is trained: draws, caches, pixels, what learns."""

import numpy as np
import pytest
import torch
from torch import nn

from star.models.autoencoders.temporal_vae import TemporalVAE
from star.models.editors.star.objective import Objective
from star.models.editors.star.random_state import ClipRandom
from star.models.losses.dynamic_frequency_loss import DynamicFrequencyLoss
from star.structures import VideoSample
from tests.test_models.fakes import random_clip, small_model

FREQUENCY = {'type': 'DynamicFrequencyLoss', 'cutoff': 0.3}
PIXELS = {'type': 'PerceptualLoss', 'lpips': 0, 'l1': 0.5, 'temporal': 2.0}


class SampledFolding(nn.Module):
    """Latents with noise, from one generator for each clip."""

    downsample, temporal_downsample, latent_channels = 1, 1, 3

    def encode(self, x, generator=None, tile=0):
        noise = [torch.randn(x.shape[1:], generator=g) for g in generator]
        return x + 0.1 * torch.stack(noise)

    def decode(self, z, tile=0):
        return z


def samples_of(seeds, frames=3, height=8, width=8):
    return [
        VideoSample(
            gt=random_clip(frames, height, width, seed),
            prompt='a' * (seed % 5),
            name=f'clip {seed}',
            seed=seed,
        )
        for seed in seeds
    ]


def batch_of(model, seeds, **options):
    samples = samples_of(seeds, **options)
    data = {
        'inputs': [
            random_clip(*s.gt.shape[::2], s.gt.shape[3], s.seed + 50)
            for s in samples
        ],
        'data_samples': samples,
    }
    return model.data_preprocessor(data, True)


def losses_of(model, batch):
    found = model(**batch, mode='loss')
    return {key: value.item() for key, value in found.items()}


def full_model(**losses):
    """With losses on pixels; nothing learns but ControlNet and LIEM."""
    return small_model(
        training={
            'losses': {
                'frequency': FREQUENCY,
                'perceptual': PIXELS,
                'window': {'num_frames': 2, 'crop_size': 4},
                **losses,
            },
            'frozen': {
                'autoencoder': (),
                'text_encoder': (),
                'backbone': ('liem',),
            },
        }
    ).train()


def test_names_of_the_losses():
    model = full_model()
    found = losses_of(model, batch_of(model, [1, 2]))
    assert list(found) == [
        'loss_velocity',
        'loss_frequency',
        'frequency_low',
        'frequency_high',
        'frequency_weight',
        'loss_perceptual',
        'perceptual_l1',
        'perceptual_temporal',
    ]
    assert all(value > 0 for value in found.values())


def test_a_batch_is_the_mean_of_its_clips():
    """Two ranks with one clip each equal one rank with two."""
    model = full_model()
    both = losses_of(model, batch_of(model, [1, 2]))
    single = [losses_of(model, batch_of(model, [seed])) for seed in (1, 2)]
    for key, value in both.items():
        parts = [one[key] for one in single]
        assert parts[0] != pytest.approx(parts[1], rel=1e-3), key
        assert value == pytest.approx(np.mean(parts), rel=1e-5), key


def test_draws_do_not_depend_on_the_global_state():
    model = full_model()
    first = losses_of(model, batch_of(model, [3]))
    torch.randn(5)
    assert losses_of(model, batch_of(model, [3])) == first
    assert losses_of(model, batch_of(model, [4])) != first


def test_without_seeds_the_global_state_decides():
    model = full_model()
    batch = batch_of(model, [3, 3])
    for sample in batch['data_samples']:
        sample.seed = None
    found = []
    for seed in (1, 1, 2):
        torch.manual_seed(seed)
        found.append(losses_of(model, batch))
    assert found[0] == found[1] != found[2]


def test_posterior_of_each_clip_is_its_own():
    model = full_model()
    model.autoencoder = SampledFolding()
    both = losses_of(model, batch_of(model, [1, 2]))
    single = [losses_of(model, batch_of(model, [seed])) for seed in (1, 2)]
    for key, value in both.items():
        mean = np.mean([one[key] for one in single])
        assert value == pytest.approx(mean, rel=1e-5), key


def test_temporal_vae_takes_a_generator_for_each_clip():
    torch.manual_seed(0)
    vae = TemporalVAE(
        block_out_channels=(32, 32),
        layers_per_block=1,
        norm_groups=8,
        posterior='sample',
    ).eval()
    clips = torch.rand(2, 3, 2, 8, 8)

    def generators():
        return [torch.Generator().manual_seed(seed) for seed in (5, 6)]

    with torch.no_grad():
        both = vae.encode(clips, generators())
        for i, generator in enumerate(generators()):
            alone = vae.encode(clips[i : i + 1], [generator])
            torch.testing.assert_close(both[i : i + 1], alone)
        same = [torch.Generator().manual_seed(5) for _ in range(2)]
        again = vae.encode(clips[:1].repeat(2, 1, 1, 1, 1), same)
    torch.testing.assert_close(again[0], again[1])
    assert not torch.allclose(again[0, :, 0], again[0, :, 1], atol=0.01)


@pytest.mark.parametrize('sampled', [False, True])
def test_cached_latents_give_the_same_losses(sampled):
    model = full_model()
    if sampled:
        model.autoencoder = SampledFolding()
    batch = batch_of(model, [1, 2])
    expected = losses_of(model, batch)
    gt = model.data_preprocessor.stack(batch['data_samples'], 'gt')
    for i, sample in enumerate(batch['data_samples']):
        posterior = [ClipRandom(sample.seed, torch.device('cpu')).posterior]
        sample.z0 = model.autoencoder.encode(gt[i : i + 1], posterior)[0]
        sample.z_lq = model.autoencoder.encode(
            batch['inputs'][i : i + 1], posterior
        )[0]
        sample.text = model.text_encoder([sample.prompt])[0]
        sample.prompt = 'unused'
    model.text_encoder.asked.clear()
    model.autoencoder.encode = None  # would fail if called
    found = losses_of(model, {**batch, 'inputs': None})
    assert found == pytest.approx(expected, rel=1e-6)
    assert model.text_encoder.asked == []


def test_cached_latents_need_no_clips_for_the_velocity():
    model = small_model().train()
    batch = batch_of(model, [1])
    expected = losses_of(model, batch)
    sample = batch['data_samples'][0]
    sample.z0 = model.data_preprocessor.stack([sample], 'gt')[0].half()
    sample.z_lq = batch['inputs'][0].half()
    sample.gt = None
    found = losses_of(model, {'inputs': None, 'data_samples': [sample]})
    assert found == pytest.approx(expected, rel=1e-2)


@pytest.mark.parametrize('cached', [False, True])
def test_missing_clips(cached):
    model = full_model()
    batch = batch_of(model, [1, 2])
    for sample in batch['data_samples']:
        if cached:
            sample.z0 = sample.z_lq = torch.zeros(3, 3, 8, 8)
    batch['data_samples'][1].gt = None
    with pytest.raises(ValueError, match="`gt` of every clip, 'clip 2'"):
        model(**batch, mode='loss')


def test_neither_inputs_nor_latents():
    model = full_model()
    batch = batch_of(model, [1, 2])
    batch['data_samples'][0].z0 = torch.zeros(3, 3, 8, 8)
    with pytest.raises(ValueError, match='`inputs` need cached latents'):
        model(None, batch['data_samples'], mode='loss')


def test_losses_on_pixels_compare_the_estimate_of_x0():
    """With an autoencoder that folds only, pixels are latents."""
    model = full_model(window={}, perceptual=None)
    batch = batch_of(model, [1, 2])
    found = losses_of(model, batch)
    z0 = model.data_preprocessor.stack(batch['data_samples'], 'gt')
    draws = [ClipRandom(seed, torch.device('cpu')) for seed in (1, 2)]
    t = model.objective.draw_timesteps(draws)
    noise = torch.stack([d.noise(z0.shape[1:]) for d in draws])
    z_t = model.schedule.add_noise(z0, noise, t)
    text = model.text_encoder(['a', 'aa'])
    with torch.no_grad():
        v = model.velocity(z_t, t, (text, text), batch['inputs'])
        alpha = model.schedule.alpha[t].view(2, 1, 1, 1, 1)
        x0 = alpha * z_t - (1 - alpha**2).sqrt() * v
        expected = DynamicFrequencyLoss(cutoff=0.3)(x0, z0, t).item()
    assert found['loss_frequency'] == pytest.approx(expected, rel=1e-4)


@pytest.mark.parametrize('key', ['loss_frequency', 'loss_perceptual'])
def test_pixels_teach_the_control_net_and_liem_alone(key):
    """The gradient passes the frozen decoder and the frozen backbone."""
    model = full_model()
    model(**batch_of(model, [1, 2]), mode='loss')[key].backward()
    taught = {n for n, p in model.named_parameters() if p.grad is not None}
    expected = {
        name
        for name, _ in model.named_parameters()
        if name.startswith('controlnet.') or '.local' in name
    }
    assert taught == expected
    gates = [n for n in taught if n.startswith('backbone.')]
    assert len(gates) == 14
    for name, parameter in model.named_parameters():
        if name in gates or name.endswith('input_blocks.0.conv.weight'):
            has = parameter.grad is not None and parameter.grad.any()
            assert has == parameter.requires_grad, name


def test_what_learns_is_named_by_class():
    model = full_model()
    for name, parameter in model.named_parameters():
        learns = name.startswith('controlnet.') or '.local' in name
        assert parameter.requires_grad == learns, name
    assert not model.backbone.training
    liem = [m for m in model.modules() if type(m).__name__ == 'LIEM']
    assert len(liem) == 22
    assert all(module.training for module in liem)
    assert model.controlnet.training
    assert not any(module.training for module in model.eval().modules())


def test_range_of_timesteps():
    draws = [ClipRandom(seed, torch.device('cpu')) for seed in range(300)]
    t = Objective(t_range=(10, 13)).draw_timesteps(draws)
    assert sorted(set(t.tolist())) == [10, 11, 12, 13]
    draws = [ClipRandom(seed, torch.device('cpu')) for seed in range(300)]
    t = Objective().draw_timesteps(draws)
    assert t.min() < 30 and t.max() > 970
    assert t.float().mean().item() == pytest.approx(499.5, abs=50)


@pytest.mark.parametrize('t_range', [(5,), (-1, 5), (6, 5), (0, 1000)])
def test_wrong_range_of_timesteps(t_range):
    with pytest.raises(ValueError, match='`t_range`'):
        Objective(t_range=t_range)


def test_bfloat16():
    """Under autocast every loss is still float32, and close."""
    model = full_model()
    batch = batch_of(model, [1, 2])
    expected = losses_of(model, batch)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        found = model(**batch, mode='loss')
    for key, value in found.items():
        assert value.dtype == torch.float32, key
        assert value.item() == pytest.approx(expected[key], rel=0.05), key
    sum(v for k, v in found.items() if 'loss' in k).backward()
