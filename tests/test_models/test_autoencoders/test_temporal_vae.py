"""TemporalVAE against diffusers' own network, and its identities."""

from types import SimpleNamespace

import pytest
import torch
import torch.nn.functional as F
from einops import rearrange
from safetensors.torch import load_file, save_file
from torch import nn

from star.models.autoencoders.temporal_vae import TemporalVAE, load_vae_weights
from star.utils.randomness import RandomTracker

CHANNELS = (32, 64)
DOWN = 2


def build(**options):
    torch.manual_seed(0)
    options = (
        dict(
            block_out_channels=CHANNELS, layers_per_block=2, latent_channels=5
        )
        | options
    )
    vae = TemporalVAE(**options).eval()
    for parameter in vae.parameters():  # time_conv_out etc. start at zero
        parameter.data += 0.02 * torch.randn_like(parameter)
    return vae


def clip(frames=5, height=8, width=12, batch=2):
    generator = torch.Generator().manual_seed(1)
    shape = (batch, 3, frames, height, width)
    return torch.rand(shape, generator=generator) * 2 - 1


class Resampler:
    """Stands in for the network: shrinks and repeats, sees one pixel only."""

    device, dtype = torch.device('cpu'), torch.float32

    def encode(self, frames):
        mean = F.avg_pool2d(frames, DOWN)
        moments = torch.cat([mean, torch.zeros_like(mean)], dim=1)
        return SimpleNamespace(latent_dist=SimpleNamespace(parameters=moments))

    def decode(self, frames, num_frames):
        assert len(frames) % num_frames == 0
        return SimpleNamespace(sample=F.interpolate(frames, scale_factor=DOWN))


@pytest.fixture
def resampler():
    vae = build()
    del vae.vae
    object.__setattr__(vae, 'vae', Resampler())
    return vae


@torch.no_grad()
def test_encode_is_diffusers_mode_frame_by_frame():
    vae, x = build(encode_batch=3), clip()
    z = vae.encode(x)
    assert z.shape == (2, 5, 5, 4, 6)
    for n, t in ((0, 0), (0, 4), (1, 2)):
        frame = vae.vae.encode(x[n, :, t][None]).latent_dist.mode()[0]
        torch.testing.assert_close(z[n, :, t], frame * 0.18215)


@torch.no_grad()
def test_decode_is_diffusers_in_chunks_of_three():
    vae = build()
    z = torch.randn(2, 5, 7, 4, 6)
    pieces = list(vae.decode_pieces(z))
    assert [piece.shape[2] for piece in pieces] == [3, 3, 1]
    for start, piece in zip((0, 3, 6), pieces, strict=True):
        part = z[:, :, start : start + 3] / 0.18215
        frames = rearrange(part, 'n c t h w -> (n t) c h w')
        expected = vae.vae.decode(frames, num_frames=part.shape[2]).sample
        expected = rearrange(expected, '(n t) c h w -> n c t h w', n=2)
        torch.testing.assert_close(piece, expected)
    assert torch.equal(vae.decode(z), torch.cat(pieces, dim=2))


@torch.no_grad()
def test_windows_see_their_neighbours():
    """A longer window is another result: the decoder mixes frames."""
    vae, z = build(), torch.randn(1, 5, 4, 4, 4)
    long = build(decode_window=4).decode(z)
    assert (vae.decode(z) - long).abs().max() > 1e-3


@torch.no_grad()
def test_posterior_sample_follows_generator():
    vae, x = build(posterior='sample'), clip()

    def draw(seed, batch):
        vae.encode_batch = batch
        return vae.encode(x, torch.Generator().manual_seed(seed))

    posterior = vae.posterior(x)
    noise = torch.randn(
        posterior.mean.shape, generator=torch.Generator().manual_seed(3)
    )
    expected = (posterior.mean + posterior.std * noise) * 0.18215
    expected = rearrange(expected, '(n t) c h w -> n c t h w', n=2)
    torch.testing.assert_close(draw(3, 1), expected)
    torch.testing.assert_close(draw(3, 4), expected)
    assert not torch.allclose(draw(4, 1), expected)


def test_posterior_kl():
    vae, x = build(), clip()
    posterior = vae.posterior(x)
    kl = torch.distributions.kl_divergence(
        torch.distributions.Normal(posterior.mean, posterior.std),
        torch.distributions.Normal(torch.tensor(0.0), torch.tensor(1.0)),
    ).sum(dim=(1, 2, 3))
    torch.testing.assert_close(posterior.kl(), kl)
    assert kl.shape == (10,)


@pytest.mark.parametrize('frames', [1, 2, 3, 4, 7, 8, 9, 20])
@pytest.mark.parametrize(
    ('window', 'overlap'), [(3, 0), (3, 1), (4, 2), (1, 0)]
)
def test_windows_of_identity(resampler, frames, window, overlap):
    """Cross-fading what is equal changes nothing; no frame is lost."""
    resampler.decode_window, resampler.decode_overlap = window, overlap
    z = torch.randn(1, 3, frames, 2, 3)
    expected = F.interpolate(z / 0.18215, scale_factor=(1, DOWN, DOWN))
    torch.testing.assert_close(resampler.decode(z), expected)
    assert all(p.shape[2] for p in resampler.decode_pieces(z))


@torch.no_grad()
def test_overlap_cross_fades():
    vae = build(decode_window=5, decode_overlap=2)
    z = torch.randn(1, 5, 8, 2, 2)
    first = vae.decode_part(z[:, :, 0:5], 0)
    second = vae.decode_part(z[:, :, 3:8], 0)
    out = vae.decode(z)
    torch.testing.assert_close(out[:, :, :3], first[:, :, :3])
    torch.testing.assert_close(out[:, :, 5:], second[:, :, 2:])
    for t, share in ((3, 1 / 3), (4, 2 / 3)):
        expected = first[:, :, t] * (1 - share) + second[:, :, t - 3] * share
        torch.testing.assert_close(out[:, :, t], expected)


