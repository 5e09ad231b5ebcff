"""Layers of image networks on clips: norms over the clip, bands of rows."""

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.layers import clip_resnet
from star.models.layers.by_image import each
from star.models.layers.clip_resnet import (
    add_conv_3d,
    gather_affine,
    norm_conv,
    run_resnet,
    upsample_conv,
)
from tests.test_models.networks import randomize

FRAMES = 3
# numbers of a piece: all at once, one frame, a few rows, one row
PIECES = (1 << 24, 400, 150, 1)


@pytest.fixture(params=PIECES, autouse=True)
def piece(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch):
    monkeypatch.setattr(clip_resnet, '_PIECE', request.param)
    split = clip_resnet.split_frames
    monkeypatch.setattr(
        clip_resnet, 'split_frames', lambda x: split(x, request.param)
    )


def frames_of(channels: int = 8) -> Tensor:
    """Two clips of three frames whose statistics differ."""
    torch.manual_seed(0)
    x = torch.randn(2 * FRAMES, channels, 7, 5)
    return x * torch.rand(2 * FRAMES, 1, 1, 1) + torch.randn(6, 1, 1, 1)


def as_clips(x: Tensor) -> Tensor:
    return x.unflatten(0, (-1, FRAMES)).transpose(1, 2)


def as_frames(x: Tensor) -> Tensor:
    return x.transpose(1, 2).flatten(0, 1)


def norm(channels: int = 8) -> nn.GroupNorm:
    return randomize(nn.GroupNorm(4, channels))


def close(found: Tensor, expected: Tensor) -> None:
    torch.testing.assert_close(found, expected, atol=2e-5, rtol=1e-5)


@torch.no_grad()
def test_norm_pools_over_the_clip():
    x, layer = frames_of(), norm()
    scale, shift = gather_affine(layer, x, FRAMES)
    close(x * scale + shift, as_frames(layer(as_clips(x))))
    assert not torch.allclose(x * scale + shift, layer(x), atol=0.1)


@torch.no_grad()
def test_norm_of_coarse_numbers_is_fine():
    x, layer = frames_of() + 50, norm()
    scale, _ = gather_affine(layer.bfloat16(), x.bfloat16(), FRAMES)
    assert scale.dtype == torch.float32
    expected, _ = gather_affine(layer.float(), x.bfloat16().float(), FRAMES)
    close(scale, expected)


@torch.no_grad()
@pytest.mark.parametrize('size', [1, 3])
@pytest.mark.parametrize('reuse', [False, True])
def test_norm_conv(size: int, reuse: bool):
    x, layer = frames_of(), norm()
    conv = randomize(nn.Conv2d(8, 8, size, padding=size // 2))
    expected = conv(F.silu(as_frames(layer(as_clips(x)))))
    found = norm_conv(layer, conv, x, FRAMES, reuse)
    close(found, expected)
    assert (found is x) == (reuse and x.numel() > clip_resnet._PIECE)


@torch.no_grad()
@pytest.mark.parametrize('width', [8, 12])
def test_resnet(width: int):
    """With one frame it is diffusers'; with more, norms see them all."""
    from diffusers.models.resnet import ResnetBlock2D  # after star's fixes

    block = randomize(
        ResnetBlock2D(
            in_channels=8, out_channels=width, temb_channels=6, groups=4
        )
    )
    x, emb = frames_of(), torch.randn(6, 6)
    close(run_resnet(block, x, 1, emb), block(x, emb))
    h = block.conv1(F.silu(as_frames(block.norm1(as_clips(x)))))
    time = block.time_emb_proj(F.silu(emb[:2])).repeat_interleave(FRAMES, 0)
    h = as_frames(block.norm2(as_clips(h + time[:, :, None, None])))
    skip = x if block.conv_shortcut is None else block.conv_shortcut(x)
    expected = block.conv2(F.silu(h)) + skip
    close(run_resnet(block, x, FRAMES, emb[:2]), expected)


@torch.no_grad()
def test_conv_over_time():
    x, layer = frames_of(), norm()
    conv = randomize(nn.Conv3d(8, 8, 3, padding=1))
    expected = x + as_frames(conv(F.silu(layer(as_clips(x)))))
    close(add_conv_3d(layer, conv, x, FRAMES), expected)


@torch.no_grad()
def test_upsampling():
    from diffusers.models.upsampling import Upsample2D  # after star's fixes

    layer = randomize(Upsample2D(8, use_conv=True))
    x = frames_of()
    close(upsample_conv(layer.conv, x), layer(x))
    close(each(layer, x), layer(x))
