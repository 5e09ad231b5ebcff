"""Resizing against Pillow, a slow formula and identities."""

import math

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor

from star.evaluation.functional.imresize import imresize


def noise(*shape: int) -> Tensor:
    generator = torch.Generator().manual_seed(3)
    return torch.rand(shape, generator=generator, dtype=torch.float64) * 255


def keys(x: float) -> float:
    x = abs(x)
    if x <= 1:
        return 1.5 * x**3 - 2.5 * x**2 + 1
    return -0.5 * x**3 + 2.5 * x**2 - 4 * x + 2 if x < 2 else 0


def slow_line(line: list[float], length: int) -> list[float]:
    """Resize one line by the definition, far beyond the support."""
    scale = length / len(line)
    shrink = min(scale, 1)
    mirrored = line + line[::-1]
    reach = math.ceil(2 / shrink) + 1
    result = []
    for k in range(length):
        centre = (k + 0.5) / scale - 0.5
        taps = range(math.floor(centre) - reach, math.ceil(centre) + reach)
        weights = [keys((centre - i) * shrink) for i in taps]
        values = [mirrored[i % len(mirrored)] for i in taps]
        total = sum(w * v for w, v in zip(weights, values, strict=True))
        result.append(total / sum(weights))
    return result


@pytest.mark.parametrize('length', [5, 7, 13, 40])
def test_follows_the_definition(length: int):
    line = noise(13)
    expected = torch.tensor(slow_line(line.tolist(), length))
    across = imresize(line.expand(2, 13), (2, length))
    down = imresize(line[:, None].expand(13, 2), (length, 2))
    torch.testing.assert_close(across[1], expected.double())
    torch.testing.assert_close(down[:, 0], expected.double())


@pytest.mark.parametrize('size', [(20, 30), (61, 47), (90, 120)])
def test_agrees_with_pillow_inside(size: tuple[int, int]):
    """Pillow shrinks with the same kernel, but cuts it at the edges."""
    picture = noise(60, 80).float()
    pillow = Image.fromarray(picture.numpy()).resize(
        size[::-1], Image.Resampling.BICUBIC
    )
    found = imresize(picture, size)
    expected = torch.from_numpy(np.array(pillow))
    inside = (slice(6, -6), slice(6, -6))
    torch.testing.assert_close(
        found[inside], expected[inside], atol=2e-3, rtol=0
    )


def test_same_size_is_the_same_picture():
    picture = noise(3, 9, 11)
    assert torch.equal(imresize(picture, (9, 11)), picture)


@pytest.mark.parametrize('size', [(6, 5), (30, 40)])
def test_flat_pictures_stay_flat(size: tuple[int, int]):
    flat = torch.full((12, 10), 77.0, dtype=torch.float64)
    torch.testing.assert_close(
        imresize(flat, size),
        torch.full(size, 77.0, dtype=torch.float64),
        atol=1e-12,
        rtol=0,
    )


def test_refuses_an_empty_size():
    with pytest.raises(ValueError, match=r'at least 1x1, got \(0, 4\)'):
        imresize(noise(4, 4), (0, 4))
