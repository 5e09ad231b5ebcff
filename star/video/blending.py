"""Fading in time: frames shared by two results go linearly to the later."""

from collections.abc import Iterator

import torch
from torch import Tensor


def fade(earlier: Tensor, later: Tensor, dim: int) -> Tensor:
    """Fade from an earlier result to a later one of the same frames.

    Args:
        earlier: its frames, on any device.
        later: a clip that begins with these frames.
        dim: axis of time in both.

    Returns:
        The later clip with faded first frames.
    """
    return _fade(earlier, later, _ramp(earlier.shape[dim]), dim)


def fade_pieces(
    earlier: Tensor | None, pieces: Iterator[Tensor], length: int
) -> Iterator[Tensor]:
    """Fade from earlier frames to a clip that comes in pieces.

    Args:
        earlier: frames (N, C, t, H, W) on any device; None for none.
        pieces: consecutive pieces of a clip that begins with these frames.
        length: frames to yield; later ones are cut off.

    Yields:
        The pieces with faded first frames, (N, C, t, H, W).
    """
    overlap = 0 if earlier is None else earlier.shape[2]
    ramp = _ramp(overlap)
    done = 0
    for piece in pieces:
        piece = piece[:, :, : length - done]
        here = slice(done, done + piece.shape[2])
        if earlier is not None and done < overlap:
            piece = _fade(earlier[:, :, here], piece, ramp[here], 2)
        if piece.shape[2]:
            yield piece
        done = here.stop


def join_windows(
    windows: Iterator[tuple[Tensor, bool]], overlap: int, blend: str
) -> Iterator[Tensor]:
    """Make one clip of restored windows that share frames.

    Args:
        windows: (t, C, H, W) float with t > `overlap`, in order, and whether
            each is the last. A window begins with the `overlap` frames that
            end the one before it.
        overlap: >= 0.
        blend: 'fade' goes linearly from the earlier window's frames to the
            later one's; 'trim' changes in the middle.

    Yields:
        Consecutive pieces, none empty. What is kept between two of them does
        not grow with the clip.
    """
    earlier = None
    start = 0
    for window, last in windows:
        if blend == 'fade':
            if earlier is not None and overlap:
                window = fade(earlier, window, 0)
            end = len(window) - (0 if last else overlap)
            earlier = window[end:].clone()
            yield window[:end]
        else:
            end = len(window) - (0 if last else overlap - overlap // 2)
            yield window[start:end]
            start = overlap // 2


def _fade(earlier: Tensor, later: Tensor, ramp: Tensor, dim: int) -> Tensor:
    shared, rest = later.tensor_split([earlier.shape[dim]], dim)
    weight = ramp.to(later).view(-1, *[1] * (later.ndim - dim - 1))
    return torch.cat([earlier.to(later).lerp(shared, weight), rest], dim)


def _ramp(length: int) -> Tensor:
    """Rise from just above 0 to just below 1."""
    return torch.linspace(0, 1, length + 2)[1:-1]
