"""CogVideoXVAE against diffusers' own network, and its identities."""

import pytest
import torch
import torch.nn.functional as F
from safetensors.torch import load_file, save_file

from star.models.autoencoders.cogvideox_vae import CogVideoXVAE, time_windows
from star.utils.randomness import RandomTracker

SMALL = dict(
    latent_channels=4,
    block_out_channels=(8, 8, 16),
    layers_per_block=1,
    norm_groups=4,
)
DOWN = 4  # of the small one; the official one has 8


def build(**options):
    torch.manual_seed(0)
    vae = CogVideoXVAE(**SMALL | options).eval()
    for parameter in vae.parameters():
        parameter.data += 0.02 * torch.randn_like(parameter)
    return vae


def clip(frames=5, height=8, width=12, batch=1):
    generator = torch.Generator().manual_seed(1)
    shape = (batch, 3, frames, height, width)
    return torch.rand(shape, generator=generator) * 2 - 1


def record(module):
    """Note the shape of every input of a module."""
    shapes = []
    module.register_forward_pre_hook(
        lambda _, inputs: shapes.append(tuple(inputs[0].shape))
    )
    return shapes


class Repeater:
    """Stands in for the network: each pixel and latent by itself.

    In the first window the first frame is a latent of its own; elsewhere a
    latent is the mean of four frames, and four frames repeat a latent.
    """

    device, dtype = torch.device('cpu'), torch.float32

    def encoder(self, x, conv_cache=None):
        x = F.avg_pool3d(x, (1, DOWN, DOWN))
        first = x[:, :, :1] if conv_cache is None else x[:, :, :0]
        rest = x[:, :, first.shape[2] :]
        rest = rest.unflatten(2, (rest.shape[2] // 4, 4)).mean(dim=3)
        mean = torch.cat([first, rest], dim=2)
        return torch.cat([mean, torch.zeros_like(mean)], dim=1), {'x': x}

    def decoder(self, z, conv_cache=None):
        assert (conv_cache is None) == (z.shape[2] % 2 == 1)
        z = F.interpolate(z, scale_factor=(1, DOWN, DOWN))
        frames = z.repeat_interleave(4, dim=2)
        return frames if conv_cache else frames[:, :, 3:], {'x': z}


@pytest.fixture
def repeater():
    vae = build()
    del vae.vae
    object.__setattr__(vae, 'vae', Repeater())
    return vae


@torch.no_grad()
@pytest.mark.parametrize('frames', [1, 5, 9, 13, 17, 25, 49])
def test_encode_is_diffusers_mode(frames):
    vae, x = build(), clip(frames, batch=2)
    z = vae.encode(x)
    assert z.shape == (2, 4, (frames + 3) // 4, 2, 3)
    expected = vae.vae.encode(x).latent_dist.mode() * 0.7
    torch.testing.assert_close(z, expected)


@torch.no_grad()
@pytest.mark.parametrize('length', [1, 3, 5, 7, 13])
def test_decode_is_diffusers(length):
    vae = build()
    z = torch.randn(2, 4, length, 2, 3)
    out = vae.decode(z)
    assert out.shape == (2, 3, 4 * length - 3, 8, 12)
    torch.testing.assert_close(out, vae.vae.decode(z / 0.7).sample)


@torch.no_grad()
def test_pieces_are_the_official_ones():
    """Latents 0:3, 3:5, 5:7 with the memory of the convolutions."""
    vae, z = build(), torch.randn(1, 4, 7, 2, 3)
    shapes = record(vae.vae.decoder)
    pieces = list(vae.decode_pieces(z))
    assert [shape[2] for shape in shapes] == [3, 2, 2]
    assert [piece.shape[2] for piece in pieces] == [9, 8, 8]
    memory = None
    for start, end, piece in zip((0, 3, 5), (3, 5, 7), pieces, strict=True):
        part = z[:, :, start:end] / 0.7
        expected, memory = vae.vae.decoder(part, conv_cache=memory)
        torch.testing.assert_close(piece, expected)
    assert torch.equal(vae.decode(z), torch.cat(pieces, dim=2))


@torch.no_grad()
@pytest.mark.parametrize(
    ('length', 'pieces'), [(2, [5]), (4, [9, 4]), (6, [9, 8, 4])]
)
def test_even_numbers_of_latents(length, pieces):
    """The last latent again makes it odd; its four frames are dropped."""
    vae, z = build(), torch.randn(1, 4, length, 2, 3)
    out = list(vae.decode_pieces(z))
    assert [piece.shape[2] for piece in out] == pieces
    longer = torch.cat([z, z[:, :, -1:]], dim=2) / 0.7
    expected = vae.vae.decode(longer).sample[:, :, :-4]
    torch.testing.assert_close(torch.cat(out, dim=2), expected)


@torch.no_grad()
def test_windows_remember_the_one_before():
    """With the norms switched off a window is only a matter of memory."""
    vae, x = build(), clip(25)
    for module in vae.modules():
        if isinstance(module, torch.nn.GroupNorm):
            module.forward = lambda y: y
    z = vae.encode(x)
    out = vae.decode(z)
    vae.encode_window, vae.decode_window = 100, 100
    torch.testing.assert_close(z, vae.encode(x), atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(out, vae.decode(z), atol=1e-4, rtol=1e-4)
    vae.encode_window = 4
    torch.testing.assert_close(z, vae.encode(x), atol=1e-4, rtol=1e-4)


@torch.no_grad()
def test_latents_know_only_the_past():
    vae, x = build(), clip(25)
    z = vae.encode(x)
    for end in (9, 17):
        changed = x.clone()
        changed[:, :, end:] = -changed[:, :, end:]
        z_changed = vae.encode(changed)
        known = (end + 3) // 4
        assert torch.equal(z_changed[:, :, :known], z[:, :, :known])
        assert not torch.allclose(z_changed[:, :, known], z[:, :, known])


@torch.no_grad()
@pytest.mark.parametrize('tile', [0, 16])
def test_the_network_never_sees_more_than_a_chunk(tile):
    """What it holds at once does not grow with the clip."""
    vae = build()
    seen, decoded = record(vae.vae.encoder), record(vae.vae.decoder)
    for frames in (9, 25, 97):
        z = vae.encode(clip(frames, 16, 24), tile=tile)
        vae.decode(z, tile=tile)
    assert max(shape[2] for shape in seen) == 9
    assert max(shape[2] for shape in decoded) == 3
    width = 16 if tile else 24
    assert {shape[-1] for shape in seen} == {width}
    assert {shape[-1] for shape in decoded} == {width // DOWN}


@torch.no_grad()
def test_memory_of_convolutions_is_two_frames():
    """What diffusers keeps and never reads is dropped."""
    vae = build()
    kept = []

    def note(_, __, options):
        kept.append(options['conv_cache'])

    vae.vae.decoder.register_forward_pre_hook(note, with_kwargs=True)
    vae.decode(torch.randn(1, 4, 7, 2, 3))
    frames = [tensor.shape[2] for tensor in _tensors(kept[-1])]
    sizes = [
        module.time_kernel_size
        for module in vae.vae.decoder.modules()
        if hasattr(module, 'time_kernel_size')
    ]
    assert frames == [2] * sizes.count(3)
    assert sizes.count(1) > sizes.count(3)


def _tensors(memory):
    for value in memory.values():
        if isinstance(value, dict):
            yield from _tensors(value)
        else:
            yield value


@pytest.mark.parametrize(
    ('length', 'size', 'windows'),
    [
        (1, 8, [(0, 1)]),
        (5, 8, [(0, 5)]),
        (9, 8, [(0, 9)]),
        (13, 8, [(0, 13)]),
        (17, 8, [(0, 9), (9, 17)]),
        (7, 2, [(0, 3), (3, 5), (5, 7)]),
        (1, 2, [(0, 1)]),
        (3, 4, [(0, 3)]),
        (7, 4, [(0, 7)]),
    ],
)
def test_time_windows(length, size, windows):
    assert time_windows(length, size) == windows


@pytest.mark.parametrize('frames', [1, 5, 9, 21, 25, 49])
@pytest.mark.parametrize('tile', [0, 16, (16, 20), 100])
def test_identity(repeater, frames, tile):
    """No frame or pixel is lost or moved, with any tiles."""
    x = clip(frames, 24, 44)
    z = repeater.encode(x, tile=tile)
    first, rest = x[:, :, :1], x[:, :, 1:]
    first = F.avg_pool3d(first, (1, DOWN, DOWN))
    if frames > 1:
        rest = F.avg_pool3d(rest, (4, DOWN, DOWN))
        first = torch.cat([first, rest], dim=2)
    torch.testing.assert_close(z, first * 0.7)
    out = repeater.decode(z, tile=tile)
    assert out.shape == x.shape
    large = F.interpolate(z / 0.7, scale_factor=(1, DOWN, DOWN))
    torch.testing.assert_close(out[:, :, 0], large[:, :, 0])
    for t in range(1, frames):
        torch.testing.assert_close(out[:, :, t], large[:, :, (t + 3) // 4])


@torch.no_grad()
def test_one_tile_is_no_tile():
    vae, x = build(), clip(9, 16, 24)
    z = vae.encode(x)
    torch.testing.assert_close(vae.encode(x, tile=(16, 24)), z)
    torch.testing.assert_close(vae.decode(z, tile=24), vae.decode(z))
    assert not torch.allclose(vae.encode(x, tile=16), z)
    assert not torch.allclose(vae.decode(z, tile=16), vae.decode(z))
    pieces = list(vae.decode_pieces(z, tile=16))
    assert sum(piece.shape[2] for piece in pieces) == 9


@torch.no_grad()
def test_posterior_sample_follows_generators():
    vae, x = build(posterior='sample'), clip(9, batch=2)
    posterior = vae.posterior(x)

    def generators():
        return [torch.Generator().manual_seed(i) for i in (3, 4)]

    shape = posterior.mean.shape[1:]
    noise = torch.stack(
        [torch.randn(shape, generator=g) for g in generators()]
    )
    expected = (posterior.mean + posterior.std * noise) * 0.7
    torch.testing.assert_close(vae.encode(x, generators()), expected)
    one = vae.encode(x[1:], torch.Generator().manual_seed(4))
    torch.testing.assert_close(one[0], expected[1])


def test_gradients_reach_every_weight():
    vae, x = build(), clip(17)
    x.requires_grad_()
    vae.decode(vae.encode(x)).square().sum().backward()
    assert (x.grad.abs().sum(dim=(1, 3, 4)) > 0).all()
    names = [n for n, p in vae.named_parameters() if p.grad is None]
    assert not names


@torch.no_grad()
@pytest.mark.parametrize('tile', [0, 16])
def test_half_precision_keeps_the_callers_dtype(tile):
    vae, x = build(), clip(9, 16, 24)
    z = vae.encode(x, tile=tile)
    out = vae.decode(z, tile=tile)
    vae.bfloat16()
    z_half, out_half = vae.encode(x, tile=tile), vae.decode(z, tile=tile)
    assert z_half.dtype == out_half.dtype == torch.float32
    assert 0 < (z_half - z).abs().max() < 0.1 * z.abs().max()
    assert 0 < (out_half - out).abs().max() < 0.1 * out.abs().max()


@torch.no_grad()
def test_pieces_move_to_the_network():
    z = torch.randn(1, 4, 4, 4, 6)
    for piece in build().bfloat16().to('meta').decode_pieces(z):
        assert piece.device.type == 'meta'
        assert piece.dtype == torch.float32


def test_default_is_the_official_size():
    """diffusers' own default, which is the published network."""
    from diffusers import AutoencoderKLCogVideoX

    with torch.device('meta'):
        vae, official = CogVideoXVAE(), AutoencoderKLCogVideoX()
    shapes = {key: value.shape for key, value in official.state_dict().items()}
    ours = {key: value.shape for key, value in vae.vae.state_dict().items()}
    assert ours == shapes
    assert sum(p.numel() for p in vae.parameters()) == 215_583_907
    assert (vae.downsample, vae.temporal_downsample) == (8, 4)
    assert vae.latent_channels == 16


def test_load_what_diffusers_saves(tmp_path):
    vae = build()
    vae.vae.save_pretrained(tmp_path)
    with RandomTracker() as tracker:
        model = CogVideoXVAE(**SMALL, pretrained=str(tmp_path))
        assert tracker.find_random(model) == set()
    loaded = model.state_dict()
    for key, value in vae.state_dict().items():
        assert torch.equal(loaded[key], value), key


def test_wrong_weights(tmp_path):
    vae = build()
    vae.vae.save_pretrained(tmp_path)
    file = tmp_path / 'diffusion_pytorch_model.safetensors'
    state = load_file(file)
    state['extra'] = state.pop('encoder.norm_out.bias')
    save_file(state, file)
    with pytest.raises(ValueError) as error:
        build(pretrained=str(file))
    assert str(error.value) == (
        f'{file} does not fit AutoencoderKLCogVideoX: '
        '1 missing (encoder.norm_out.bias), 1 unknown (extra)'
    )
    with pytest.raises(ValueError, match='no VAE weights'):
        build(pretrained=str(tmp_path / 'nowhere'))


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'block_out_channels': (8, 8)}, 'at least 3 levels, got 2'),
        ({'encode_window': 6}, 'multiple of 4, got 6'),
        ({'decode_window': 3}, 'an even number, got 3'),
        ({'posterior': 'mean'}, "must be 'mode' or 'sample', got 'mean'"),
    ],
)
def test_bad_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


@pytest.mark.parametrize('frames', [2, 3, 4, 32])
def test_refuses_other_lengths(frames):
    message = rf'4 k \+ 1 frames for CogVideoX, got {frames}$'
    with pytest.raises(ValueError, match=message):
        build().encode(clip(frames))


def test_bad_sides_and_tiles():
    vae = build()
    with pytest.raises(ValueError, match='multiples of 4, got 8 x 14'):
        vae.encode(clip(width=14))
    for tile in (15, (8, 32)):
        with pytest.raises(
            ValueError, match='`tile` must be 0 or at least 16'
        ):
            vae.encode(clip(), tile=tile)
