import numpy as np
import pytest
import torch
import torch.nn.functional as F

from projects.small_models.autoencoder_init import init_from_patches
from star.models.autoencoders.temporal_vae import TemporalVAE

PATCH, LATENT = 4, 8


def small_vae(**changes):
    options = {
        'latent_channels': LATENT,
        'block_out_channels': (32,),
        'layers_per_block': 1,
        'scaling_factor': 1.0,
        'patch_size': PATCH,
        'norm_groups': 1,
        'mid_attention': False,
        'decode_chunk': 2,
    }
    torch.manual_seed(0)
    return TemporalVAE(**{**options, **changes}).eval()


def natural_frames(count=6, side=32, seed=0):
    """Random frames with the spectrum of photographs, about [-1, 1]."""
    rng = np.random.default_rng(seed)
    rows, columns = np.meshgrid(*[np.fft.fftfreq(side)] * 2, indexing='ij')
    amplitude = 1 / np.maximum(np.hypot(rows, columns), 1 / side)
    noise = np.fft.fft2(rng.normal(size=(count, 3, side, side)))
    grey = np.fft.fft2(rng.normal(size=(count, 1, side, side)))
    frames = np.fft.ifft2((0.3 * noise + grey) * amplitude).real
    frames = (
        0.35 * frames / frames.std() + np.array([0.1, 0, -0.2])[:, None, None]
    )
    return torch.from_numpy(frames).float().clamp(-1, 1)


def patches(frames):
    """(N, C, H, W) -> one row of values per patch, channel by channel."""
    n, c, h, w = frames.shape
    x = frames.numpy().astype(np.float64)
    x = x.reshape(n, c, h // PATCH, PATCH, w // PATCH, PATCH)
    return x.transpose(0, 2, 4, 1, 3, 5).reshape(-1, c * PATCH**2)


def principal_components(frames):
    """Mean and the first components, by a singular value decomposition."""
    x = patches(frames)
    mean = x.mean(0)
    _, values, basis = np.linalg.svd(x - mean, full_matrices=False)
    return mean, basis[:LATENT], values[:LATENT] / np.sqrt(len(x) - 1)


def as_clip(frames):
    return frames.transpose(0, 1)[None]


@pytest.fixture(scope='module')
def frames():
    return natural_frames()


@pytest.mark.parametrize(
    'changes',
    [
        {},
        {'layers_per_block': 2, 'mid_attention': True},
        {'block_out_channels': (96,)},  # room for every component
    ],
)
@torch.no_grad()
def test_encodes_and_decodes_principal_components(frames, changes):
    vae = small_vae(**changes)
    init_from_patches(vae.vae, F.pixel_unshuffle(frames, PATCH))
    mean, basis, deviation = principal_components(frames)

    z = vae.encode(as_clip(frames))
    rows = z[0].permute(1, 2, 3, 0).reshape(-1, LATENT).numpy()
    parts = (patches(frames) - mean) @ basis.T
    scale = deviation**-0.5
    scale /= np.sqrt(np.mean((deviation * scale) ** 2))
    expected = parts * scale
    expected *= np.sign((expected * rows).sum(0))  # their signs are free
    assert np.abs(rows - expected).std() < 0.02 * expected.std()
    assert np.square(rows).mean() == pytest.approx(1, rel=0.03)

    out = patches(vae.decode(z)[0].transpose(0, 1))
    projected = mean + parts @ basis
    error = np.sqrt(np.mean((out - projected) ** 2))
    lost = np.sqrt(np.mean((patches(frames) - projected) ** 2))
    assert error < 0.02 * projected.std()
    assert error < 0.3 * lost  # not what limits the reconstruction


@torch.no_grad()
def test_holds_for_frames_it_has_not_seen(frames):
    vae = small_vae()
    init_from_patches(vae.vae, F.pixel_unshuffle(frames, PATCH))
    mean, basis, _ = principal_components(frames)
    others = natural_frames(seed=1)
    out = patches(vae.decode(vae.encode(as_clip(others)))[0].transpose(0, 1))
    projected = mean + (patches(others) - mean) @ basis.T @ basis
    assert np.sqrt(np.mean((out - projected) ** 2)) < 0.02 * projected.std()


@torch.no_grad()
def test_frames_do_not_mix_at_first(frames):
    vae = small_vae()
    init_from_patches(vae.vae, F.pixel_unshuffle(frames, PATCH))
    clip = as_clip(frames)
    together = vae.decode(vae.encode(clip))
    for i in range(clip.shape[2]):
        alone = vae.decode(vae.encode(clip[:, :, i : i + 1]))
        torch.testing.assert_close(together[:, :, i], alone[:, :, 0])


def test_the_branches_can_learn(frames):
    vae = small_vae()
    init_from_patches(vae.vae, F.pixel_unshuffle(frames, PATCH))
    clip = as_clip(frames[:2])
    (vae.decode(vae.encode(clip)) - clip).square().mean().backward()
    last = [
        p
        for n, p in vae.vae.decoder.named_parameters()
        if n.endswith('conv2.weight')
    ]
    assert last
    assert all(p.grad.any() for p in last)


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'block_out_channels': (32, 32)}, r'one level .* \(32, 32\)'),
        ({'latent_channels': 17}, r'at least 33 channels .* \(32,\)'),
        ({'patch_size': 1}, 'at most 3 latent channels.* 8$'),
    ],
)
def test_unfit_networks(frames, changes, message):
    vae = small_vae(**changes)
    folded = F.pixel_unshuffle(frames, vae.patch_size)
    with pytest.raises(ValueError, match=message):
        init_from_patches(vae.vae, folded)
