"""Decode latents in chunks of frames, with the input beside them."""

from collections.abc import Callable, Iterator

from torch import Tensor

CHUNK = 3  # frames, as published


def decode_chunks(
    decode: Callable[[Tensor, Tensor], Tensor],
    z: Tensor,
    lq: Tensor,
    chunk: int = CHUNK,
) -> Iterator[Tensor]:
    """Decode consecutive frames together, none twice.

    Norms of the decoder pool over a chunk's frames, so another size of chunks
    is another result.

    Args:
        decode: maps latents and the clip of their frames to pixels.
        z: latents, (1, C, T, h, w).
        lq: the low-quality clip, (1, 3, T, h, w).
        chunk: frames; the last chunk may have fewer.

    Yields:
        Decoded chunks, (1, 3, t, H, W), clamped to [-1, 1].
    """
    for part, beside in zip(
        z.split(chunk, 2), lq.split(chunk, 2), strict=True
    ):
        yield decode(part, beside).clamp(-1, 1)
