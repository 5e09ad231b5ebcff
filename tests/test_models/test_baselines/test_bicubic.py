"""Bicubic enlargement against its formula."""

import pytest
import torch

from star.models.baselines import Bicubic
from star.registry import MODELS
from star.structures import RestoreOptions


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
