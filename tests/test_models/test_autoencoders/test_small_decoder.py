"""SmallDecoder, and autoencoders that decode with it."""

import pytest
import torch
from safetensors.torch import save_file

from star.models.autoencoders import (
    CogVideoXVAE,
    SmallDecoder,
    SmallDecoderVAE,
    TemporalVAE,
)
from star.testing import check_autoencoder

TEMPORAL = dict(
    type='TemporalVAE',
    latent_channels=4,
    block_out_channels=(32, 32, 32),
    layers_per_block=1,
)
CAUSAL = dict(
    type='CogVideoXVAE',
    latent_channels=4,
    block_out_channels=(8, 8, 8, 8),
    layers_per_block=1,
    norm_groups=4,
)


def small(frames=1, **options):
    options = dict(widths=(8, 6), blocks=(1, 1), frames=frames) | options
    if frames == 4:
        options = dict(options, widths=(8, 6, 4), blocks=(1, 1, 1))
    return options


def decoder(frames=1, **options):
    torch.manual_seed(0)
    network = SmallDecoder(**small(frames, **options)).eval()
    for parameter in network.parameters():  # over_time starts at zero
        parameter.data += 0.1 * torch.randn_like(parameter)
    return network


def swapped(autoencoder=TEMPORAL, frames=1, **options):
    torch.manual_seed(0)
    config = dict(type='SmallDecoder', **small(frames))
    vae = SmallDecoderVAE(dict(autoencoder, **options), config).eval()
    for parameter in vae.decoder.parameters():
        parameter.data += 0.1 * torch.randn_like(parameter)
    return vae


def test_official_size():
    """As stated in docs/performance.md."""
    with torch.device('meta'):
        networks = SmallDecoder(), SmallDecoder(16, frames=4)
    counts = [sum(p.numel() for p in n.parameters()) for n in networks]
    assert counts == [3_580_428, 3_708_300]


@torch.no_grad()
def test_latents_of_one_frame():
    z = torch.randn(2, 4, 3, 5, 6)
    x, memory = decoder()(z)
    assert x.shape == (2, 3, 3, 20, 24) and len(memory) == 2
    # a window's frames know one another
    other = z.clone()
    other[:, :, 2] += 1
    change = (decoder()(other)[0] - x).abs().amax((0, 1, 3, 4))
    assert (change > 1e-4).all()


@torch.no_grad()
def test_causal_windows_of_any_length_give_the_same():
    network, z = decoder(4), torch.randn(2, 4, 5, 3, 4)
    whole, _ = network(z)
    assert whole.shape == (2, 3, 17, 24, 32)
    pieces, memory = [], None
    for start, end in ((0, 1), (1, 2), (2, 5)):
        piece, memory = network(z[:, :, start:end], memory)
        pieces.append(piece)
    assert [p.shape[2] for p in pieces] == [1, 4, 12]
    torch.testing.assert_close(torch.cat(pieces, 2), whole)


@torch.no_grad()
def test_causal_frames_do_not_see_the_future():
    network, z = decoder(4), torch.randn(1, 4, 4, 3, 3)
    other = z.clone()
    other[:, :, 2] += 1
    change = (network(other)[0] - network(z)[0]).abs().amax((0, 1, 3, 4))
    assert change[:5].max() == 0 and change[5:].min() > 0


@torch.no_grad()
def test_pixels_depend_on_latents_nearby():
    """Far from a tile's border the frame is that of the whole latent."""
    network, z = decoder(), torch.randn(1, 4, 1, 24, 24)
    whole = network(z)[0]
    part = network(z[..., 2:22, 2:22])[0]
    inner = slice(8 * 4, 16 * 4)
    torch.testing.assert_close(
        part[..., 6 * 4 : 14 * 4, 6 * 4 : 14 * 4], whole[..., inner, inner]
    )


