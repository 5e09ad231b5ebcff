import math

import pytest
import torch
import torch.nn.functional as F

from projects.small_models.autoencoder_trainer import (
    AutoencoderTrainer,
    gradient_loss,
)
from projects.small_models.tests.test_autoencoder_init import natural_frames
from star.models.data_preprocessor import to_uint8
from star.structures import VideoSample

VAE = {
    'type': 'TemporalVAE',
    'latent_channels': 8,
    'block_out_channels': (32,),
    'layers_per_block': 1,
    'scaling_factor': 1.0,
    'patch_size': 4,
    'norm_groups': 1,
    'mid_attention': False,
    'decode_chunk': 2,
}


def trainer(**options):
    torch.manual_seed(0)
    return AutoencoderTrainer(autoencoder=VAE, **options)


def batches(count=3):
    clips = to_uint8(natural_frames(2 * count)).split(2)
    return [
        {'inputs': [clip], 'data_samples': [VideoSample(gt=clip)]}
        for clip in clips
    ]


def test_gradient_loss():
    ramp = torch.arange(4.0).expand(1, 3, 2, 5, 4)
    assert gradient_loss(ramp, ramp + 7).item() == 0
    assert gradient_loss(ramp, 0 * ramp).item() == 1  # horizontal only
    both = ramp + 2 * torch.arange(5.0)[:, None]
    assert gradient_loss(both, 0 * both).item() == 3


def test_only_the_decoders_branches_learn():
    model = trainer()
    learning = {n for n, p in model.named_parameters() if p.requires_grad}
    assert learning
    decoder = 'autoencoder.vae.decoder.'
    kept = (f'{decoder}mid_block.', f'{decoder}up_blocks.')
    everything = {n for n, _ in model.named_parameters()}
    assert learning == {n for n in everything if n.startswith(kept)}


def test_starts_from_its_data():
    model = trainer()
    model.init_from_data(batches())
    inputs = model.data_preprocessor(batches()[0], True)['inputs']
    with torch.no_grad():
        pred = model(inputs, [], 'tensor')
    assert pred.shape == inputs.shape
    error = (pred - inputs).square().mean()
    assert error < 0.2 * inputs.var()  # 8 of 48 components


def test_losses():
    model = trainer(latent_noise=0.0, gradient_weight=0.25)
    model.init_from_data(batches())
    inputs = model.data_preprocessor(batches()[0], True)['inputs']
    losses = model(inputs, [], 'loss')
    with torch.no_grad():
        pred = model(inputs, [], 'tensor')
    expected = {
        'loss_pixel': F.l1_loss(pred, inputs).item(),
        'loss_gradient': 0.25 * gradient_loss(pred, inputs).item(),
        'psnr': 10
        * math.log10(4 / F.mse_loss(pred.clamp(-1, 1), inputs).item()),
    }
    assert {k: v.item() for k, v in losses.items()} == pytest.approx(expected)
    total, _ = model.parse_losses(losses)
    summed = expected['loss_pixel'] + expected['loss_gradient']
    assert total.item() == pytest.approx(summed)


def test_noise_on_the_latents():
    model = trainer(latent_noise=0.5)
    model.init_from_data(batches())
    inputs = model.data_preprocessor(batches()[0], True)['inputs']
    torch.manual_seed(3)
    noisy = model(inputs, [], 'loss')['loss_pixel'].item()
    torch.manual_seed(3)
    level = 0.5 * torch.rand(1, 1, 1, 1, 1)
    with torch.no_grad():
        z = model.autoencoder.encode(inputs)
        pred = model.autoencoder.decode(z + level * torch.randn_like(z))
    assert noisy == pytest.approx(F.l1_loss(pred, inputs).item())


def test_learns():
    model = trainer(latent_noise=0.0)
    data = batches(1)
    model.init_from_data(data)
    inputs = model.data_preprocessor(data[0], True)['inputs']
    parameters = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.Adam(parameters, lr=3e-3)
    history = []
    for _ in range(20):
        losses = model(inputs, [], 'loss')
        optimizer.zero_grad()
        model.parse_losses(losses)[0].backward()
        optimizer.step()
        history.append(losses['psnr'].item())
    assert history[-1] > history[0] + 1


def test_unknown_mode():
    with pytest.raises(ValueError, match=r'`mode` .* predict'):
        trainer()(torch.zeros(1, 3, 1, 4, 4), [], mode='predict')
