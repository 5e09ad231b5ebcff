"""Places at which a restoration can be stopped and taken up again."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple

from torch import Tensor


@dataclass(frozen=True)
class ResumePoint:
    """A place between two segments, and what the next one needs.

    Args:
        frame: index of the first input frame that is read from here on.
        done: frames of the clip that are restored; at least `frame`.
        tensors: the method's memory by name, on the CPU.
    """

    frame: int
    done: int
    tensors: Mapping[str, Tensor] = field(default_factory=dict)


class Piece(NamedTuple):
    """Consecutive restored frames.

    Attributes:
        frames: (t, 3, H, W) of the input's dtype, on the CPU.
        point: makes the point after these frames, until the next piece is
            asked for; None where a segment is not complete, and at the end.
    """

    frames: Tensor
    point: Callable[[], ResumePoint] | None = None
