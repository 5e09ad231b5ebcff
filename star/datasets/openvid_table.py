"""OpenVid-1M's table of clips: reading, splitting and filtering."""

import csv
import hashlib
import math
import os
import re
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, fields, replace
from pathlib import Path

COLUMNS = (
    *('video', 'caption', 'aesthetic score', 'motion score'),
    *('temporal consistency score', 'camera motion', 'frame', 'fps'),
    'seconds',
)
SIZE_COLUMNS = ('width', 'height')  # only of a verified annotation
SPLITS = ('train', 'test')
HELD_OUT = 1000  # one source in this number is kept out of training
_SCENE = re.compile(r'_\d+_\d+to\d+$')


@dataclass(frozen=True)
class Entry:
    """One clip of the table; a score is NaN if its cell is empty.

    Args:
        video: its file, relative to the folder of videos.
        caption: description of the clip.
        aesthetic: aesthetic score.
        motion: motion score.
        consistency: temporal consistency score.
        num_frames: frames of the clip.
        width: pixels; None if the table has no sizes.
        height: pixels; None if the table has no sizes.
    """

    video: str
    caption: str
    aesthetic: float
    motion: float
    consistency: float
    num_frames: int
    width: int | None = None
    height: int | None = None


@dataclass(frozen=True)
class ClipFilter:
    """Conditions for the clips of a table; None for no bound.

    Args:
        min_width: pixels.
        min_height: pixels.
        min_frames: of the clip.
        min_aesthetic: aesthetic score.
        min_motion: motion score.
        max_motion: motion score.
        min_consistency: temporal consistency score.
        exclude: text file with the name of a video in each line; all clips
            of their sources are excluded.
    """

    min_width: int = 0
    min_height: int = 0
    min_frames: int = 1
    min_aesthetic: float | None = None
    min_motion: float | None = None
    max_motion: float | None = None
    min_consistency: float | None = None
    exclude: str | None = None

    def reason(self, entry: Entry) -> str:
        """Return why a clip of the table is not used, or ''."""
        if entry.num_frames < self.min_frames:
            return f'of fewer than {self.min_frames} frames'
        if not self.fits(entry.width, entry.height):
            return f'smaller than {self.min_width}x{self.min_height}'
        bounds = (
            ('aesthetic score', entry.aesthetic, self.min_aesthetic, None),
            ('motion score', entry.motion, self.min_motion, self.max_motion),
            (
                'consistency score',
                entry.consistency,
                self.min_consistency,
                None,
            ),
        )
        for name, score, low, high in bounds:
            if low is not None and not score >= low:
                return f'of {name} below {low:g}'
            if high is not None and not score <= high:
                return f'of {name} above {high:g}'
        return ''

    def fits(self, width: int | None, height: int | None) -> bool:
        """Return whether frames are large enough; unknown sizes are."""
        if width is None or height is None:
            return True
        return width >= self.min_width and height >= self.min_height


def make_filter(options: dict) -> ClipFilter:
    """Make a filter from a config's options.

    Raises:
        ValueError: an option is unknown.
    """
    known = [field.name for field in fields(ClipFilter)]
    unknown = sorted(set(options) - set(known))
    if unknown:
        raise ValueError(
            f'`filters` may have {", ".join(known)}, got {", ".join(unknown)}'
        )
    return ClipFilter(**options)


def source_of(video: str) -> str:
    """Return the source of a clip; OpenVid cuts several clips from one.

    `part1/KX8s-_q_12_30to121.mp4` is frames 30 to 121 of scene 12 of the
    source `KX8s-_q`; a clip with any other name is its own source.
    """
    # the stem; pathlib is too slow for a million rows
    name = video.rpartition('/')[2]
    return _SCENE.sub('', name.rpartition('.')[0] or name)


def split_of(video: str) -> str:
    """Return the split of a clip, 'train' or 'test', from its name.

    The SHA-256 of the source's name holds out one source in a thousand; it
    does not depend on the rest of the table.
    """
    digest = hashlib.sha256(source_of(video).encode()).digest()
    number = int.from_bytes(digest[:8], 'big')
    return 'test' if number % HELD_OUT == 0 else 'train'


