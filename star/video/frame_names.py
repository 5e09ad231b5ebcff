"""Names of frames in a folder: order, gaps, counterparts elsewhere."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import islice, pairwise
from pathlib import Path
from typing import Any

from star.video.info import VideoError
from star.video.pictures.facts import camera_of, upright_size
from star.video.probing import list_images

_Key = tuple[str | int, ...]  # a name's text and numbers, in turn


def check_numbers(folder: Path, num_frames: int | None = None) -> None:
    """Check that no frame of a folder is missing or there twice.

    Names that differ in one number only, such as frame_0001.png, must count
    by one. Other names are not compared with one another.

    Args:
        folder: of images.
        num_frames: check only the first frames; None for all.

    Raises:
        VideoError: naming the first missing frame, or two files of one frame.
    """
    names = _by_key(folder)
    series: dict[tuple[str | int, ...], list[_Key]] = defaultdict(list)
    for key in islice(names, num_frames):
        series[key[::2]].append(key)
    for keys in series.values():
        column = _counting(keys)
        if column is None:
            continue
        for key, after in pairwise(keys):
            if after[column] != int(key[column]) + 1:
                raise VideoError(
                    f'{folder}: frame {_next_name(names[key], column)} is '
                    f'missing between {names[key]} and {names[after]}; add '
                    'it, or rename the frames so that they count by one'
                )


def is_sequence(images: Sequence[Path]) -> tuple[bool, str]:
    """Return whether images are the frames of one clip.

    They are if their names count by one, or three or more by another step,
    if they have one suffix and one size, and if no camera is named in them.

    Args:
        images: of a folder, in natural order.

    Returns:
        The answer, and a sentence that gives the reason; '' for one image.
    """
    count = len(images)
    if count < 2:
        return False, ''
    if reason := _fault(images):
        return False, (
            f'its {count} images are restored one by one, because {reason}; '
            '--as-clip makes them one clip'
        )
    return True, (
        f'its {count} images are one clip, because their names count and '
        'they have one size; --no-as-clip restores them one by one'
    )


def describe_gaps(images: Sequence[Path]) -> list[str]:
    """Return a note that names the first frame that a clip lacks."""
    keys = [_key(path) for path in images]
    column = _counting(keys)
    if column is None or _step(keys, column):
        return []
    return [f'{images[0].parent}: {_gap(images, keys, column)}']


def _fault(images: Sequence[Path]) -> str:
    """Say why images are no clip; '' if they are."""
    if len({path.suffix.lower() for path in images}) > 1:
        return 'they are of several kinds'
    keys = [_key(path) for path in images]
    column = _counting(keys)
    if column is None or len(set(keys)) < len(keys):
        return 'their names do not count'
    if not _step(keys, column):
        return _gap(images, keys, column)
    if camera := camera_of(images[0]):
        return f'they are photographs ({camera})'
    first, *others = map(upright_size, images)
    for path, size in zip(images[1:], others, strict=True):
        if size != first:
            was, now = ('{}x{}'.format(*s) for s in (first, size))
            return f'{path.name} is {now} and {images[0].name} {was}'
    return ''


def _step(keys: Sequence[_Key], column: int) -> int:
    """Return by what the names count, 0 if that is not clear."""
    steps = {int(b[column]) - int(a[column]) for a, b in pairwise(keys)}
    step = steps.pop() if len(steps) == 1 else 0
    return step if step == 1 or len(keys) > 2 else 0


def _gap(images: Sequence[Path], keys: Sequence[_Key], column: int) -> str:
    """Name the first frame that is missing; names count by some step."""
    places = range(1, len(keys))
    numbers = [int(key[column]) for key in keys]
    i = next(i for i in places if numbers[i] - numbers[i - 1] != 1)
    before, after = images[i - 1].name, images[i].name
    missing = _next_name(before, column)
    return f'{missing} is missing between {before} and {after}'


def check_counterparts(
    one: Path, other: Path, num_frames: int | None = None
) -> None:
    """Check that two folders hold the same frames, by their names.

    Frames that count by one number are paired by it, whatever the zeros
    before it, the prefix and the suffix; others by their names without the
    suffix.

    Args:
        one: folder of images.
        other: another one.
        num_frames: check only the first frames; None for all.

    Raises:
        VideoError: naming the first frame that each of them lacks.
    """
    first: Mapping[Any, str] = _by_key(one)
    second: Mapping[Any, str] = _by_key(other)
    columns = _counting(list(first)), _counting(list(second))
    if columns[0] is not None and columns[1] is not None:
        first = {key[columns[0]]: name for key, name in first.items()}
        second = {key[columns[1]]: name for key, name in second.items()}
    missing = [
        (one, _missing(second, first, num_frames)),
        (other, _missing(first, second, num_frames)),
    ]
    faults = [f'{folder} lacks {some}' for folder, some in missing if some]
    if faults:
        raise VideoError(
            f'frames are paired by name, but {" and ".join(faults)}; add '
            'them, remove their counterparts, or rename the frames'
        )


def _by_key(folder: Path) -> dict[_Key, str]:
    """Return the names of a folder's frames, in order.

    Raises:
        VideoError: two files are one frame.
    """
    names: dict[_Key, str] = {}
    for path in list_images(folder):
        key = _key(path)
        if key in names:
            raise VideoError(
                f'{folder}: {names[key]} and {path.name} are one frame, by '
                'their names; remove or rename one'
            )
        names[key] = path.name
    return names


def _key(path: Path) -> _Key:
    parts = re.split('([0-9]+)', path.stem.lower())
    return tuple(int(p) if i % 2 else p for i, p in enumerate(parts))


def _counting(keys: Sequence[_Key]) -> int | None:
    """Return the place of the one number that counts the frames, or None.

    It is the only part in which the names differ; of a single name, its only
    number.
    """
    if len({len(key) for key in keys}) != 1:
        return None
    if len(keys) == 1:
        return 1 if len(keys[0]) == 3 else None
    parts = zip(*keys, strict=True)
    differ = [i for i, values in enumerate(parts) if len(set(values)) > 1]
    return differ[0] if len(differ) == 1 and differ[0] % 2 else None


def _next_name(name: str, column: int) -> str:
    """Return a frame's name with its number one higher."""
    parts = re.split('([0-9]+)', name)
    parts[column] = str(int(parts[column]) + 1).zfill(len(parts[column]))
    return ''.join(parts)


def _missing(
    wanted: Mapping[Any, str], there: Mapping[Any, str], count: int | None
) -> str:
    """Name the first missing frame, and count the others; '' for none."""
    names = [
        name for key, name in islice(wanted.items(), count) if key not in there
    ]
    if len(names) < 2:
        return ''.join(names)
    return f'{names[0]} and {len(names) - 1} more'
