"""SeedVR2's windows, tiles, sizes and options, with networks of no effect."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.apis.inference.build import build_model, load_config, take_random
from star.models.editors.seedvr2.seedvr2 import SeedVR2
from star.models.editors.seedvr2.tiles import plan_vae_tiles
from star.video.color_fix import COLOR_FIXES
from star.video.tiling import cut_tile, stitch_tiles

CHANNELS = 3 * 4 * 64  # of a latent that holds all pixels


class PixelsAsLatents(nn.Module):
    """An autoencoder that loses nothing: four frames are one latent."""

    downsample, temporal_downsample, latent_channels = 8, 4, CHANNELS

    def __init__(self) -> None:
        super().__init__()
        self.calls: list[tuple[int, ...]] = []

    def encode(self, x: Tensor) -> Tensor:
        self.calls.append(tuple(x.shape))
        first = x[:, :, :1].expand(-1, -1, 3, -1, -1)
        frames = torch.cat([first, x], 2).unflatten(2, (-1, 4))
        mean = F.pixel_unshuffle(frames.permute(0, 2, 1, 3, 4, 5), 8)
        mean = mean.flatten(2, 3).transpose(1, 2)
        return torch.cat([mean, torch.full_like(mean, -60)], 1)

    def decode_pieces(self, z: Tensor):
        pixels = z.transpose(1, 2).unflatten(2, (3, 256))
        frames = F.pixel_shuffle(pixels.flatten(0, 2).unflatten(1, (4, 64)), 8)
        n, t = z.shape[0], z.shape[2]
        frames = frames.view(n, t, 3, 4, *frames.shape[-2:])
        clip = frames.permute(0, 2, 1, 3, 4, 5).flatten(2, 3)[:, :, 3:]
        yield from clip.split(4, 2)


@lru_cache
def tiny(name: str = 'tiny_seedvr2_3b') -> SeedVR2:
    model = build_model(load_config(name)).eval()
    take_random(model)
    return model


def identity(**options) -> SeedVR2:
    """Return a restorer whose networks return the low-quality clip."""
    model = build_model(load_config('tiny_seedvr2_3b')).eval()
    take_random(model)
    model.autoencoder = PixelsAsLatents()
    model.velocity = lambda x, t, text: (
        (x[:, :CHANNELS] - x[:, CHANNELS : 2 * CHANNELS]) * 1000 / t
    )
    options = {'scale': 1, 'color_fix': 'none', **options}
    model.restore_options = replace(model.restore_options, **options)
    return model


def noisy(frames: int, height: int = 9, width: int = 11) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    size = frames, 3, height, width
    return torch.randint(0, 256, size, generator=generator).to(torch.uint8)


def smooth(frames: int, height: int, width: int) -> Tensor:
    coarse = noisy(frames, height // 4, width // 4).float()
    return F.interpolate(coarse, (height, width), mode='bicubic').clamp(0, 255)


@pytest.mark.parametrize('frames', [1, 2, 5, 8, 23, 24, 33, 100])
def test_the_clip_comes_back(frames: int):
    model, lq = identity(window=17, overlap=5), noisy(frames)
    assert torch.equal(model.restore(lq), lq)
    for shape in model.autoencoder.calls:
        assert shape[2] % 4 == 1
        assert shape[3:] == (16, 16)


@pytest.mark.parametrize(
    'options',
    [
        {'tile': 32, 'tile_overlap': 8},
        {'tile': (32, 48), 'tile_overlap': 16},
        {'tile': 32, 'tile_overlap': 0, 'window': 4, 'overlap': 0},
        {'steps': 3, 'guidance_scale': 2.5, 'guidance_rescale': 0.5},
    ],
)
def test_the_clip_comes_back_of_tiles_and_steps(options: dict):
    model, lq = identity(window=9, overlap=3), noisy(11, 71, 90)
    model.restore_options = replace(model.restore_options, **options)
    assert (model.restore(lq).int() - lq.int()).abs().max() <= 1
    several = 'tile' in options
    assert (max(len(model.autoencoder.calls), 2) > 4) == several


def test_nothing_moves_in_time():
    """A bar that moves is where it was, in all frames of all windows."""
    lq = torch.zeros(24, 3, 12, 60, dtype=torch.uint8)
    for i in range(24):
        lq[i, :, :, 2 * i : 2 * i + 6] = 255
    out = identity(window=9, overlap=3, scale=2).restore(lq).float()
    columns = torch.arange(120)
    place = (out[:, 0].mean(1) * columns).sum(1) / out[:, 0].mean(1).sum(1)
    expected = 2 * (2 * torch.arange(24) + 2.5) + 0.5
    assert (place - expected).abs().max() < 0.05


@pytest.mark.parametrize(('scale', 'size'), [(4, (37, 50)), (1.7, (41, 62))])
def test_nothing_moves_in_space(scale: float, size: tuple[int, int]):
    lq = smooth(2, *size).to(torch.uint8)
    model = identity(scale=scale, tile=64, tile_overlap=16)
    out = model.restore(lq)
    assert out.shape[-2:] == tuple(round(side * scale) for side in size)
    expected = F.interpolate(
        lq.float(), out.shape[-2:], mode='bicubic', antialias=True
    )
    expected = expected.clamp(0, 255)
    assert (out.float() - expected).abs().max() < 1.01
    shift = phase_shift(out[0, 0].float(), expected[0, 0])
    assert max(map(abs, shift)) < 0.1
    moved = phase_shift(out[0, 0].float().roll(1, 1), expected[0, 0])
    assert abs(abs(moved[1]) - 1) < 0.1  # or it measures nothing


def phase_shift(a: Tensor, b: Tensor) -> tuple[float, ...]:
    """Estimate the shift between two pictures from the phases of both."""
    cross = torch.fft.fft2(a) * torch.fft.fft2(b).conj()
    found = []
    for axis in (0, 1):  # the lowest waves along each axis, by their weight
        waves = cross.select(1 - axis, 0)[1:5]
        turns = waves.angle() * a.shape[axis] / (2 * torch.pi)
        shifts = turns / torch.arange(1, 5)
        found.append(float((shifts * waves.abs()).sum() / waves.abs().sum()))
    return tuple(found)


def test_official_mode_crops_and_fills_up():
    """What the official crop loses is the enlarged input."""
    model, lq = tiny(), noisy(2, 5, 11)
    given = {'compat': 'official', 'color_fix': 'none'}
    options = replace(model.restore_options, **given)
    out = model.restore(lq, options)
    assert out.shape == (2, 3, 20, 44)
    plain = identity(scale=4).restore(lq)
    assert torch.equal(out[..., :2, :], plain[..., :2, :])
    assert torch.equal(out[..., 38:], plain[..., 38:])
    inside = out[..., 2:18, 6:38].int() - plain[..., 2:18, 6:38].int()
    assert inside.abs().float().mean() > 5
    with pytest.raises(ValueError, match='at least 16 pixels'):
        model.restore(lq[..., :3, :], options)


@pytest.mark.parametrize('name', ['tiny_seedvr2_3b', 'tiny_seedvr2_7b'])
def test_everything_matters(name: str):
    model, lq = tiny(name), noisy(5, 12, 12)
    given = replace(model.restore_options, scale=2, color_fix='none')
    plain = model.restore(lq, given)
    changes: list[dict] = [
        {'seed': 1},
        {'noise': 'shared'},
        {'steps': 2},
        {'guidance_scale': 3.0},
        {'color_fix': 'wavelet'},
    ]
    for change in changes if '3b' in name else changes[:1]:
        out = model.restore(lq, replace(given, **change))
        assert not torch.equal(out, plain), change
    text = model.texts.positive.clone()
    model.texts.positive.neg_()
    assert not torch.equal(model.restore(lq, given), plain)
    model.texts.positive.copy_(text)


@pytest.mark.parametrize('fix', COLOR_FIXES)
def test_colour_fixes(fix: str):
    """They keep the clip of a network that changes nothing."""
    lq = smooth(2, 24, 32).to(torch.uint8)
    out = identity(color_fix=fix).restore(lq)
    error = (out.int() - lq.int()).abs()
    if fix == 'hsv':  # hues between two ranges
        assert error.max() < 10 and error.float().mean() < 0.1
    else:
        assert error.max() <= 1


def test_condition_noise_changes_the_condition():
    model, lq = tiny(), noisy(1, 8, 8)
    given = replace(model.restore_options, scale=2)
    plain = model.restore(lq, given)
    try:
        model.condition_noise = 0.25
        assert not torch.equal(model.restore(lq, given), plain)
        assert model.describe_options(given)['condition_noise'] == 0.25
    finally:
        model.condition_noise = 0.0
    with pytest.raises(ValueError, match='`condition_noise` must lie in'):
        SeedVR2(condition_noise=2)


def test_wrong_options():
    model = tiny()
    with pytest.raises(ValueError, match='`tile` must be 0 or at least 32'):
        model.check_options(
            replace(model.restore_options, tile=24, tile_overlap=8)
        )
    with pytest.raises(ValueError, match="`variant` must be '3b' or '7b'"):
        SeedVR2(backbone={'variant': '5b'})
    with pytest.raises(ValueError, match=r'even sides, got \(3, 4\)'):
        model.backbone(
            torch.zeros(1, 33, 1, 3, 4), torch.ones(1), torch.zeros(1, 2, 40)
        )


def test_overlaps_are_whole_latents():
    model = tiny()
    assert [model.overlap_for(n) for n in (49, 17, 9, 2, 1)] == [9, 5, 1, 1, 0]


@pytest.mark.parametrize('size', [(7, 9), (4, 30), (33, 5)])
@pytest.mark.parametrize(('tile', 'overlap'), [(32, 8), (40, 0), (48, 32)])
def test_weights_of_tiles(size: tuple[int, int], tile: int, overlap: int):
    height, width = size
    x = torch.randn(1, 2, height * 8, width * 8)
    latents, pixels = plan_vae_tiles(size, tile, overlap, 8)
    for tiles, up in ((latents, 1), (pixels, 8)):
        whole = x[..., : height * up, : width * up]
        pieces = [cut_tile(whole, tile) for tile in tiles]
        torch.testing.assert_close(stitch_tiles(pieces, tiles), whole)
    assert [(t.top * 8, t.right * 8) for t in latents] == [
        (t.top, t.right) for t in pixels
    ]


def test_memory_does_not_grow_with_the_clip():
    model = tiny()
    options = model.restore_options
    short = model.window_memory(options, (48, 24, 24))
    assert model.window_memory(options, (240, 24, 24)) == short
    tiled = replace(options, tile=32, tile_overlap=8)
    assert model.window_memory(tiled, (None, 24, 24)) < short


@pytest.mark.slow
def test_memory_of_whole_clips():
    """What is counted of two lengths, with all that the frames pass."""
    from star.apis.inference.memory_plan import count_memory

    model = tiny()
    short, long = (
        count_memory(model, model.restore_options, (n, 32, 32)).peak
        for n in (48, 240)
    )
    assert long <= 1.15 * short