def read_rows(path: str | Path) -> Iterator[dict[str, str]]:
    """Read the rows of a table.

    Raises:
        ValueError: the table or one of its columns is missing.
    """
    csv.field_size_limit(2**24)
    if not Path(path).is_file():
        raise ValueError(f'{path}: no such table of clips')
    # utf-8-sig reads files with and without a byte order mark
    with open(path, newline='', encoding='utf-8-sig') as file:
        reader = csv.DictReader(file, restval='')
        there = reader.fieldnames or []
        missing = [name for name in COLUMNS if name not in there]
        if missing:
            raise ValueError(
                f'{path}: lacks the columns {", ".join(missing)}; '
                f'OpenVid-1M has {", ".join(COLUMNS)}'
            )
        for row in reader:
            if None in row:
                raise ValueError(
                    f'{path}, line {reader.line_num}: more cells than columns'
                )
            yield row


def read_entries(path: str | Path) -> Iterator[Entry]:
    """Read the clips of a table, OpenVid-1M's own or a verified one.

    Raises:
        ValueError: as for `read_rows`, or a cell is not a number.
    """
    for number, row in enumerate(read_rows(path), 1):
        try:
            yield _parse(row)
        except ValueError as error:
            raise ValueError(
                f'{path}, clip {number} ({row["video"]!r}): {error}'
            ) from None


def _parse(row: dict[str, str]) -> Entry:
    if not row['video']:
        raise ValueError('the cell `video` is empty')
    sizes = [row.get(name) for name in SIZE_COLUMNS]
    width, height = (int(float(size)) if size else None for size in sizes)
    return Entry(
        video=row['video'],
        caption=row['caption'],
        aesthetic=_number(row, 'aesthetic score'),
        motion=_number(row, 'motion score'),
        consistency=_number(row, 'temporal consistency score'),
        num_frames=int(_number(row, 'frame')),
        width=width,
        height=height,
    )


def _number(row: dict[str, str], column: str) -> float:
    cell = row[column].strip()
    if not cell and column != 'frame':
        return math.nan
    try:
        return float(cell)
    except ValueError:
        raise ValueError(
            f'the cell `{column}` must be a number, got {cell!r}'
        ) from None


def find_files(folder: str | Path) -> dict[str, str]:
    """Find all files below a folder.

    Returns:
        The path of each file, relative to the folder, by that path and by its
        name; the first path counts if several files have one name.

    Raises:
        ValueError: there is no such folder.
    """
    if not Path(folder).is_dir():
        raise ValueError(f'{folder}: no such folder of videos')
    found: dict[str, str] = {}
    for top, _, names in os.walk(folder, followlinks=True):
        below = Path(top).relative_to(folder).as_posix()
        prefix = '' if below == '.' else f'{below}/'
        found.update((prefix + name, prefix + name) for name in names)
    for path in sorted(found):
        found.setdefault(path.rpartition('/')[2], path)
    return found


def locate(video: str, files: Mapping[str, str]) -> str | None:
    """Find a video of the table in `find_files`; None if it is missing."""
    return files.get(video) or files.get(video.rpartition('/')[2])


def read_excluded(path: str | Path) -> set[str]:
    """Read the sources that a list of videos belongs to.

    Raises:
        ValueError: there is no such file.
    """
    try:
        lines = Path(path).read_text(encoding='utf-8').splitlines()
    except OSError as error:
        raise ValueError(
            f'`exclude` {path} cannot be read ({error.strerror})'
        ) from None
    return {source_of(line.strip()) for line in lines if line.strip()}


def select(
    entries: Iterable[Entry],
    rules: ClipFilter,
    split: str,
    files: Mapping[str, str],
) -> tuple[list[Entry], Counter[str]]:
    """Choose clips, and count the others by the first reason against them.

    Args:
        entries: clips of a table.
        rules: conditions for the clips.
        split: 'train' or 'test'.
        files: result of `find_files`.

    Returns:
        The clips, whose `video` is the path of the file, and the counts.

    Raises:
        ValueError: `split` is unknown, or the list to exclude is missing.
    """
    if split not in SPLITS:
        raise ValueError(f'`split` must be in {SPLITS}, got {split!r}')
    excluded = read_excluded(rules.exclude) if rules.exclude else set()
    chosen, removed = [], Counter[str]()
    for entry in entries:
        path = locate(entry.video, files)
        if split_of(entry.video) != split:
            removed[f'not of the split {split!r}'] += 1
        elif source_of(entry.video) in excluded:
            removed['excluded by name'] += 1
        elif path is None:
            removed['without a file'] += 1
        elif reason := rules.reason(entry):
            removed[reason] += 1
        else:
            chosen.append(replace(entry, video=path))
    return chosen, removed


def describe(removed: Counter[str]) -> str:
    """List how many clips were removed for which reason."""
    counts = [f'{count:,} {why}' for why, count in removed.most_common()]
    return ', '.join(counts) or 'none removed'
