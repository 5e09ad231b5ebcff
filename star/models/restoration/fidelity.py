"""Fidelity of a stream: each restored frame is corrected by its input."""

from collections import deque
from collections.abc import Callable, Iterator

import torch
from torch import Tensor

from star.models.restoration.resuming import Piece, ResumePoint
from star.video.fidelity import keep_input

Restore = Callable[[Iterator[Tensor]], Iterator[Piece]]


@torch.inference_mode()
def with_fidelity(
    restore: Restore,
    frames: Iterator[Tensor],
    fidelity: float,
    point: ResumePoint | None,
    device: torch.device,
) -> Iterator[Piece]:
    """Restore frames, and correct each by its input; see `keep_input`.

    Only frames that are read and not yet restored are kept. Each is corrected
    by itself, so windows, tiles and pieces change nothing.

    Args:
        restore: restores a stream of frames, (3, h, w) uint8 or uint16.
        frames: from `point.frame` on if there is a point.
        fidelity: [0, 1]; 0 for the pieces as they are.
        point: at which `restore` goes on.
        device: that corrects.

    Yields:
        The pieces of `restore`.
    """
    if not fidelity:
        yield from restore(frames)
        return
    waiting: deque[Tensor] = deque()
    done = point.done - point.frame if point else 0  # read a second time

    def read() -> Iterator[Tensor]:
        for index, frame in enumerate(frames):
            if index >= done:
                waiting.append(frame)
            yield frame

    for piece in restore(read()):
        out = torch.empty_like(piece.frames)
        for i, pred in enumerate(piece.frames):
            lq = waiting.popleft().to(device)
            out[i] = keep_input(pred.to(device), lq, fidelity).to(out.device)
        yield Piece(out, piece.point)
