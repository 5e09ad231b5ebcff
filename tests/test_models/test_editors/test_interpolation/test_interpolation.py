"""Enlargement against formulas and against Pillow."""

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from star.models.editors import Bicubic, Lanczos
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from tests.test_models.fakes import random_clip


def kernel(x: float) -> float:
    """Keys' cubic with a = -0.75, as OpenCV and torch use it."""
    x, a = abs(x), -0.75
    if x <= 1:
        return (a + 2) * x**3 - (a + 3) * x**2 + 1
    return a * x**3 - 5 * a * x**2 + 8 * a * x - 4 * a if x < 2 else 0


def enlarge_row(row: list[int], scale: int) -> list[float]:
    out = []
    for i in range(len(row) * scale):
        place = (i + 0.5) / scale - 0.5
        base = int(place // 1)
        taps = range(base - 1, base + 3)
        edge = [row[min(max(j, 0), len(row) - 1)] for j in taps]
        weights = [kernel(place - j) for j in taps]
        out.append(sum(w * v for w, v in zip(weights, edge, strict=True)))
    return out


@pytest.mark.parametrize('scale', [2, 4])
def test_agrees_with_the_formula(scale: int):
    row = [10, 200, 30, 90, 120, 250, 0, 60]
    lq = torch.tensor(row, dtype=torch.uint8).expand(1, 3, 5, 8)
    out = MODELS.build({'type': 'Bicubic', 'scale': scale}).restore(lq)
    expected = torch.tensor(enlarge_row(row, scale)).clamp(0, 255)
    assert out.shape == (1, 3, 5 * scale, 8 * scale)
    assert (out.double() - expected).abs().max() <= 0.501


def test_any_scale():
    lq = torch.full((2, 3, 6, 10), 77, dtype=torch.uint8)
    out = Bicubic().restore(lq, RestoreOptions(scale=1.5))
    assert torch.equal(out, torch.full((2, 3, 9, 15), 77, dtype=torch.uint8))


def noise(height: int, width: int) -> Tensor:
    return random_clip(2, height, width)


def pillow(frame: Tensor, size: tuple[int, int]) -> Tensor:
    """Resize (h, w), float or uint8, by Pillow's own code."""
    image = Image.fromarray(frame.numpy())
    resized = image.resize(size[::-1], Image.Resampling.LANCZOS)
    return torch.from_numpy(np.array(resized))


@pytest.mark.parametrize('scale', [1, 1.5, 2, 3, 4, 0.5])
@pytest.mark.parametrize('size', [(12, 17), (2, 6), (5, 31)])
def test_lanczos_is_pillows(scale: float, size: tuple[int, int]):
    lq = noise(*size)
    out = Lanczos().restore(lq, RestoreOptions(scale=scale))
    target = (round(size[0] * scale), round(size[1] * scale))
    assert out.shape == (2, 3, *target)
    for frame, found in zip(lq.flatten(0, 1), out.flatten(0, 1), strict=True):
        expected = pillow(frame.float(), target)
        # Pillow in float does not clamp; what is halfway may go either way
        assert (found - expected.clamp(0, 255)).abs().max() <= 0.501


def test_lanczos_is_pillows_in_eight_bits():
    """Pillow rounds and clamps between the axes: equal where nothing clips."""
    lq = noise(9, 14) // 2 + 64
    out = Lanczos().restore(lq)
    for frame, found in zip(lq.flatten(0, 1), out.flatten(0, 1), strict=True):
        expected = pillow(frame, (36, 56))
        assert (found.int() - expected).abs().max() <= 1


def test_lanczos_keeps_a_plane():
    grey = torch.full((1, 3, 5, 7), 77, dtype=torch.uint8)
    assert torch.equal(
        Lanczos(3).restore(grey),
        torch.full((1, 3, 15, 21), 77, dtype=torch.uint8),
    )
