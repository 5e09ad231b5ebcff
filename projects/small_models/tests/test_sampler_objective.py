import pytest
import torch

from projects.small_models.tests.test_sampler_trainer import STAR, batch
from star.registry import MODELS
from tests.test_models.networks import randomize

OPTIONS = {
    'sampler': 'ddim',
    'mode': 'normal',
    'steps': 2,
    'strength': 0.5,
    'guidance_scale': 1,
    'noise': 'none',
}


def model(losses, options=None):
    torch.manual_seed(0)
    config = {
        **STAR,
        'losses': losses,
        'restore_options': {**OPTIONS, **(options or {})},
    }
    return randomize(MODELS.build(config))


def losses_of(star):
    inputs, samples = batch()
    for i, sample in enumerate(samples):
        sample.seed = i
    return star(inputs, samples, 'loss')


def own(**options):
    return {'type': 'SamplerObjective', 'own_share': 1.0, **options}


def test_without_own_states_it_is_the_training_of_star():
    frequency = {'type': 'DynamicFrequencyLoss'}
    expected = losses_of(model({'frequency': frequency}))
    found = losses_of(model(own(own_share=0.0, frequency=frequency)))
    assert found.pop('loss_latent') == 0
    assert found.keys() == expected.keys()
    for name, value in expected.items():
        assert found[name].item() == pytest.approx(value.item(), 1e-5)


@torch.no_grad()
def test_own_states_are_those_of_a_restoration():
    star = model(own(latent_weight=3.0))
    inputs, samples = batch()
    z_lq = star.autoencoder.encode(inputs)
    gt = star.data_preprocessor.stack(samples, 'gt')
    z0 = star.autoencoder.encode(gt)
    text = star.text_encoder([''])
    schedule, (first, last) = star.schedule, (450, 450 - 451 / 3)
    x = schedule.at(first)[0] * z_lq
    errors = []
    for t in (first, last):
        when = torch.tensor([round(t)])
        v = star.velocity(x, when, (text, text), z_lq)
        x0 = schedule.to_x0(x, v, when)
        errors.append(3 * (x0 - z0).square().mean().item())
        before, after = schedule.at(first), schedule.at(last)
        keep = after[1] / before[1]
        x = keep * x + (after[0] - keep * before[0]) * x0
    found = {round(losses_of(star)['loss_latent'].item(), 4)}
    for seed in range(1, 8):
        samples[0].seed = seed
        loss = star(inputs, samples, 'loss')['loss_latent']
        found.add(round(loss.item(), 4))
    assert sorted(found) == pytest.approx(sorted(errors), rel=1e-3)


def test_losses_on_pixels_see_the_timestep_of_the_own_state():
    frequency = {'type': 'DynamicFrequencyLoss', 'beta': 1.0}
    star = model(own(frequency=frequency), {'steps': 1})
    weight = losses_of(star)['frequency_weight'].item()
    assert weight == pytest.approx(1 - 450 / 999, 1e-5)


@pytest.mark.parametrize(
    ('losses', 'options', 'message'),
    [
        (own(own_share=1.5), {}, '`own_share` must lie in'),
        (own(latent_weight=-1.0), {}, '`latent_weight` must not be negative'),
        (own(), {'sampler': 'heun'}, "must have the sampler 'ddim'"),
        (own(), {'guidance_scale': 2}, '`guidance_scale` 1'),
    ],
)
def test_wrong_options(losses, options, message):
    with pytest.raises(ValueError, match=message):
        model(losses, options)