def test_starts_without_mixing_frames():
    network = SmallDecoder(**small())
    z = torch.randn(1, 4, 2, 3, 3)
    with torch.no_grad():
        together = network(z)[0]
        alone = network(z[:, :, :1])[0]
    torch.testing.assert_close(together[:, :, :1], alone)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(widths=(), blocks=()), '`widths` must be positive'),
        (dict(widths=(4, 0)), '`widths` must be positive'),
        (dict(blocks=(1,)), '`blocks` must be 2 numbers'),
        (dict(frames=3), '`frames` must be a power of two from 1 to 2'),
        (dict(frames=4, widths=(4, 4)), 'got 4'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        SmallDecoder(**dict(widths=(8, 6), blocks=(1, 1)) | options)


def test_autoencoders_follow_the_contract():
    check_autoencoder(swapped())
    check_autoencoder(swapped(CAUSAL, 4))


@torch.no_grad()
def test_encoding_stays_as_it_was():
    torch.manual_seed(0)
    plain = TemporalVAE(**{k: v for k, v in TEMPORAL.items() if k != 'type'})
    x = torch.rand(1, 3, 2, 8, 12) * 2 - 1
    assert torch.equal(swapped().encode(x), plain.eval().encode(x))


@torch.no_grad()
def test_decodes_in_windows_and_tiles():
    vae, z = swapped(decode_window=2), torch.randn(1, 4, 3, 12, 12)
    pieces = list(vae.decode_pieces(z))
    assert [piece.shape[2] for piece in pieces] == [2, 1]
    expected = [vae.decoder(z[:, :, a:b])[0] for a, b in ((0, 2), (2, 3))]
    torch.testing.assert_close(torch.cat(pieces, 2), torch.cat(expected, 2))
    tiled = vae.decode(z, tile=32)
    assert tiled.shape == (1, 3, 3, 48, 48)
    # all but borders: tiles of 8 latents see what the whole latent has
    torch.testing.assert_close(tiled[..., :8, :8], vae.decode(z)[..., :8, :8])


@torch.no_grad()
def test_causal_pieces_are_the_decoder_at_once():
    vae = swapped(CAUSAL, 4, decode_window=2)
    z = torch.randn(1, 4, 4, 4, 4)
    pieces = list(vae.decode_pieces(z))
    assert len(pieces) > 1
    torch.testing.assert_close(torch.cat(pieces, 2), vae.decoder(z)[0])


@torch.no_grad()
def test_follows_the_dtype():
    vae, z = swapped(), torch.randn(1, 4, 2, 4, 4)
    expected = vae.decode(z)
    found = vae.to(torch.bfloat16).decode(z)
    assert found.dtype == torch.float32
    torch.testing.assert_close(found, expected, atol=0.1, rtol=0.1)


@pytest.mark.parametrize('config', [TEMPORAL, CAUSAL])
def test_loads_published_files_without_their_decoder(tmp_path, config):
    options = {k: v for k, v in config.items() if k != 'type'}
    kind, frames = TemporalVAE, 1
    if config is CAUSAL:
        kind, frames = CogVideoXVAE, 4
    source = kind(**options)
    path = tmp_path / 'vae.safetensors'
    save_file(source.vae.state_dict(), path)
    vae = SmallDecoderVAE(
        dict(options, type=kind.__name__),
        dict(type='SmallDecoder', **small(frames)),
        pretrained=str(path),
    )
    state = source.vae.state_dict()
    for name, value in vae.vae.state_dict().items():
        assert torch.equal(value, state[name])
    assert not any('decoder' in name for name in vae.vae.state_dict())


def test_loads_its_own_weights(tmp_path):
    source = decoder()
    path = tmp_path / 'decoder.safetensors'
    save_file(source.state_dict(), path)
    loaded = SmallDecoder(**small(), pretrained=str(path))
    for name, value in loaded.state_dict().items():
        assert torch.equal(value, source.state_dict()[name])


def test_refuses_other_latents():
    for options, name in (
        (dict(latent_channels=5), 'latent_channels = 4'),
        (dict(widths=(4,), blocks=(1,)), 'downsample = 4'),
        (dict(frames=2), 'frames = 1'),
    ):
        config = dict(type='SmallDecoder', **small(**options))
        with pytest.raises(ValueError, match=name):
            SmallDecoderVAE(TEMPORAL, config)


def test_refuses_autoencoders_without_a_decoder():
    with pytest.raises(ValueError, match='got PatchDCT'):
        SmallDecoderVAE(
            dict(type='PatchDCT'), dict(type='SmallDecoder', **small())
        )
