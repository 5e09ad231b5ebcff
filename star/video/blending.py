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


class WindowJoiner:
    """Makes one clip of restored windows that share frames.

    Args:
        overlap: frames that neighbouring windows share, >= 0.
        blend: 'fade' goes linearly from the earlier window's frames to the
            later one's; 'trim' changes in the middle.
        begun: whether windows came before, in an earlier run.
        earlier: what `earlier` was after the last of these.

    Attributes:
        earlier: last frames of the window before, (t, C, H, W), from which
            the next one is faded; None where nothing is faded.
    """

    def __init__(
        self,
        overlap: int,
        blend: str,
        begun: bool = False,
        earlier: Tensor | None = None,
    ) -> None:
        self.overlap, self.blend = overlap, blend
        self.earlier = earlier
        self._begun = begun

    def join(self, window: Tensor, last: bool) -> Tensor:
        """Return the frames of the clip that a window completes, >= 1.

        Args:
            window: (t, C, H, W) float with t > `overlap`. It begins with the
                `overlap` frames that end the one before it.
            last: whether no window follows.
        """
        begun, self._begun = self._begun, True
        if self.blend == 'fade':
            if self.earlier is not None and self.overlap:
                window = fade(self.earlier, window, 0)
            end = len(window) - (0 if last else self.overlap)
            self.earlier = window[end:].clone() if self.overlap else None
            return window[:end]
        half = self.overlap // 2
        end = len(window) - (0 if last else self.overlap - half)
        return window[half if begun else 0 : end]


def _fade(earlier: Tensor, later: Tensor, ramp: Tensor, dim: int) -> Tensor:
    shared, rest = later.tensor_split([earlier.shape[dim]], dim)
    weight = ramp.to(later).view(-1, *[1] * (later.ndim - dim - 1))
    return torch.cat([earlier.to(later).lerp(shared, weight), rest], dim)


def _ramp(length: int) -> Tensor:
    """Rise from just above 0 to just below 1."""
    return torch.linspace(0, 1, length + 2)[1:-1]
