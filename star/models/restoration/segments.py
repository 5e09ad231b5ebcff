"""Segments of a stream of frames: how they are cut and noised."""

from collections.abc import Iterator

import torch
from torch import Tensor

_PRIME = 1_000_003  # different pairs of draw and frame get different seeds


def segments(
    first: Tensor,
    frames: Iterator[Tensor],
    size: int,
    overlap: int,
    start: int = 0,
) -> Iterator[tuple[int, Tensor, bool]]:
    """Group frames, reading them no earlier than needed.

    Args:
        first: the first frame, (C, h, w).
        frames: those that follow.
        size: frames of a segment; the last may be shorter.
        overlap: frames shared by neighbours, < size.
        start: index of the first frame within the clip.

    Yields:
        Index of the segment's first frame, its clip (t, C, h, w), and True
        for the last one.

    Raises:
        ValueError: a frame has another shape or type than the first.
    """
    buffer = [first]
    for frame in frames:
        if (frame.shape, frame.dtype) != (first.shape, first.dtype):
            raise ValueError(
                'all frames must have one shape and type, got '
                f'{tuple(first.shape)} {first.dtype} and '
                f'{tuple(frame.shape)} {frame.dtype}'
            )
        if len(buffer) == size:  # and it is not the last
            yield start, torch.stack(buffer), False
            start += size - overlap
            buffer = buffer[size - overlap :]
        buffer.append(frame)
    yield start, torch.stack(buffer), True


def lengthen(clip: Tensor, ratio: int) -> Tensor:
    """Repeat the last frame until a clip has k * ratio + 1 frames.

    Args:
        clip: (T, ...).
        ratio: frames of a latent.
    """
    more = (1 - len(clip)) % ratio
    return torch.cat([clip, clip[-1:].expand(more, *clip.shape[1:])])


def frame_noise(
    seed: int, draw: int, start: int, shape: torch.Size, step: int = 1
) -> Tensor:
    """Draw noise latent by latent, so that segments do not change it.

    Args:
        seed: of the restoration.
        draw: number of the draw.
        start: index of the first latent's frame.
        shape: (1, C, T, h, w).
        step: frames from one latent to the next.
    """
    _, channels, length, height, width = shape
    noise = torch.empty(shape)
    for i in range(length):
        noise[:, :, i] = torch.randn(
            (1, channels, height, width),
            generator=frame_generator(seed, draw, start + i * step),
        )
    return noise


def frame_generator(seed: int, draw: int, frame: int) -> torch.Generator:
    """Make the generator of one draw for one frame.

    torch's CPU generator takes 32 bits of a seed and ignores the others.
    """
    mixed = ((seed * _PRIME + draw) * _PRIME + frame) % 2**32
    return torch.Generator().manual_seed(mixed)
