"""Upscale-A-Video's autoencoders: diffusers' for one frame, and files."""

import pytest
import torch
from torch import Tensor

from star.models.autoencoders.uav_vae import UAVVAE
from star.utils.state_dicts import load_strict
from tests.test_models.networks import randomize

SIZES = dict(widths=(32, 32, 64), layers=1)


def small(**changes) -> UAVVAE:
    torch.manual_seed(0)
    return randomize(UAVVAE(**{**SIZES, **changes})).eval()


def inputs(frames: int = 3) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(1)
    z = torch.randn(1, 4, frames, 5, 6, generator=generator)
    lq = torch.randn(1, 3, frames, 5, 6, generator=generator)
    return z, lq


@torch.inference_mode()
def test_equals_diffusers_for_one_frame():
    from diffusers import AutoencoderKL  # after star's fixes

    ours = small(encoder=True)
    theirs = AutoencoderKL(
        down_block_types=('DownEncoderBlock2D',) * 3,
        up_block_types=('UpDecoderBlock2D',) * 3,
        block_out_channels=SIZES['widths'],
        layers_per_block=1,
    ).eval()
    theirs.load_state_dict(ours.state_dict())
    z, lq = inputs(1)
    expected = theirs.decode(z[:, :, 0] / 0.08333).sample
    found = ours.decode(z, lq)
    assert found.shape == (1, 3, 1, 20, 24)
    assert expected.std() > 0.05
    assert (found[:, :, 0] - expected).abs().max() < 1e-5
    picture = torch.rand(1, 3, 8, 12) * 2 - 1
    posterior = theirs.encode(picture).latent_dist
    mean, logvar = ours.encode(picture[:, :, None])
    assert (mean[:, :, 0] - posterior.mean).abs().max() < 1e-5
    assert (logvar[:, :, 0] - posterior.logvar).abs().max() < 1e-5


@torch.inference_mode()
def test_frames_of_a_chunk_share_norms():
    vae = small()
    z, lq = inputs()
    together = vae.decode(z, lq)
    alone = vae.decode(z[:, :, :1], lq[:, :, :1])
    assert (together[:, :, :1] - alone).abs().max() > 1e-3


@torch.inference_mode()
def test_only_the_video_decoder_looks_at_the_input():
    z, lq = inputs()
    for video in (False, True):
        vae = small(video=video)
        differs = not torch.equal(vae.decode(z, lq), vae.decode(z, lq + 1))
        assert differs == video
    vae.strength = 0.0
    assert torch.equal(vae.decode(z, lq), vae.decode(z, lq + 1))


@torch.inference_mode()
@pytest.mark.parametrize('video', [False, True])
def test_clips_do_not_know_one_another(video: bool):
    vae = small(video=video)
    z, lq = (torch.cat([x, -x]) for x in inputs())
    both = vae.decode(z, lq)
    alone = [vae.decode(a[None], b[None]) for a, b in zip(z, lq, strict=True)]
    assert (both - torch.cat(alone)).abs().max() < 1e-5


def old_file(**changes) -> dict[str, Tensor]:
    """Make a file as published, with its names of attention."""
    state = small(encoder=True, **changes).state_dict()
    names = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value'}
    names['to_out.0'] = 'proj_attn'
    found = {}
    for name, tensor in state.items():
        for new, old in names.items():
            name = name.replace(f'.{new}.', f'.{old}.')
        found[name] = tensor
    return found


def test_takes_a_published_file_without_its_encoder():
    state = old_file()
    assert 'encoder.mid_block.attentions.0.query.weight' in state
    vae = UAVVAE(**SIZES)
    found = vae.take_names(state, 'file')
    assert not any(name.startswith(('encoder', 'quant')) for name in found)
    load_strict(vae, found, 'file')
    assert vae.take_names(found, 'file').keys() == found.keys()


def test_refuses_other_files():
    vae = UAVVAE(**SIZES)
    state = old_file()
    del state['encoder.conv_in.bias']
    with pytest.raises(ValueError, match=r'1 missing \(encoder.conv_in.bias'):
        vae.take_names(state, 'vae_3d.bin')
    found = vae.take_names(old_file(video=True), 'vae_video.bin')
    with pytest.raises(ValueError, match=r'unknown \(decoder.condition_fuse'):
        load_strict(vae, found, 'vae_video.bin')
