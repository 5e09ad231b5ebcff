"""Deconvolution against a dense system of equations."""

import numpy as np
import pytest
import torch

from star.models.editors.dbvsr.deconvolution import deconvolve


def circulant(filter_: dict[tuple[int, int], float], h: int, w: int):
    """Write a periodic filter as a matrix, filter_[di, dj] x[i-di, j-dj]."""
    matrix = np.zeros((h * w, h * w))
    for i in range(h):
        for j in range(w):
            for (di, dj), value in filter_.items():
                column = (i - di) % h * w + (j - dj) % w
                matrix[i * w + j, column] += value
    return matrix


def solved(x: np.ndarray, kernel: np.ndarray, smoothness: float):
    """Minimise |k * y - x|^2 + s |grad y|^2 without Fourier transforms."""
    pad, middle = 2 * len(kernel), len(kernel) // 2
    padded = np.pad(x, pad, mode='edge')
    shape = padded.shape
    taps = {
        (i - middle, j - middle): value
        for (i, j), value in np.ndenumerate(kernel)
    }
    blur = circulant(taps, *shape)
    across = circulant({(0, 0): -1, (0, 1): 1}, *shape)
    down = circulant({(0, 0): -1, (1, 0): 1}, *shape)
    system = blur.T @ blur + smoothness * (across.T @ across + down.T @ down)
    y = np.linalg.solve(system, blur.T @ padded.ravel()).reshape(shape)
    return y[pad:-pad, pad:-pad]


def test_solves_the_equations():
    random = np.random.default_rng(0)
    x, kernel = random.random((5, 8)), random.random((3, 3))  # not symmetric
    kernel /= kernel.sum()
    found = deconvolve(
        torch.from_numpy(x)[None, None], torch.from_numpy(kernel)
    )
    assert np.abs(found[0, 0].numpy() - solved(x, kernel, 0.02)).max() < 1e-10
    other = deconvolve(
        torch.from_numpy(x)[None, None], torch.from_numpy(kernel), 0.5
    )
    assert np.abs(other[0, 0].numpy() - solved(x, kernel, 0.5)).max() < 1e-10


def test_constants_stay():
    """No gradients, and a kernel of sum 1: nothing is to be done."""
    x = torch.tensor([0.25, -1.0, 3.0]).view(1, 3, 1, 1).expand(2, 3, 7, 5)
    sharp = deconvolve(x, torch.full((5, 5), 1 / 25))
    assert (sharp - x).abs().max() < 1e-5


def test_half_precision_is_transformed_in_float32():
    x = torch.rand(1, 3, 9, 6, generator=torch.Generator().manual_seed(0))
    kernel = torch.full((3, 3), 1 / 9)
    half = x.bfloat16()
    sharp = deconvolve(half, kernel)
    assert sharp.dtype == torch.bfloat16
    assert torch.equal(sharp, deconvolve(half.float(), kernel).bfloat16())


@pytest.mark.parametrize('shape', [(3, 5), (4, 4)])
def test_kernels_without_a_middle(shape: tuple[int, int]):
    with pytest.raises(ValueError, match='`kernel` must be square with an od'):
        deconvolve(torch.zeros(1, 1, 4, 4), torch.zeros(shape))
