"""Lists of cuts in a file: frame numbers, times, or PySceneDetect's table."""

import csv
import re
from bisect import bisect_right
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from os import PathLike
from pathlib import Path

from star.video.info import Frame, VideoError

_COLUMN = 'Start Frame'  # of PySceneDetect's table; it counts from 1
_NUMBER = re.compile(r'\d+')
_TIME = re.compile(r'(?:(?:(\d+):)?([0-5]?\d):)?(\d+(?:\.\d+)?)s?')


@dataclass(frozen=True)
class CutList:
    """The beginnings of scenes that a file lists.

    Args:
        path: the file.
        numbers: of scenes' first frames, rising; a clip's first frame is 0.
        times: of scenes' first frames in seconds, rising; the nearest frame
            counts.
    """

    path: Path
    numbers: tuple[int, ...] = ()
    times: tuple[Fraction, ...] = ()

    def check(self, num_frames: int) -> None:
        """Refuse frames that a clip does not have.

        Args:
            num_frames: of the clip.

        Raises:
            VideoError: naming the first cut that lies outside.
        """
        for number in self.numbers:
            if number >= num_frames:
                raise VideoError(
                    f'{self.path}: there is no frame {number}: the clip has '
                    f'{num_frames}, and the first is 0; remove this line (a '
                    'whole number is a frame, and 12.0 is a time in seconds)'
                )

    def split(
        self,
        frames: Iterable[Frame],
        start: int = 0,
        note: Callable[[str], None] | None = None,
    ) -> Iterator[tuple[Frame, bool]]:
        """Pair frames with True where a scene begins; the first is True.

        Args:
            frames: in order.
            start: number of the first one within the clip.
            note: called once if cuts lie behind the last frame.
        """
        numbers, passed, number = frozenset(self.numbers), 0, start - 1
        for number, frame in enumerate(frames, start):
            before = passed
            # the frame that is nearest to a time, of this one and the next
            nearer = frame.time + frame.duration / 2
            passed = bisect_right(self.times, nearer)
            is_cut = number in numbers or passed > before or number == start
            yield frame, is_cut
        late = sum(n > number for n in self.numbers)
        late += len(self.times) - passed
        if note and late:
            note(
                f'{late} of the cuts in {self.path} lie behind the last frame'
            )


def load_cuts(path: str | PathLike) -> CutList:
    """Read a file of cuts.

    One cut a line: a whole number is a frame, the clip's first being 0; a
    time is `12.5`, `12.5s`, `0:12.5` or `00:00:12.500`. Empty lines and those
    that begin with # are passed over. PySceneDetect's list of scenes (CSV)
    can be used as it is.

    Args:
        path: a text file.

    Raises:
        VideoError: it cannot be read, or a line is wrong.
    """
    path = Path(path)
    try:
        lines = path.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, 'strerror', None) or 'it is not text'
        raise VideoError(
            f'{path}: the list of cuts cannot be read ({reason}); `cuts` is '
            "'auto', 'none' or a text file with one cut a line"
        ) from error
    table = next((i for i, x in enumerate(lines) if _COLUMN in x), None)
    if table is not None:
        return CutList(path, _read_table(path, lines, table))
    found = [
        (i, line.strip())
        for i, line in enumerate(lines, 1)
        if line.strip() and not line.lstrip().startswith('#')
    ]
    numbers = [(i, int(x)) for i, x in found if _NUMBER.fullmatch(x)]
    times = [
        (i, _seconds(path, i, x)) for i, x in found if not _NUMBER.fullmatch(x)
    ]
    _check_order(path, numbers)
    _check_order(path, times)
    return CutList(
        path, tuple(x for _, x in numbers), tuple(x for _, x in times)
    )


def _read_table(path: Path, lines: list[str], head: int) -> tuple[int, ...]:
    """Read the numbers of scenes' first frames below a row of titles."""
    column = next(csv.reader([lines[head]])).index(_COLUMN)
    numbers = []
    for i, row in enumerate(csv.reader(lines[head + 1 :]), head + 2):
        cell = row[column].strip() if column < len(row) else ''
        if not row:
            continue
        if not _NUMBER.fullmatch(cell) or int(cell) < 1:
            raise VideoError(
                f'{path}: line {i}: `{_COLUMN}` must be a whole number from '
                f'1, got {cell!r}'
            )
        numbers.append((i, int(cell) - 1))
    _check_order(path, numbers)
    return tuple(number for _, number in numbers)


def _seconds(path: Path, line: int, text: str) -> Fraction:
    found = _TIME.fullmatch(text)
    if not found or (found[2] and float(found[3]) >= 60):
        raise VideoError(
            f'{path}: line {line}: a cut must be a frame number (120) or a '
            f'time (4.8 or 0:04.800), got {text!r}'
        )
    hours, minutes, seconds = (Fraction(x or 0) for x in found.groups())
    return hours * 3600 + minutes * 60 + seconds


def _check_order(
    path: Path, cuts: Sequence[tuple[int, int | Fraction]]
) -> None:
    for (_, before), (line, value) in pairwise(cuts):
        if value <= before:
            raise VideoError(
                f'{path}: line {line}: cuts must rise, got '
                f'{float(value):g} after {float(before):g}'
            )
