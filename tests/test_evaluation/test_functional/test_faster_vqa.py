"""FasterVQA: frames, fragments and score, by loops as simple as can be."""

import math

import numpy as np
import pytest
import torch
from torch import Tensor

from star.evaluation.functional.faster_vqa import (
    PRESETS,
    faster_vqa,
    fragments_view,
    sample_parts,
)

MEAN = (123.675, 116.28, 103.53)
STD = (58.395, 57.12, 57.375)


def make_clip(frames: int, height: int, width: int) -> Tensor:
    generator = torch.Generator().manual_seed(frames)
    shape = (frames, 3, height, width)
    return torch.randint(0, 256, shape, generator=generator).to(torch.uint8)


def slow_view(clip: Tensor, interval: int, seed: int) -> Tensor:
    """Cut pixel blocks one by one, with the global random numbers."""
    np.random.seed(seed)
    torch.manual_seed(seed)
    count, _, height, width = clip.shape
    part = count // 8
    offsets = [0] * 8
    if part > 4 * interval:
        offsets = np.random.randint(0, part - 4 * interval, size=8)
    frames = [
        (part * i + offsets[i] + interval * j) % count
        for i in range(8)
        for j in range(4)
    ]
    down, right = (
        torch.randint(side // 7 - 32, (7, 7, 8))
        if side // 7 > 32
        else torch.zeros(7, 7, 8, dtype=torch.int64)
        for side in (height, width)
    )
    view = torch.zeros(3, 32, 224, 224)
    for t, frame in enumerate(frames):
        for i in range(7):
            for j in range(7):
                y = min(height // 7 * i, height - 32) + int(down[i, j, t // 4])
                x = min(width // 7 * j, width - 32) + int(right[i, j, t // 4])
                block = clip[frame, :, y : y + 32, x : x + 32].float()
                for c in range(3):
                    view[c, t, 32 * i : 32 * i + 32, 32 * j : 32 * j + 32] = (
                        block[c] - MEAN[c]
                    ) / STD[c]
    return view[None]


@pytest.mark.parametrize('interval', [1, 2])
@pytest.mark.parametrize('frames', [5, 32, 90])
def test_view(frames: int, interval: int):
    clip = make_clip(frames, 240, 300)
    with torch.random.fork_rng(devices=[]):
        expected = slow_view(clip, interval, 7)
    found = fragments_view(clip, interval, 7)
    assert found.shape == (1, 3, 32, 224, 224)
    assert torch.allclose(found, expected, atol=1e-6)


def test_frames():
    random = np.random.RandomState(0)
    assert sample_parts(32, 1, random).flatten().tolist() == list(range(32))
    expected = [[(4 * i + j) % 32 for j in (0, 2, 4, 6)] for i in range(8)]
    assert sample_parts(32, 2, random).tolist() == expected
    assert sample_parts(3, 1, random).tolist() == [[0, 1, 2, 0]] * 8
    starts = sample_parts(800, 1, random)[:, 0] - 100 * torch.arange(8)
    assert ((starts >= 0) & (starts < 96)).all() and starts.any()


@pytest.mark.parametrize('preset', PRESETS)
def test_score(preset: str):
    """The mean over all positions and two seeds, normalized."""
    clip = make_clip(90, 240, 300)
    views = [fragments_view(clip, PRESETS[preset], i).double() for i in (4, 5)]
    raw = (views[0].mean() + views[1].mean()).item() / 2
    found = faster_vqa(lambda x: x, clip, preset, seed=4, repeats=2)
    assert found.raw == pytest.approx(raw, abs=1e-9)
    expected = 1 / (1 + math.exp(-(raw - 0.14759505) / 0.03613452))
    assert found.score == pytest.approx(expected, rel=1e-9)


def test_published_score():
    """The authors' raw 0.133 for their demo is about the 0.42 they print."""
    clip = make_clip(8, 32, 32)
    found = faster_vqa(lambda x: torch.full((1, 1), 0.133), clip)
    assert found.score == pytest.approx(0.4, abs=0.03)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'preset': 'fast'}, "official, training, got 'fast'"),
        ({'seed': -1}, '`seed` must be at least 0, got -1'),
        ({'repeats': 0}, '`repeats` must be at least 1, got 0'),
    ],
)
def test_refuses_options(options: dict, message: str):
    with pytest.raises(ValueError, match=message):
        faster_vqa(lambda x: x, make_clip(8, 32, 32), **options)


def test_refuses_small_frames():
    with pytest.raises(ValueError, match='32 at least for FasterVQA, got 31'):
        faster_vqa(lambda x: x, make_clip(8, 31, 40))
