"""StableSR end to end, in small and with random weights."""

from dataclasses import replace
from functools import lru_cache

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.apis.inference.build import build_model, load_config, take_random
from star.diffusion.respaced import respace
from star.models.editors import StableSR
from star.models.editors.diffusion_baseline import WindowJob
from star.models.editors.stablesr.stablesr import truncate
from star.models.editors.weight_files import FILES
from star.models.restoration.events import EventRelay
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from star.video.tiling import plan_tiles

ONE_STEP = {'steps': 1, 'tile': 128, 'tile_overlap': 32}


@pytest.fixture(autouse=True)
def no_gradients():
    with torch.no_grad():
        yield


def build() -> StableSR:
    config = load_config('tiny_stablesr')
    config.model.latent_tile = (4, 2)  # small frames have several
    return build_model(config)


@lru_cache
def tiny() -> StableSR:
    model = build().eval()
    take_random(model)
    return model


def options(**changes) -> RestoreOptions:
    return replace(tiny().restore_options, **{**ONE_STEP, **changes})


def clip(frames: int, height: int, width: int) -> Tensor:
    draw = torch.Generator().manual_seed(0)
    coarse = torch.rand(frames, 3, 3, 4, generator=draw) * 255
    return F.interpolate(coarse, (height, width)).round().to(torch.uint8)


def job(given: RestoreOptions, frames: int = 1) -> WindowJob:
    return WindowJob(given, FrameNoise(7), EventRelay(), 0, frames)


@pytest.mark.parametrize(
    ('frames', 'height', 'width'),
    [(1, 11, 17), (5, 5, 7), (7, 9, 6), (23, 5, 3)],
)
def test_restores_clips_of_any_length_and_size(frames, height, width):
    lq = clip(frames, height, width)
    out = tiny().restore(lq, options())
    assert out.shape == (frames, 3, 4 * height, 4 * width)
    assert out.dtype == torch.uint8 and out.float().std() > 20


def test_same_seed_same_bytes():
    lq, model = clip(2, 7, 5), tiny()
    first, again = (model.restore(lq, options(steps=2)) for _ in range(2))
    assert torch.equal(first, again)
    other = model.restore(lq, options(steps=2, seed=1))
    assert not torch.equal(first, other)


@pytest.mark.parametrize('noise', ['per_frame', 'shared'])
def test_noise_of_frames(noise: str):
    """A still clip flickers, unless its frames share their noise."""
    still, model = clip(1, 7, 7).expand(3, -1, -1, -1), tiny()
    given = options(steps=2, noise=noise)
    first, second, third = model.restore(still, given)
    assert torch.equal(first, second) == (noise == 'shared')
    assert torch.equal(second, third) == (noise == 'shared')
    assert model.describe_options(given)['noise'] == noise


def test_more_steps_take_more_calls():
    model, seen = tiny(), []
    handle = model.backbone.register_forward_hook(
        lambda module, given, out: seen.append((len(given[0]), int(given[1])))
    )
    model.restore(clip(1, 9, 11), options(steps=3))
    handle.remove()
    # 64 x 64 pixels: latents 8 x 8, nine tiles, eight at a time
    calls = [(n, t) for t in (999, 500, 0) for n in (8, 1)]
    assert seen == calls


def test_progress_grows_to_the_end():
    seen: list[float] = []

    class Relay(EventRelay):
        def progress(self, stage, done, total):
            seen.append(done)

    given = options(steps=2, tile=32, tile_overlap=0)
    tiny().restore_clip(
        torch.zeros(2, 3, 8, 18), replace(job(given, 20), events=Relay())
    )
    assert seen == sorted(seen) and seen[-1] == 20 and 0 < seen[0] < 5


class Same(nn.Module):
    """A denoiser that returns what it gets."""

    def forward(self, x: Tensor, t: Tensor, *others) -> Tensor:
        return x


@pytest.mark.parametrize(('height', 'width'), [(8, 8), (8, 37), (21, 13)])
def test_latent_tiles_of_an_identity_are_the_latents(height, width):
    model = build()
    model.backbone, model.structure_encoder = Same(), Same()
    seen: list[Tensor] = []
    z = torch.randn(1, 4, height, width)
    text = torch.zeros(1, 4, 16)
    model.first_stage.encode = lambda frame: Drawn()
    model.autoencoder.features = lambda frame: ()
    model.autoencoder.decode = lambda z, features, weight: seen.append(z)
    frame = torch.zeros(1, 3, 8 * height, 8 * width)
    model.sample(frame, text, 1, lambda number: z, lambda share: None)
    # the noise predicted is the latents themselves
    schedule = respace(1)
    x = schedule.start(torch.zeros_like(z), z)
    expected = schedule.clean(x, x, 0)
    torch.testing.assert_close(seen[0], expected, rtol=1e-5, atol=1e-4)


class Drawn:
    """A posterior whose sample is zero."""

    def sample(self, noise: Tensor) -> Tensor:
        return torch.zeros_like(noise)


