"""DOVE end to end, with tiny networks and random or no weights."""

import json
from dataclasses import replace
from functools import cache
from types import SimpleNamespace
from typing import Any

import pytest
import torch
from einops import rearrange
from skimage.registration import phase_cross_correlation
from torch import Tensor, nn

from star.apis.inference.build import build_model, load_config, take_random
from star.apis.inference.memory_plan import count_memory
from star.apis.inference.planning import smaller_options
from star.models.editors import DOVE
from star.models.editors.dove.one_step import signal_share
from star.models.restoration.events import EventRelay
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from star.utils.memory_counter import MemoryCounter
from tests.test_models.fakes import random_clip
from tests.test_reference.vectors import find_vector


def make(**changes: Any) -> DOVE:
    settings = load_config('tiny_dove')
    settings.model.update(changes)
    model: Any = build_model(settings).eval()
    take_random(model)
    return model


@cache
def tiny() -> DOVE:
    return make()


def cut(model: DOVE, **changes: Any) -> RestoreOptions:
    """Choose short windows and small tiles."""
    small = dict(window=9, overlap=2, tile=32, tile_overlap=16)
    return replace(model.restore_options, **{**small, **changes})


def clip(frames: int, height: int = 3, width: int = 5) -> Tensor:
    return random_clip(frames, height, width, seed=frames)


class Shuffle(nn.Module):
    """An autoencoder without loss: pixels become channels, in time, too."""

    downsample, scaling_factor = 8, 0.7

    def posterior(self, x: Tensor, tile: object) -> SimpleNamespace:
        x = torch.cat([x[:, :, :1].expand(-1, -1, 3, -1, -1), x], 2)
        z = rearrange(
            x,
            'n c (t a) (h b) (w d) -> n (c a b d) t h w',
            a=4,
            b=8,
            d=8,
        )
        return SimpleNamespace(mean=z, std=torch.zeros_like(z))

    def decode(self, z: Tensor, tile: object) -> Tensor:
        x = rearrange(
            z / self.scaling_factor,
            'n (c a b d) t h w -> n c (t a) (h b) (w d)',
            a=4,
            b=8,
            d=8,
        )
        return x[:, :, 3:]


def silent(self: FrameNoise, number: int, count: int, shape: Any) -> Tensor:
    return torch.zeros(count, *shape)


@pytest.fixture
def identity(monkeypatch: pytest.MonkeyPatch) -> DOVE:
    """Return a model that only enlarges: its transformer changes nothing."""
    model, share = tiny(), signal_share(399)

    def velocity(z: Tensor) -> Tensor:
        assert z.shape[2] % 2 == 0
        return z * ((share**0.5 - 1) / (1 - share) ** 0.5)

    monkeypatch.setattr(model.backbone, 'velocity', velocity)
    monkeypatch.setitem(model._modules, 'autoencoder', Shuffle())
    monkeypatch.setattr(FrameNoise, 'draw', silent)
    return model


def enlarged(lq: Tensor, scale: float) -> Tensor:
    size = [round(side * scale) for side in lq.shape[-2:]]
    return nn.functional.interpolate(lq.float(), size, mode='bilinear')


@pytest.mark.parametrize('frames', [1, 2, 5, 8, 23, 24, 33, 100])
def test_every_frame_comes_back(identity: DOVE, frames: int):
    """Windows, padding in time and the prepended latent leave no trace."""
    lq = clip(frames)
    out = identity.restore(lq, cut(identity))
    assert out.shape == (frames, 3, 12, 20)
    assert (out.float() - enlarged(lq, 4)).abs().max() <= 1


@pytest.mark.parametrize('scale', [1, 1.7, 3, 4])
def test_tiles_and_sizes(identity: DOVE, scale: float):
    lq = clip(3, 33, 41)
    out = identity.restore(lq, cut(identity, scale=scale))
    expected = enlarged(lq, scale)
    assert out.shape == expected.shape
    assert (out.float() - expected).abs().max() <= 1


def test_nothing_moves_in_time(identity: DOVE):
    """A bar that steps to the right is where it was in each frame."""
    lq = torch.zeros(40, 3, 4, 40, dtype=torch.uint8)
    for i in range(40):
        lq[i, :, :, i] = 255
    out = identity.restore(lq, cut(identity, window=17, overlap=4, tile=0))
    centre = out[:, 0].float().mean(1).argmax(1)
    assert ((centre - 1.5 - 4 * torch.arange(40)).abs() <= 1.5).all()


