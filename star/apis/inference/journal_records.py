"""Records that a journal keeps: of each piece, and of the place after it."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from fractions import Fraction
from pathlib import Path
from typing import Any

from torch import Tensor

from star.models.restoration.resuming import ResumePoint
from star.utils.sealed_files import read_sealed, write_sealed
from star.video.coded import CodedFrame

_MODEL, _METER = 'model.', 'meter.'  # beginnings of tensors' names


@dataclass(frozen=True)
class Position:
    """A place in a clip at which a restoration can be taken up.

    Args:
        scene: index of the first frame of the scene.
        point: place within the scene; None for its beginning.
        meter: what the measurement of the next frame needs.
    """

    scene: int = 0
    point: ResumePoint | None = None
    meter: Mapping[str, Tensor] = field(default_factory=dict)

    @property
    def frame(self) -> int:
        """Return the index of the next frame to be read."""
        return self.scene + (self.point.frame if self.point else 0)

    @property
    def done(self) -> int:
        """Return how many frames are restored."""
        return self.scene + (self.point.done if self.point else 0)


@dataclass(frozen=True)
class PieceRecord:
    """Facts of a piece.

    Args:
        frames: of the piece, in the order of decoding.
        header: of the codec.
        rows: measurements, one of each frame.
        cuts: frames of the clip that begin a scene, in this piece.
        notes: of the restoration until then, a sentence each.
    """

    frames: tuple[CodedFrame, ...]
    header: bytes
    rows: tuple[Mapping[str, Any], ...] = ()
    cuts: tuple[int, ...] = ()
    notes: tuple[str, ...] = ()

    def to_json(self) -> dict[str, Any]:
        """Return builtin types."""
        return {
            'frames': [
                [f.size, str(f.time), str(f.duration), f.is_key, f.extra]
                for f in self.frames
            ],
            'header': self.header.hex(),
            'rows': list(self.rows),
            'cuts': list(self.cuts),
            'notes': list(self.notes),
        }

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> 'PieceRecord':
        """Make a record of what `to_json` returned."""
        return cls(
            tuple(
                CodedFrame(size, Fraction(time), Fraction(duration), *rest)
                for size, time, duration, *rest in value['frames']
            ),
            bytes.fromhex(value['header']),
            tuple(value['rows']),
            tuple(value['cuts']),
            tuple(value['notes']),
        )


def write_point(path: Path, position: Position) -> None:
    """Write a place in one piece."""
    point = position.point
    tensors = {f'{_METER}{k}': v for k, v in position.meter.items()}
    if point is not None:
        tensors |= {f'{_MODEL}{k}': v for k, v in point.tensors.items()}
    place = [point.frame, point.done] if point else None
    write_sealed(path, tensors, {'scene': position.scene, 'point': place})


def read_point(path: Path) -> Position:
    """Read what `write_point` wrote.

    Raises:
        ValueError: the file is damaged.
    """
    tensors, value = read_sealed(path)

    def named(start: str) -> dict[str, Tensor]:
        return {
            name.removeprefix(start): tensor
            for name, tensor in tensors.items()
            if name.startswith(start)
        }

    point = None
    if value['point'] is not None:
        frame, done = value['point']
        point = ResumePoint(frame, done, named(_MODEL))
    return Position(value['scene'], point, named(_METER))
