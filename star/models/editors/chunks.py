"""Chunks in time of a restored clip, joined as they come."""

from collections.abc import Iterator

import torch
from torch import Tensor


def join_chunks(
    chunks: Iterator[tuple[Tensor, bool]], overlap: int, blend: str
) -> Iterator[Tensor]:
    """Make one clip of chunks that share frames.

    Args:
        chunks: restored chunks (t, C, H, W) float, t > `overlap`, in order,
            and whether each is the last. Each begins with the `overlap`
            frames that the one before it ends with.
        overlap: >= 0.
        blend: 'fade' or 'trim', see `Recipe`.

    Yields:
        Consecutive pieces, none empty. What is kept between two of them does
        not grow with the clip.
    """
    join = _fade if blend == 'fade' else _trim
    yield from join(chunks, overlap)


def _fade(
    chunks: Iterator[tuple[Tensor, bool]], overlap: int
) -> Iterator[Tensor]:
    tail = None
    for chunk, last in chunks:
        if tail is not None and overlap:
            chunk[:overlap] = tail.lerp(chunk[:overlap], _ramp(chunk, overlap))
        end = len(chunk) - (0 if last else overlap)
        tail = chunk[end:].clone()
        yield chunk[:end]


def _trim(
    chunks: Iterator[tuple[Tensor, bool]], overlap: int
) -> Iterator[Tensor]:
    start = 0
    for chunk, last in chunks:
        end = len(chunk) - (0 if last else overlap - overlap // 2)
        yield chunk[start:end]
        start = overlap // 2


def _ramp(like: Tensor, length: int) -> Tensor:
    """Rise from just above 0 to just below 1 along the first axis."""
    ramp = torch.linspace(0, 1, length + 2, device=like.device)[1:-1]
    return ramp.to(like.dtype).view(-1, 1, 1, 1)