def test_nothing_moves_in_space(identity: DOVE):
    coarse = clip(1, 6, 7).float()
    lq = nn.functional.interpolate(coarse, (27, 35), mode='bicubic')
    lq = lq.clamp(0, 255).to(torch.uint8)
    out = identity.restore(lq, cut(identity))
    bicubic = nn.functional.interpolate(
        lq.float(), scale_factor=4, mode='bicubic'
    )
    shift, _, _ = phase_cross_correlation(
        bicubic[0, 0].numpy(), out[0, 0].numpy(), upsample_factor=100
    )
    assert abs(shift).max() < 0.1


@pytest.mark.parametrize(
    ('frames', 'size'), [(1, (1, 1)), (5, (5, 3)), (8, (7, 9)), (20, (3, 4))]
)
def test_every_clip_has_its_size(frames: int, size: tuple[int, int]):
    out = tiny().restore(clip(frames, *size), cut(tiny()))
    assert out.shape == (frames, 3, 4 * size[0], 4 * size[1])
    assert out.float().std() > 10


def test_the_last_window_is_full(monkeypatch: pytest.MonkeyPatch):
    """It begins earlier; a clip shorter than a window is filled."""
    model, lengths = tiny(), []
    restore = model.restore_clip

    def watched(frames: Tensor, job: Any) -> Tensor:
        lengths.append((job.start, len(frames)))
        return restore(frames, job)

    monkeypatch.setattr(model, 'restore_clip', watched)
    model.restore(clip(12), cut(model))
    assert lengths == [(0, 9), (3, 9)]
    model.restore(clip(3), cut(model))
    assert lengths[2:] == [(0, 3)]


def test_a_short_clip_is_filled_with_its_last_frame():
    lq = clip(3)
    filled = torch.cat([lq, *[lq[-1:]] * 6])
    assert torch.equal(
        tiny().restore(lq, cut(tiny())),
        tiny().restore(filled, cut(tiny()))[:3],
    )


def test_a_restoration_is_taken_up():
    """The frames before a window are kept with the point."""
    lq, options = clip(20), cut(tiny())
    whole = tiny().restore(lq, options)
    points = [p.point for p in tiny().restore_pieces(iter(lq), options)]
    assert points[-1] is None and len(points) == 3
    pieces = tiny().restore_pieces(iter(lq), options)
    next(pieces)
    piece = next(pieces)
    assert piece.point is not None
    point = piece.point()
    assert point.tensors['before'].shape == (7, 3, 3, 5)
    rest = tiny().restore_pieces(iter(lq[point.frame :]), options, point=point)
    found = torch.cat([p.frames for p in rest])
    assert torch.equal(found, whole[point.done :])


def test_noise():
    lq, model = clip(3), tiny()
    options = cut(model)
    out = model.restore(lq, options)
    assert torch.equal(out, model.restore(lq, options))
    assert not torch.equal(out, model.restore(lq, replace(options, seed=1)))
    means = [
        model.restore(lq, replace(options, noise='none', seed=seed))
        for seed in (0, 1)
    ]
    assert torch.equal(*means)


def test_noise_is_cut_out_of_the_frame(monkeypatch: pytest.MonkeyPatch):
    """Tiles and windows that see the same latent get the same noise."""
    model, drawn = tiny(), set()
    draw = FrameNoise.draw

    def watched(self: FrameNoise, number: int, *rest: Any) -> Tensor:
        drawn.add((number, self.start, *rest))
        return draw(self, number, *rest)

    monkeypatch.setattr(FrameNoise, 'draw', watched)
    model.restore(clip(9, 9, 11), cut(model))
    shape = 4, 6, 6
    assert drawn == {(0, start, 1, shape) for start in (0, 4, 8)}


def test_colors():
    lq, model = clip(2) // 4 + 100, tiny()
    out = model.restore(lq, cut(model, color_fix='adain')).float()
    plain = model.restore(lq, cut(model)).float()
    axes = 2, 3
    wanted = enlarged(lq, 4).mean(axes)
    assert (out.mean(axes) - wanted).abs().max() < 3
    assert (plain.mean(axes) - wanted).abs().max() > 6


def test_half_precision_is_close():
    half = make()
    half.place(torch.device('cpu'), torch.bfloat16)
    dtypes = {p.dtype for p in half.parameters()}
    assert dtypes == {torch.bfloat16}
    lq = clip(2)
    out = half.restore(lq).float()
    error = (out - tiny().restore(lq).float()).abs().mean()
    assert 0 < error < 12


