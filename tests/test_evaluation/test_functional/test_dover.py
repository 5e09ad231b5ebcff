"""DOVER: what is sampled of a clip, and how two scores become one."""

import re

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from star.evaluation.functional.dover import (
    PRESETS,
    aesthetic_view,
    dover,
    dover_scores,
    fuse,
    plan_views,
    resize_frame,
    sample_frames,
    technical_view,
)
from star.utils import compat

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1, 1)


class Recorder(nn.Module):
    """Stands for the network: scores are means of what it sees."""

    def __init__(self) -> None:
        super().__init__()
        self.technical: list[Tensor] = []
        self.aesthetic: list[Tensor] = []

    def score_technical(self, clips: Tensor) -> Tensor:
        self.technical.append(clips)
        return clips.mean((1, 4), keepdim=True)

    def score_aesthetic(self, clips: Tensor) -> Tensor:
        self.aesthetic.append(clips)
        return clips.mean((1, 4), keepdim=True) / 2


def seeded(seed: int = 0) -> torch.Generator:
    return torch.Generator().manual_seed(seed)


def noise(frames: int, height: int, width: int) -> Tensor:
    shape = (frames, 3, height, width)
    return torch.randint(0, 256, shape, generator=seeded(9), dtype=torch.uint8)


def positions(frames: int, height: int, width: int) -> Tensor:
    """A clip that says where each of its pixels is: row, column, frame."""
    clip = torch.empty(frames, 3, height, width, dtype=torch.uint8)
    clip[:, 0] = (torch.arange(height) % 256)[:, None]
    clip[:, 1] = torch.arange(width) % 256
    clip[:, 2] = torch.arange(frames)[:, None, None]
    return clip


def pixels(view: Tensor) -> Tensor:
    """Undo the normalization of (3, T, H, W)."""
    return (view * STD + MEAN).round().to(torch.uint8)


@pytest.mark.parametrize('num_frames', [1, 8, 32, 97, 100, 197, 300])
def test_frames_follow_the_rule(num_frames: int):
    """Equal parts, every second frame, from the start again at the end."""
    for parts, length in ((3, 32), (32, 1)):
        frames = sample_frames(num_frames, parts, length, seeded(1))
        assert frames.shape == (parts, length)
        part = num_frames // parts
        slack = part - 2 * length
        for i in range(parts):
            start = int(frames[i, 0])
            if slack > 0:
                assert 0 <= start - part * i < slack
            else:
                assert start == part * i % num_frames
            expected = [(start + 2 * j) % num_frames for j in range(length)]
            assert frames[i].tolist() == expected


def test_frames_of_a_hundred():
    technical = sample_frames(100, 3, 32, seeded())
    assert technical[0].tolist() == list(range(0, 64, 2))
    assert technical[1].tolist() == list(range(33, 97, 2))
    assert technical[2].tolist() == [*range(66, 100, 2), *range(0, 30, 2)]
    aesthetic = sample_frames(100, 32, 1, seeded())
    assert aesthetic.flatten().tolist() == list(range(0, 96, 3))
    few = sample_frames(8, 32, 1, seeded())
    assert few.flatten().tolist() == [0] * 32


def test_frames_are_drawn_only_from_long_clips():
    for parts, length, longest in ((3, 32, 197), (32, 1, 127)):
        many = [
            sample_frames(longest, parts, length, seeded(i)) for i in range(8)
        ]
        assert all(torch.equal(many[0], x) for x in many)
        # one frame more leaves two starts, 300 leave more
        starts = {
            tuple(sample_frames(longest + 1, parts, length, seeded(i))[:, 0])
            for i in range(8)
        }
        assert len(starts) > 1
    starts = torch.cat(
        [sample_frames(300, 3, 32, seeded(i))[:, 0] for i in range(200)]
    ).view(-1, 3) - torch.tensor([0, 100, 200])
    assert starts.min() == 0
    assert starts.max() == 300 // 3 - 64 - 1


def test_fragments_are_where_they_were_drawn():
    clip = positions(100, 300, 420)
    plan = plan_views(clip, seeded(3))
    assert plan.rows.max() < 300 // 7 - 32
    assert plan.columns.max() < 420 // 7 - 32
    assert plan.columns.max() > 0
    view = technical_view(clip, plan)
    assert view.shape == (3, 3, 32, 224, 224)
    side = torch.arange(32)
    for i in range(3):
        found = pixels(view[i]).view(3, 32, 7, 32, 7, 32)
        for j in range(7):
            for k in range(7):
                cell = found[:, :, j, :, k]
                rows = 42 * j + plan.rows[j, k, i] + side
                columns = 60 * k + plan.columns[j, k, i] + side
                assert (cell[0] == rows[:, None] % 256).all()
                assert (cell[1] == columns % 256).all()
                frames = plan.technical[i].view(-1, 1, 1)
                assert (cell[2] == frames).all()


