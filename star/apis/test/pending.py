"""The rest of a test that is started again."""

from collections.abc import Callable, Mapping
from functools import partial
from pathlib import Path
from typing import Any

from torch import Tensor

from star.apis.test.clip_files import read_clip
from star.apis.test.recording import ClipRecorder, has_failed
from star.apis.test.results import read_finished, record_path
from star.apis.test.sets import JoinedSets

Record = dict[str, Any]


def unfinished(
    clips: JoinedSets, recorder: ClipRecorder, rank: int = 0, world: int = 1
) -> dict[int, Record | None]:
    """Find what is left to do of a process's share of the clips.

    Args:
        clips: all clips.
        recorder: of the test.
        rank: index of this process.
        world: number of processes.

    Returns:
        By index of the clip, None for one to restore, which has no record or
        failed; the record for a saved one that lacks scores or pictures.
    """
    found: dict[int, Record | None] = {}
    for index in range(rank, len(clips), world):
        record = _read(clips, index, recorder)
        if record is None or (
            _saved_path(record, recorder) and _lacks(record, recorder)
        ):
            found[index] = record
    return found


def check_kept(clips: JoinedSets, recorder: ClipRecorder) -> bool:
    """Check that saved clips give what finished clips lack.

    Args:
        clips: all clips.
        recorder: of the test.

    Returns:
        Whether a metric is to be computed from saved clips.

    Raises:
        ValueError: clips that are needed were not saved, or are gone.
    """
    again, lost, lacking = False, [], []
    for index in range(len(clips)):
        record = _read(clips, index, recorder)
        if record is None:
            continue
        if _saved_path(record, recorder):
            again |= bool(recorder.find_missing(record))
            continue
        # what failed before cannot be tried again, and stays a problem
        found = [
            n for n in _lacks(record, recorder) if not has_failed(n, record)
        ]
        lacking += found
        lost += ['/'.join(clips.key(index))] * bool(found)
    if lost:
        raise ValueError(
            f'{recorder.work_dir} holds a test without '
            f'{", ".join(dict.fromkeys(lacking))}, which only its restored '
            f'clips could give, but {len(lost)} are not saved, such as '
            f'{lost[0]}: choose another --work-dir, with --save png to add '
            'more later'
        )
    return again


def find_readers(
    pending: Mapping[int, Record | None], recorder: ClipRecorder
) -> dict[tuple[str, str], Callable[[], Tensor]]:
    """Return readers of saved clips by the names of their sets and clips.

    Args:
        pending: from `unfinished`.
        recorder: of the test.
    """
    return {
        (record['dataset'], record['name']): partial(
            read_clip,
            recorder.work_dir / record['files']['pred'],
            record.get('pred_sha256'),
        )
        for record in pending.values()
        if record is not None
    }


def _read(
    clips: JoinedSets, index: int, recorder: ClipRecorder
) -> Record | None:
    return read_finished(record_path(recorder.work_dir, *clips.key(index)))


def _saved_path(record: Record, recorder: ClipRecorder) -> Path | None:
    """Return the path of a saved clip, if it is still there."""
    if 'pred' not in record['files']:
        return None
    path = recorder.work_dir / record['files']['pred']
    return path if path.exists() else None


def _lacks(record: Record, recorder: ClipRecorder) -> list[str]:
    found = [metric.name for metric in recorder.find_missing(record)]
    return found + ['pictures'] * recorder.lacks_pictures(record)
