import pytest
import torch

from projects.small_models.sampler_trainer import SamplerTrainer
from projects.small_models.tests.test_autoencoder_init import natural_frames
from projects.small_models.tests.test_autoencoder_trainer import VAE
from star.models.data_preprocessor import to_uint8
from star.structures import VideoSample
from tests.test_models.networks import randomize

SIZES = {
    'dim': 32,
    'dim_mult': (1, 1),
    'num_res_blocks': 1,
    'head_dim': 8,
    'num_heads': 2,
    'context_dim': 8,
    'dropout': 0.0,
    'norm_groups': 4,
}
STAR = {
    'type': 'STARModel',
    'autoencoder': VAE,
    'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 8},
    'backbone': {'type': 'I2VGenUNet', 'in_dim': 8, 'out_dim': 8, **SIZES},
    'controlnet': {'type': 'UNetControlNet', 'in_dim': 8, **SIZES},
    'schedule': {'type': 'NoiseSchedule'},
}
PREPROCESSOR = {'type': 'VideoDataPreprocessor', 'scale': 1}


def trainer(**options):
    options = {'clean': 0.0, **options}
    torch.manual_seed(0)
    model = SamplerTrainer(
        star=STAR, data_preprocessor=PREPROCESSOR, **options
    )
    randomize(model.star)
    return model


def batch():
    gt = to_uint8(natural_frames(2))[..., :24, :16]
    lq = gt.flip(-1)
    data = {'inputs': [lq], 'data_samples': [VideoSample(gt=gt)]}
    inputs = SamplerTrainer(
        star=STAR, data_preprocessor=PREPROCESSOR
    ).data_preprocessor(data, True)
    return inputs['inputs'], inputs['data_samples']


def losses(model, seed=1):
    inputs, samples = batch()
    torch.manual_seed(seed)
    return model(inputs, samples, 'loss')


@pytest.mark.parametrize('steps', [1, 2])
def test_loss_is_that_of_the_restored_clip(steps):
    model = trainer(steps=(steps,))
    inputs, samples = batch()
    star, schedule = model.star, model.star.schedule
    torch.manual_seed(1)
    torch.rand(()), torch.randint(1, ())  # the share and the number of steps
    text = star.text_encoder([''])
    with torch.no_grad():
        z_lq = star.autoencoder.encode(inputs)
        x = schedule.at(899)[0] * z_lq
        x = x + schedule.at(899)[1] * torch.randn_like(z_lq)
        for t, following in [(899, 599), (599, None)][-steps:]:
            if steps == 1:
                t = 899
            number = torch.tensor([t])
            v = star.velocity(x, number, (text, text), z_lq)
            x0 = schedule.to_x0(x, v, number)
            if following is not None:
                noise = schedule.to_noise(x, v, number)
                alpha, sigma = schedule.at(following)
                x = alpha * x0 + sigma * noise
        pred = star.autoencoder.decode(x0)
    gt = model.data_preprocessor.stack(samples, 'gt')
    expected = (pred - gt).abs().mean().item()
    assert losses(model)['loss_pixel'].item() == pytest.approx(expected, 1e-4)


def test_gradient_reaches_networks_and_decoder_alone():
    model = trainer(steps=(2,))
    model.parse_losses(losses(model))[0].backward()
    reached = {
        name
        for name, parameter in model.star.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().max() > 0
    }
    parts = {name.split('.')[0] for name in reached}
    assert parts == {'autoencoder', 'backbone', 'controlnet'}
    decoder = 'autoencoder.vae.decoder.'
    kept = (f'{decoder}mid_block.', f'{decoder}up_blocks.')
    own = {n for n in reached if n.startswith('autoencoder.')}
    assert own
    assert all(name.startswith(kept) for name in own)


@pytest.mark.parametrize(
    ('trained', 'expected'),
    [
        (('decoder',), {'autoencoder'}),
        (('backbone', 'controlnet'), {'backbone', 'controlnet'}),
        (('backbone',), {'backbone'}),
    ],
)
def test_trained_parts(trained, expected):
    model = trainer(trained=trained)
    model.parse_losses(losses(model))[0].backward()
    parts = {
        name.split('.')[0]
        for name, parameter in model.star.named_parameters()
        if parameter.grad is not None
    }
    assert parts == expected


def test_autoencoder_works_in_full_precision():
    model = trainer(clean=1.0)
    plain = losses(model)['loss_pixel']
    with torch.autocast('cpu', torch.bfloat16):
        assert torch.equal(losses(model)['loss_pixel'], plain)


def test_strength_sets_the_first_timestep():
    assert trainer(strength=0.1, steps=(1, 2)).timesteps == [
        [90],
        [90, pytest.approx(90 - 91 / 3)],
    ]


def test_clean_batches_do_not_ask_the_networks():
    model = trainer(clean=1.0)
    model.parse_losses(losses(model))[0].backward()
    assert all(p.grad is None for p in model.star.backbone.parameters())


def test_restoration_loss():
    zeros = dict.fromkeys(('lpips', 'temporal', 'gradient', 'grid'), 0.0)
    loss = {'type': 'RestorationLoss', 'l1': 2.0, **zeros, 'patch': 1}
    plain, weighted = trainer(), trainer(loss=loss)
    inputs, samples = batch()
    gt = plain.data_preprocessor.stack(samples, 'gt')
    weight = 0.1 / ((inputs - gt).abs().mean().item() + 0.01)
    expected = 2 * weight * losses(plain)['loss_pixel'].item()
    found = losses(weighted)
    assert found['loss_restoration'].item() == pytest.approx(expected)
    assert found['l1'].item() * 2 * weight == pytest.approx(expected)
    assert found['psnr'].item() == pytest.approx(losses(plain)['psnr'].item())


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'sampler': 'euler'}, r"`sampler` .* 'euler'"),
        ({'strength': 0.0}, r'`strength` must be above 0'),
        ({'steps': ()}, r'`steps` must be positive'),
        ({'trained': ()}, r'`trained` must be of'),
        ({'trained': ('encoder',)}, r"`trained` must be of .* \('encoder'"),
        ({'steps': (0, 2)}, r'`steps` must be positive'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        trainer(**options)


def test_unknown_mode():
    with pytest.raises(ValueError, match=r"`mode` must be 'loss'"):
        trainer()(torch.zeros(1, 3, 1, 8, 8), [], mode='predict')