def test_fragments_are_those_of_the_official_code():
    """The plan is drawn from torch's own generator, rows first."""
    plan = plan_views(torch.empty(300, 3, 720, 1280), seeded(5))
    with torch.random.fork_rng():
        torch.manual_seed(5)
        assert torch.equal(plan.rows, torch.randint(102 - 32, (7, 7, 3)))
        assert torch.equal(plan.columns, torch.randint(182 - 32, (7, 7, 3)))
        # a frame whose rows leave no choice
        plan = plan_views(torch.empty(8, 3, 224, 1280), seeded(6))
        torch.manual_seed(6)
        assert not plan.rows.any()
        assert torch.equal(plan.columns, torch.randint(182 - 32, (7, 7, 3)))


def enlarge(frame: Tensor, factor: int) -> np.ndarray:
    """Enlarge (C, H, W) bilinearly, with plain indices."""
    values = frame.double().numpy()
    for axis in (1, 2):
        side = values.shape[axis]
        at = (np.arange(factor * side) + 0.5) / factor - 0.5
        at = at.clip(0, side - 1)
        low = np.floor(at).astype(int)
        high = np.minimum(low + 1, side - 1)
        share = (at - low).reshape([-1 if i == axis else 1 for i in range(3)])
        values = (1 - share) * values.take(low, axis) + share * values.take(
            high, axis
        )
    return values


def test_small_frames_are_enlarged():
    clip = noise(4, 112, 112)
    plan = plan_views(clip, seeded())
    assert not plan.rows.any()
    assert not plan.columns.any()
    exact = torch.from_numpy(np.stack([enlarge(x, 2) for x in clip]))
    whole = technical_view(clip, plan, grid_of_original=False)
    for i in range(3):
        cut = exact[plan.technical[i]].movedim(1, 0) - pixels(whole[i])
        assert cut.min() > -1e-3  # fractions are cut off, not rounded
        assert cut.max() < 1 + 1e-3
        assert cut.mean() == pytest.approx(0.5, abs=0.05)
    # the official code sees the upper left part alone: 112 of 224 rows
    part = technical_view(clip, plan)
    origins = [0, 16, 32, 48, 64, 80, 80]
    for j, top in enumerate(origins):
        for k, left in enumerate(origins):
            cell = part[..., 32 * j : 32 * j + 32, 32 * k : 32 * k + 32]
            seen = whole[..., top : top + 32, left : left + 32]
            assert torch.equal(cell, seen)


def test_only_the_corrected_preset_sees_whole_small_frames():
    clip = noise(4, 112, 112)
    seen = {}
    for preset in PRESETS:
        network = Recorder()
        dover(network, clip, preset)
        seen[preset] = torch.cat(network.technical)
    corrected = seen.pop('livevqc_corrected')
    plan = plan_views(clip, seeded())
    assert torch.equal(corrected, technical_view(clip, plan, False))
    for view in seen.values():
        assert torch.equal(view, technical_view(clip, plan, True))


def shrink(frame: Tensor, antialias: bool) -> np.ndarray:
    """Resize (C, H, W) to 224 x 224 by a triangle filter's weights."""
    values = frame.double().numpy()
    for axis in (1, 2):
        side = frame.shape[axis]
        scale = side / 224
        width = max(scale, 1) if antialias else 1
        centre = (np.arange(224) + 0.5) * scale - 0.5
        distance = np.abs(np.arange(side) - centre[:, None])
        weights = np.maximum(1 - distance / width, 0)
        weights /= weights.sum(1, keepdims=True)
        values = np.moveaxis(np.tensordot(weights, values, (1, axis)), 0, axis)
    return values


@pytest.mark.parametrize('antialias', [False, True])
@pytest.mark.parametrize(('height', 'width'), [(360, 640), (90, 225)])
def test_resize(height: int, width: int, antialias: bool):
    frame = noise(1, height, width)[0]
    found = resize_frame(frame, antialias).double().numpy()
    exact = shrink(frame, antialias)
    assert np.abs(found - exact).max() < 0.52  # float32


@pytest.mark.parametrize('antialias', [False, True])
def test_resize_is_torchvisions(antialias: bool):
    compat.allow_missing_torchvision_operators()
    transforms = pytest.importorskip('torchvision.transforms')
    resize = transforms.Resize((224, 224), antialias=antialias)
    for height, width in ((360, 640), (224, 224), (100, 300)):
        frame = noise(1, height, width)[0]
        assert torch.equal(resize_frame(frame, antialias), resize(frame))


def test_aesthetic_view_holds_the_drawn_frames():
    clip = noise(140, 40, 50)
    plan = plan_views(clip, seeded(1))
    view = aesthetic_view(clip, plan)
    assert view.shape == (1, 3, 32, 224, 224)
    for i, frame in enumerate(plan.aesthetic.tolist()):
        expected = resize_frame(clip[frame])
        assert torch.equal(pixels(view[0])[:, i], expected)