@pytest.mark.parametrize(('height', 'width'), [(8, 8), (10, 46), (32, 18)])
@pytest.mark.parametrize('tile', [8, 9, 16, 100, (8, 17)])
def test_tiles_of_identity(resampler, height, width, tile):
    x = clip(height=height, width=width)
    z = resampler.encode(x, tile=tile)
    expected = F.avg_pool3d(x, (1, DOWN, DOWN)) * 0.18215
    torch.testing.assert_close(z, expected)
    torch.testing.assert_close(
        resampler.decode(z, tile=tile), resampler.decode(z)
    )


@torch.no_grad()
def test_one_tile_is_no_tile():
    vae, x = build(), clip(height=16, width=24)
    z = vae.encode(x)
    torch.testing.assert_close(vae.encode(x, tile=24), z)
    torch.testing.assert_close(vae.decode(z, tile=24), vae.decode(z))
    assert not torch.allclose(vae.encode(x, tile=8), z)
    assert not torch.allclose(vae.decode(z, tile=8), vae.decode(z))


@torch.no_grad()
def test_groups_of_the_norms():
    vae = build(norm_groups=8)
    norms = [m for m in vae.modules() if isinstance(m, nn.GroupNorm)]
    assert norms and {norm.num_groups for norm in norms} == {8}
    x = clip()
    assert vae.decode(vae.encode(x)).shape == x.shape


@pytest.mark.parametrize('tile', [0, 8])
def test_gradients_reach_every_weight(tile):
    vae, x = build(), clip(frames=3, height=12)
    x.requires_grad_()
    z = vae.encode(x, tile=tile)
    vae.decode(z, tile=tile).square().sum().backward()
    assert x.grad.abs().sum() > 0
    names = [n for n, p in vae.named_parameters() if p.grad is None]
    assert not names
    mix = vae.vae.decoder.mid_block.resnets[0].time_mixer.mix_factor
    assert mix.grad.abs() > 0


@torch.no_grad()
def test_half_precision_keeps_the_callers_dtype():
    vae, x = build(), clip()
    z, out = vae.encode(x), vae.decode(vae.encode(x))
    vae.bfloat16()
    z_half, out_half = vae.encode(x), vae.decode(z)
    assert z_half.dtype == out_half.dtype == torch.float32
    assert 0 < (z_half - z).abs().max() < 0.05 * z.abs().max()
    assert 0 < (out_half - out).abs().max() < 0.05 * out.abs().max()
    assert vae.decode(z, tile=8).dtype == torch.float32


def test_default_is_the_official_size():
    with torch.device('meta'):
        vae = TemporalVAE()
    assert sum(p.numel() for p in vae.parameters()) == 97_742_847
    assert vae.downsample == 8


@pytest.mark.parametrize('variant', [None, 'fp16'])
def test_load_what_diffusers_saves(tmp_path, variant):
    vae = build()
    half = build()
    half.vae.half() if variant else None
    half.vae.save_pretrained(tmp_path, variant=variant)
    for path in (tmp_path, next(tmp_path.glob('*.safetensors'))):
        with RandomTracker() as tracker:
            model = TemporalVAE(
                block_out_channels=CHANNELS,
                latent_channels=5,
                pretrained=str(path),
            )
            assert tracker.find_random(model) == set()
        loaded = model.state_dict()
        for key, value in vae.state_dict().items():
            expected = value.half().float() if variant else value
            assert torch.equal(loaded[key], expected), key


def test_wrong_weights(tmp_path):
    vae = build()
    vae.vae.save_pretrained(tmp_path)
    file = tmp_path / 'diffusion_pytorch_model.safetensors'
    state = load_file(file)
    state['extra'] = state.pop('quant_conv.bias')
    state['quant_conv.weight'] = torch.zeros(2, 2)
    save_file(state, file)
    with pytest.raises(ValueError) as error:
        load_vae_weights(vae, file)
    assert str(error.value) == (
        f'{file} does not fit AutoencoderKLTemporalDecoder: '
        '1 missing (quant_conv.bias), 1 unknown (extra), 1 of another shape '
        '(quant_conv.weight is (2, 2) not (10, 10, 1, 1))'
    )


def test_no_weights(tmp_path):
    with pytest.raises(ValueError, match='no VAE weights'):
        build(pretrained=str(tmp_path))
    (tmp_path / 'x.safetensors').write_bytes(b'not at all')
    with pytest.raises(ValueError, match=r'x\.safetensors: cannot be read'):
        build(pretrained=str(tmp_path / 'x.safetensors'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'posterior': 'mean'}, '`posterior`'),
        ({'encode_batch': 0}, '`encode_batch`'),
        ({'decode_window': 0}, '`decode_window`'),
        ({'decode_window': 3, 'decode_overlap': 2}, '`decode_overlap`'),
        ({'norm_groups': 7}, '`norm_groups`'),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_bad_input():
    vae = build()
    with pytest.raises(ValueError, match=r'multiples of 2, got 8 x 9'):
        vae.encode(clip(width=9))
    with pytest.raises(ValueError, match='`tile`'):
        vae.encode(clip(), tile=7)


@torch.no_grad()
def test_windows_move_to_the_network():
    z = torch.randn(1, 5, 4, 4, 4)
    for piece in build().bfloat16().to('meta').decode_pieces(z):
        assert piece.device.type == 'meta'
        assert piece.dtype == torch.float32