@pytest.mark.parametrize('compat', ['none', 'official'])
@pytest.mark.parametrize('tile', [0, 64, (64, 96)])
@pytest.mark.parametrize(
    ('height', 'width'), [(5, 7), (9, 11), (24, 40), (33, 18)]
)
def test_pixel_tiles_of_an_identity_are_the_enlarged_frame(
    height, width, tile, compat, monkeypatch
):
    model = tiny()
    monkeypatch.setattr(model, 'sample', lambda frame, *others: frame)
    lq = torch.rand(1, 3, height, width) * 1.6 - 0.8
    given = options(
        tile=tile, tile_overlap=32, compat=compat, color_fix='none'
    )
    out = model.restore_clip(lq, job(given))
    expected = F.interpolate(lq, scale_factor=4, mode='bicubic').clamp(-1, 1)
    assert out.shape == expected.shape
    if 4 * min(height, width) >= 32:
        atol = 1.01 / 127.5 if compat == 'official' else 1e-5
        torch.testing.assert_close(out, expected, rtol=0, atol=atol)
    else:  # enlarged more, and shrunk again
        assert (out - expected).abs().mean() < 0.04


def test_a_tile_takes_its_part_of_the_frames_noise(monkeypatch):
    model, drawn = tiny(), []

    def sample(frame, text, steps, draw, report) -> Tensor:
        drawn.append([draw(number) for number in (0, 1, 5)])
        return frame

    monkeypatch.setattr(model, 'sample', sample)
    given = options(tile=64, tile_overlap=32, steps=3)
    lq = torch.zeros(1, 3, 24, 16)  # 96 x 64: two tiles
    model.restore_clip(lq, job(given))
    whole = [FrameNoise(7).draw(n, 1, (4, 12, 8)) for n in (0, 1, 5)]
    for noise, first, second in zip(whole, *drawn, strict=True):
        assert torch.equal(first, noise[:, :, :8])
        assert torch.equal(second, noise[:, :, 4:])
    drawn.clear()
    model.restore_clip(lq, job(replace(given, compat='official')))
    assert torch.equal(drawn[0][1], drawn[1][1])  # seeded anew for each


def test_colours_come_from_the_frame():
    lq = clip(1, 16, 16)
    out = tiny().restore(lq, options(color_fix='adain')).float()
    large = F.interpolate(lq.float(), scale_factor=4, mode='bicubic')
    means = (out - large).mean((2, 3)).abs()
    assert means.max() < 5  # but for values out of range
    other = tiny().restore(lq, options(color_fix='none')).float()
    assert (other - large).mean((2, 3)).abs().max() > 10


def test_truncates_as_the_official_script():
    x = torch.tensor([-1.5, -1, 0.0, 0.99999, 1, 2])
    found = (truncate(x) + 1) * 127.5
    assert found.round().tolist() == [0, 0, 127, 254, 255, 255]
    torch.testing.assert_close(found, found.round(), rtol=0, atol=1e-4)


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        ({'fidelity': 1.5}, r'`fidelity` must lie in \[0, 1\], got 1.5'),
        ({'latent_tile': (8, 8)}, '`latent_tile` must be a side and a'),
        ({'latent_tile': (6, 2)}, 'must be a multiple of 4, got 6'),
        ({'noise': 'none'}, "`noise` must be 'per_frame' or"),
    ],
)
def test_refuses_wrong_arguments(arguments, message):
    # networks of the published size without memory
    with torch.device('meta'), pytest.raises(ValueError, match=message):
        StableSR(**arguments)


def test_refuses_tiles_below_a_latent_tile():
    given = options(tile=31, tile_overlap=0)
    with pytest.raises(ValueError, match='`tile` must be 0 or at least 32'):
        tiny().restore(clip(1, 9, 9), given)


@pytest.mark.parametrize('name', ['stablesr', 'stablesr_50'])
def test_published_recipe(name: str):
    with torch.device('meta'):
        model = build_model(load_config(name))
    found = model.restore_options
    assert found.steps == (50 if name.endswith('50') else 200)
    assert (found.seed, found.color_fix, found.scale) == (42, 'adain', 4)
    assert (found.tile, found.tile_overlap) == (1280, 280)
    assert (model.latent_tile, model.latent_overlap) == (64, 32)
    assert model.fidelity == 0.5 and found.noise == 'per_frame'
    assert set(model.weight_files) <= FILES.keys()
    assert 'prompt' not in model.options_used
    # a result of 1280 x 720 is one tile of pixels
    assert len(plan_tiles(736, 1280, found.tile, found.tile_overlap)) == 1


def test_half_precision_stays_close():
    """Only the networks' weights are coarser."""
    lq = clip(1, 5, 5)
    exact = tiny().restore(lq, options()).float()
    model = build().eval()
    take_random(model)
    model.place(torch.device('cpu'), torch.bfloat16)
    assert next(model.backbone.parameters()).dtype == torch.bfloat16
    coarse = model.restore(lq, options()).float()
    assert (exact - coarse).abs().mean() < 8
