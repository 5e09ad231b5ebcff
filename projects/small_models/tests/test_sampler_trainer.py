import pytest
import torch

from projects.small_models.sampler_trainer import SamplerTrainer
from star.structures import VideoSample
from tests.test_models.networks import randomize

STAR = {
    'type': 'STARModel',
    'autoencoder': {'type': 'PatchDCT', 'patch_size': 4},
    'text_encoder': {'type': 'ConstantTextEncoder', 'dim': 8},
    'backbone': {
        'type': 'CompactDenoiser',
        'in_dim': 48,
        'dim': 8,
        'num_conv': 2,
    },
    'controlnet': {'type': 'LatentConcat'},
    'schedule': {'type': 'I2VGenSchedule'},
}
PREPROCESSOR = {'type': 'VideoDataPreprocessor', 'scale': 1}
L1 = dict.fromkeys(('lpips', 'temporal', 'gradient', 'grid'), 0.0)
L1 |= {'type': 'RestorationLoss', 'l1': 2.0}


def trainer(**options):
    torch.manual_seed(0)
    model = SamplerTrainer(
        star=STAR, data_preprocessor=PREPROCESSOR, loss=L1, **options
    )
    randomize(model.star)
    return model


def batch():
    generator = torch.Generator().manual_seed(0)
    gt, lq = torch.randint(
        256, (2, 2, 3, 32, 32), generator=generator, dtype=torch.uint8
    )
    data = {'inputs': [lq], 'data_samples': [VideoSample(gt=gt)]}
    inputs = trainer().data_preprocessor(data, True)
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
    torch.randint(1, ())  # the number of steps
    text = star.text_encoder([''])
    timesteps = {1: [(899, None)], 2: [(899, 599), (599, None)]}[steps]
    with torch.no_grad():
        z_lq = star.autoencoder.encode(inputs)
        alpha, sigma = schedule.at(899)
        x = alpha * z_lq + sigma * torch.randn_like(z_lq)
        for t, following in timesteps:
            number = torch.tensor([t])
            v = star.velocity(x, number, (text, text), z_lq)
            x0 = schedule.to_x0(x, v, number)
            if following is not None:
                alpha, sigma = schedule.at(t)
                noise = sigma * x + alpha * v
                alpha, sigma = schedule.at(following)
                x = alpha * x0 + sigma * noise
        pred = star.autoencoder.decode(x0)
    gt = model.data_preprocessor.stack(samples, 'gt')
    l1 = (pred - gt).abs().mean().item()
    weight = 0.1 / ((inputs - gt).abs().mean().item() + 0.01)
    found = losses(model)
    assert found['l1'].item() == pytest.approx(l1, 1e-4)
    expected = 2 * weight * l1
    assert found['loss_restoration'].item() == pytest.approx(expected, 1e-4)
    mse = (pred.clamp(-1, 1) - gt).square().mean()
    psnr = (10 * torch.log10(4 / mse)).item()
    assert found['psnr'].item() == pytest.approx(psnr, 1e-4)


def test_the_backbone_learns_and_nothing_else():
    model = trainer(steps=(2,))
    model.parse_losses(losses(model))[0].backward()
    reached = {
        name
        for name, parameter in model.named_parameters()
        if parameter.grad is not None and parameter.grad.abs().max() > 0
    }
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    assert reached == learning
    assert {n.split('.')[1] for n in learning} == {'backbone'}


def test_strength_sets_the_first_timestep():
    assert trainer(strength=0.1, steps=(1, 2)).timesteps == [
        [90],
        [90, pytest.approx(90 - 91 / 3)],
    ]


def test_starts_from_a_file(tmp_path):
    model = trainer()
    path = tmp_path / 'star.pth'
    torch.save(model.star.state_dict(), path)
    again = SamplerTrainer(star=STAR, loss=L1, pretrained=str(path))
    for name, value in again.star.state_dict().items():
        assert torch.equal(value, model.star.state_dict()[name])


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'strength': 0.0}, r'`strength` must be above 0'),
        ({'steps': ()}, r'`steps` must be positive'),
        ({'steps': (0, 2)}, r'`steps` must be positive'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        trainer(**options)


def test_unknown_mode():
    with pytest.raises(ValueError, match=r"`mode` must be 'loss'"):
        trainer()(torch.zeros(1, 3, 1, 8, 8), [], mode='predict')
