"""DecoderDistillation: what is decoded, compared and learnt."""

import pytest
import torch

from star.models.editors.star.decode_window import DecodeWindow
from star.models.editors.star.decoder_distillation import (
    DecoderDistillation,
    draw_crop,
    psnr,
)
from star.models.editors.star.random_state import ClipRandom
from star.structures import VideoSample
from tests.test_models.fakes import random_clip

VAE = dict(
    type='TemporalVAE',
    block_out_channels=(32, 32),
    layers_per_block=1,
    scaling_factor=0.5,
)
SMALL = dict(type='SmallDecoder', widths=(8,), blocks=(1,))
LOSS = dict(type='PerceptualLoss', lpips=0, l1=1.0, temporal=2.0)


def build(**options):
    torch.manual_seed(0)
    settings = dict(autoencoder=VAE, decoder=SMALL, loss=LOSS) | options
    return DecoderDistillation(**settings).train()


def samples_of(seeds, frames=3, side=8, cached=False):
    samples = [
        VideoSample(
            gt=random_clip(frames, side, side, seed),
            prompt='',
            name=f'clip {seed}',
            seed=seed,
        )
        for seed in seeds
    ]
    if cached:
        for sample in samples:
            source = torch.Generator().manual_seed(sample.seed)
            shape = (4, frames, side // 2, side // 2)
            sample.z0, sample.z_lq = torch.randn(2, *shape, generator=source)
            sample.gt = None
    return samples


def test_compares_what_both_decoders_give():
    model = build(sources=['z0'])
    samples = samples_of([3, 4], cached=True)
    found = model(None, samples)
    z = torch.stack([sample.z0 for sample in samples])
    with torch.no_grad():
        wanted = model.autoencoder.decode(z)
        pred = model.decoder(z)[0]
    error = pred - wanted
    expected = error.abs().mean() + 2 * error.diff(dim=2).abs().mean()
    torch.testing.assert_close(found['loss_perceptual'], expected)
    torch.testing.assert_close(found['psnr'], psnr(pred, wanted))


def test_psnr_is_that_of_clamped_clips():
    found = torch.tensor([3.0, 0.5])
    wanted = torch.tensor([1.0, 0.0])
    assert psnr(found, wanted) == pytest.approx(
        10 * torch.tensor(4 / 0.125).log10().item()
    )


def test_only_the_small_decoder_learns():
    model = build()
    assert not any(m.training for m in model.autoencoder.modules())
    losses = model(None, samples_of([1], cached=True))
    losses['loss_perceptual'].backward()
    assert all(p.grad is None for p in model.autoencoder.parameters())
    assert all(p.grad is not None for p in model.decoder.parameters())
    assert not losses['psnr'].requires_grad


def test_encodes_what_is_not_cached():
    """The two sources are the ground truth and the enlarged input."""
    for source in ('z0', 'z_lq'):
        model = build(sources=[source])
        samples = samples_of([5])
        inputs = torch.rand(1, 3, 3, 8, 8) * 2 - 1
        found = model(inputs, samples)['psnr']
        clip = inputs
        if source == 'z0':
            clip = model.data_preprocessor.stack(samples, 'gt')
        z = model.autoencoder.encode(clip)
        other = psnr(model.decoder(z)[0], model.autoencoder.decode(z))
        torch.testing.assert_close(found, other.detach())


def test_a_clip_is_treated_alike_in_any_batch():
    """Its crop, its source and its latents depend on its seed."""
    window = dict(num_frames=2, crop_size=(4, 4), margin=1)
    loss = dict(LOSS, temporal=0)
    model = build(window=window, loss=loss)
    together = model(None, samples_of([1, 2, 3], cached=True))
    alone = [model(None, samples_of([n], cached=True)) for n in (1, 2, 3)]
    torch.testing.assert_close(
        together['loss_perceptual'],
        torch.stack([each['loss_perceptual'] for each in alone]).mean(),
    )


class Factors:
    """Factors of an autoencoder."""

    downsample = 8

    def __init__(self, ratio):
        self.temporal_downsample = ratio


def test_crops_keep_a_margin_for_both_decoders():
    window = DecodeWindow(num_frames=3, crop_size=(16, 24), margin=2)
    shape = torch.Size([4, 9, 20, 30])
    for seed in range(20):
        random = ClipRandom(seed, torch.device('cpu'))
        crop = draw_crop(random, shape, window, Factors(1))
        sizes = [s.stop - s.start for s in crop.latents]
        assert sizes == [3, 2 + 4, 3 + 4]
        frames, rows, columns = crop.kept
        assert frames == slice(None)
        assert rows.stop - rows.start == 16
        assert columns.stop - columns.start == 24
        assert rows.stop <= 48 and columns.stop <= 56


def test_a_first_latent_within_a_clip_is_context():
    window = DecodeWindow(num_frames=3)
    kept = set()
    for seed in range(20):
        random = ClipRandom(seed, torch.device('cpu'))
        crop = draw_crop(random, torch.Size([4, 5, 2, 2]), window, Factors(4))
        start = crop.latents[0].start
        kept.add((start, crop.kept[0].start, crop.kept[0].stop))
    assert kept == {(0, 0, 8), (1, 1, 9), (2, 1, 9)}


def test_latents_of_four_frames():
    small = dict(
        type='SmallDecoder', widths=(4, 4, 4), blocks=(0, 0, 0), frames=4
    )
    vae = dict(
        type='CogVideoXVAE',
        latent_channels=4,
        block_out_channels=(8, 8, 8, 8),
        layers_per_block=1,
        norm_groups=4,
    )
    model = build(autoencoder=vae, decoder=small, window=dict(num_frames=2))
    sample = VideoSample(gt=None, name='clip', seed=0)
    sample.z0 = sample.z_lq = torch.randn(4, 3, 2, 2)
    losses = model(None, [sample])
    losses['loss_perceptual'].backward()
    assert losses['psnr'] > 0
    assert all(p.grad is not None for p in model.decoder.parameters())


def test_learns():
    model = build(sources=['z0'])
    optimizer = torch.optim.Adam(model.decoder.parameters(), 1e-2)
    found = []
    for step in range(30):
        losses = model(None, samples_of([step % 2], cached=True))
        optimizer.zero_grad()
        losses['loss_perceptual'].backward()
        optimizer.step()
        found.append(losses['loss_perceptual'].item())
    assert found[-1] < 0.7 * found[0]


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(sources=[]), '`sources` must be some of z0, z_lq'),
        (dict(sources=['z']), '`sources` must be some of z0, z_lq'),
        (dict(window=dict(crop_size=(3, 4))), '`crop_size` must have'),
        (dict(decoder=dict(SMALL, frames=1, latent_channels=3)), 'channels'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_refuses_clips_that_lack_latents():
    model = build(sources=['z_lq'])
    with pytest.raises(ValueError, match=r"'clip 1' .* no cached `z_lq`"):
        model(None, samples_of([1]))
    with pytest.raises(ValueError, match="`mode` must be 'loss'"):
        model(None, samples_of([1]), 'predict')