class Notes(EventRelay):
    """Keeps what a person is told."""

    def __init__(self) -> None:
        super().__init__()
        self.texts: list[str] = []

    def note(self, text: str) -> None:
        self.texts.append(text)


def test_official_mode():
    """Whole clips, in the default mode's frames and exact sizes."""
    model, lq = tiny(), clip(5, 3, 5)
    options = replace(model.restore_options, compat='official', tile=0)
    out = model.restore(lq, options)
    assert out.shape == (5, 3, 12, 20)
    assert not torch.equal(out, model.restore(lq, cut(model)))
    other = replace(options, seed=43)
    assert not torch.equal(out, model.restore(lq, other))
    assert model.segment_of(options)[0] > 10**6
    events = Notes()
    options = replace(options, scale=1)
    assert model.restore(lq, options, events).shape == lq.shape
    assert 'cuts off more than its padding' in events.texts[0]


def test_official_chunks_that_shift_are_told():
    model, events = make(chunk=(17, 8)), Notes()
    options = replace(model.restore_options, compat='official', tile=0)
    options = replace(options, scale=1)
    lq = clip(41, 1, 1)
    assert model.restore(lq, options, events).shape == lq.shape
    assert 'shifted in time' in events.texts[0]
    with pytest.raises(ValueError, match='needs an even overlap'):
        model.restore(lq[:1], options)


def test_refuses_what_it_cannot_do():
    model = tiny()
    for changes, message in (
        (dict(window=16), '`window` must be a multiple of 8 and 1 more'),
        (dict(window=1, overlap=0), 'got 1'),
        (dict(tile=(64, 31), tile_overlap=17), '`tile` must be 0 or at least'),
        (dict(compat='official', window=17), '`window` must be left out'),
        (dict(compat='official', scale=1.5), 'whole number'),
        (dict(compat='official', noise='none'), "'per_frame'"),
        (dict(compat='official', tile=40), 'multiples of 16'),
    ):
        own = replace(model.restore_options)
        keeps = changes.get('compat') == 'official'
        options = replace(own if keeps else cut(model), **changes)
        if keeps and 'window' in changes:
            options = replace(options, window=25)
        with pytest.raises(ValueError, match=message):
            model.restore(clip(1), options)
    for name in ('timestep', 'noise_step'):
        with pytest.raises(ValueError, match=f'`{name}` must lie in'):
            make(**{name: 1000})


def test_defaults_are_published():
    with torch.device('meta'):
        model: Any = build_model(load_config('dove'))
    options = model.restore_options
    assert (options.scale, options.window, options.overlap) == (4, 33, 8)
    assert (options.seed, options.color_fix, options.tile) == (42, 'none', 0)
    described = model.describe_options(options)
    assert (described['timestep'], described['noise_step']) == (399, 0)
    assert 'not Apache' in described['licence']
    assert 'steps' not in model.options_used
    config = find_vector('dove/transformer_config_15.json').read_text()
    own = dict(model.backbone.transformer.config)
    wanted = json.loads(config)
    wanted.pop('patch_bias')  # has no effect
    assert {k: own[k] for k in wanted} == wanted


def test_memory_is_planned():
    """Smaller windows and tiles are known to take less."""
    model = tiny()
    options = replace(model.restore_options, tile=0)
    size = (40, 40)
    ladder = list(smaller_options(model, options, size))
    assert {(o.window, o.tile) for o in ladder} >= {(17, 0), (9, 128), (9, 64)}
    peaks = [
        count_memory(model, each, (None, *size)).peak
        for each in (options, replace(options, tile=64, tile_overlap=32))
    ]
    assert peaks[1] < 0.7 * peaks[0]


@pytest.mark.slow
def test_memory_is_counted_once_for_tiles_of_one_shape():
    """And so is what the tiles of the autoencoder take."""
    model, counts = make(vae_tile=32), []
    options = replace(model.restore_options, tile=64, tile_overlap=32)
    for remembered in (True, False):
        if not remembered:
            model.counted_once = ()
            model.autoencoder.counted_once = ()
        run = count_memory(model, options, (9, 20, 24))
        counts.append((run.peak, run.held))
    assert counts[0] == pytest.approx(counts[1], rel=1e-3)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_clip():
    model = tiny()
    peaks = []
    for frames in (48, 240):
        source = (clip(1, 6, 6)[0] for _ in range(frames))
        with MemoryCounter() as memory:
            for _ in model.restore_stream(source, cut(model, tile=0)):
                pass
        peaks.append(memory.peak)
    assert peaks[1] <= 1.15 * peaks[0]
