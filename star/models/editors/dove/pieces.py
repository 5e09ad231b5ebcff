"""Windows of frames that are all full: a short last one begins earlier."""

from collections.abc import Iterator

import torch
from torch import Tensor

from star.models.editors.base import FrameWindow


def shift_back(
    windows: Iterator[FrameWindow],
    size: int,
    overlap: int,
    before: Tensor | None = None,
) -> Iterator[tuple[FrameWindow, int, Tensor]]:
    """Let a short last window begin with frames of the one before.

    Args:
        windows: of a clip.
        size: frames of a window.
        overlap: frames that neighbours share.
        before: frames before the first window, (t, 3, h, w); None at the
            beginning of a clip.

    Yields:
        The window, how many frames were put before it, and the frames before
        the next one.
    """
    for clip, last, start in windows:
        missing = 0 if before is None else size - len(clip)
        if before is not None and missing:
            more = before[-missing:]
            clip = torch.cat([more, clip])
            missing = len(more)
        window = FrameWindow(clip, last, start - missing)
        before = clip[: 0 if last else size - overlap].clone()
        yield window, missing, before
