"""The noise of a window, drawn for latents or as the official script does."""

from dataclasses import replace
from typing import NamedTuple

import torch
from torch import Tensor

from star.models.restoration.noise import FrameNoise


class Draws(NamedTuple):
    """Noise of a window, each (1, C, T, h, w).

    Args:
        posterior: of the low-quality latents' Gaussian.
        start: where the latents begin.
        condition: mixed into the low-quality latents, if that is wanted.
    """

    posterior: Tensor
    start: Tensor
    condition: Tensor


def draw_latents(
    noise: FrameNoise, shape: tuple[int, int, int, int], ratio: int
) -> Draws:
    """Draw a window's noise; each latent's is that of its first frame.

    Args:
        noise: of the window's frames.
        shape: (C, T, h, w) of the latents.
        ratio: frames from one latent to the next.
    """
    channels, length, height, width = shape
    size = channels, height, width
    found = []
    for number in range(3):
        latents = [
            replace(noise, start=noise.start + i * ratio).draw(number, 1, size)
            for i in range(length)
        ]
        found.append(torch.cat(latents).transpose(0, 1)[None])
    return Draws(*found)


def draw_official(shape: tuple[int, int, int, int], seed: int) -> Draws:
    """Draw in the order of the official script.

    All but the first noise is drawn for latents (T, h, w, C) whose memory is
    (C, T, h, w), which gives other numbers than a plain tensor.

    Args:
        shape: (C, T, h, w) of the latents.
        seed: of the numbers.
    """
    generator = torch.Generator().manual_seed(seed)
    posterior = torch.randn(shape, generator=generator)
    start, condition = (
        torch.empty(shape)
        .permute(1, 2, 3, 0)
        .normal_(generator=generator)
        .permute(3, 0, 1, 2)
        for _ in range(2)
    )
    return Draws(posterior[None], start[None], condition[None])