@pytest.mark.parametrize(
    ('preset', 'overall', 'technical', 'aesthetic'),
    [
        ('official', 0.693, 0.071, 0.998),
        ('official_pre202308', 0.588, 0.526, 0.625),
        ('livevqc_corrected', 0.566, 0.526, 0.625),
        ('evalcrafter', 0.534, 0.440, 0.674),
        ('technical_x100', 7.058, 0.071, 0.998),
    ],
)
def test_fusion(
    preset: str, overall: float, technical: float, aesthetic: float
):
    """Raw scores of the official demo video 17734.mp4, and its published."""
    scores = fuse(-0.0789, 0.1484, preset)
    assert scores.overall == pytest.approx(overall, abs=6e-4)
    assert scores.technical == pytest.approx(technical, abs=6e-4)
    assert scores.aesthetic == pytest.approx(aesthetic, abs=6e-4)
    assert (scores.raw_technical, scores.raw_aesthetic) == (-0.0789, 0.1484)


def test_official_fusion_as_one_line():
    """sigmoid(8.2991 T + 10.3233 A - 0.0634), its terms added up."""
    for t, a in ((0.0, 0.0), (-0.0789, 0.1484), (0.2, -0.3), (9.0, 9.0)):
        expected = 1 / (1 + np.exp(-(8.2991 * t + 10.3233 * a - 0.0634)))
        assert fuse(t, a).overall == pytest.approx(expected, abs=1e-4)
    assert fuse(-99.0, -99.0).overall == pytest.approx(0, abs=1e-300)


def test_scores_are_means_over_passes_and_places():
    clip = noise(100, 232, 300)
    network = Recorder()
    scores = dover_scores(network, clip, seed=4)
    assert len(network.technical) == 3
    assert all(x.shape == (1, 3, 32, 224, 224) for x in network.technical)
    assert [x.shape for x in network.aesthetic] == [(1, 3, 32, 224, 224)]
    plan = plan_views(clip, seeded(4))
    raw = technical_view(clip, plan).double().mean().item()
    assert scores.raw_technical == pytest.approx(raw, abs=1e-6)
    raw = aesthetic_view(clip, plan).double().mean().item() / 2
    assert scores.raw_aesthetic == pytest.approx(raw, abs=1e-6)
    assert scores == fuse(scores.raw_technical, scores.raw_aesthetic)
    assert dover(network, clip, seed=4) == scores.overall


def test_seeds_decide():
    clip = noise(100, 300, 300)
    before = torch.random.get_rng_state()
    first = dover_scores(Recorder(), clip, seed=1)
    assert dover_scores(Recorder(), clip, seed=1) == first
    other = dover_scores(Recorder(), clip, seed=2)
    assert other.raw_technical != first.raw_technical
    assert other.raw_aesthetic == first.raw_aesthetic
    assert torch.equal(torch.random.get_rng_state(), before)


@pytest.mark.parametrize(('frames', 'passes'), [(100, 1), (200, 2)])
def test_repeats_average_seeds(frames: int, passes: int):
    """The aesthetic branch runs again only where frames are drawn."""
    clip = noise(frames, 225, 300)
    single = [dover_scores(Recorder(), clip, seed=s) for s in (5, 6)]
    network = Recorder()
    found = dover_scores(network, clip, seed=5, repeats=2)
    assert len(network.aesthetic) == passes
    assert len(network.technical) == 6
    for name in ('raw_technical', 'raw_aesthetic'):
        mean = np.mean([getattr(scores, name) for scores in single])
        assert getattr(found, name) == pytest.approx(mean, abs=1e-9)


def test_antialias_reaches_the_aesthetic_branch():
    clip = noise(3, 400, 400)
    plain, smooth = Recorder(), Recorder()
    dover(plain, clip)
    dover(smooth, clip, antialias=True)
    assert torch.equal(plain.technical[2], smooth.technical[2])
    # noise is nearly averaged away
    assert smooth.aesthetic[0].std() < 0.75 * plain.aesthetic[0].std()


@pytest.mark.parametrize(
    ('clip', 'options', 'message'),
    [
        ((2, 3, 31, 64), {}, '`clip` must have sides of 32 at least'),
        ((0, 3, 64, 64), {}, '`clip` must be (T, 3, H, W) uint8'),
        ((2, 3, 64, 64), {'preset': 'x'}, 'one of official, official_pre2023'),
        ((2, 3, 64, 64), {'repeats': 0}, '`repeats` must be at least 1, got'),
        ((2, 3, 64, 64), {'seed': -1}, '`seed` must be at least 0, got -1'),
    ],
)
def test_refuses(clip: tuple[int, ...], options: dict, message: str):
    with pytest.raises(ValueError, match=re.escape(message)):
        dover(Recorder(), torch.zeros(clip, dtype=torch.uint8), **options)
