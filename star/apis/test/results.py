"""The results of a test: its records gathered in JSON and in tables.

results.json   everything
sets.csv       the means of each set
clips.csv      the scores of each clip
frames.csv     the scores of each frame, or pair of frames
"""

import csv
import io
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any

from star.utils.files import read_json, write_json, write_text
from star.utils.results_format import FORMAT, RESULTS

_FIXED = ('dataset', 'name', 'num_frames', 'fps', 'seconds', 'peak_memory')


def record_path(work_dir: str | Path, dataset: str, name: str) -> Path:
    """Return the path of a clip's record."""
    return Path(work_dir) / 'clips' / dataset / f'{name}.json'


def read_finished(path: Path) -> dict[str, Any] | None:
    """Read a clip's record; return None if it has none, or failed.

    Args:
        path: of the record.

    Raises:
        ValueError: the file cannot be read.
    """
    record = read_json(path) if path.exists() else {'failed': True}
    return None if record.get('failed') else record


def collect_results(
    work_dir: str | Path,
    sets: Mapping[str, Sequence[str]],
    facts: Mapping[str, Any],
    problems: Sequence[str] = (),
) -> dict[str, Any]:
    """Gather the records of a test.

    Args:
        work_dir: the test's folder.
        sets: names of the clips of each set.
        facts: `method` and `protocol`.
        problems: one line for each problem before the first clip.

    Returns:
        The content of `results.json`. The means do not depend on the order
        in which clips were restored.
    """
    lines = list(problems)
    clips: list[dict[str, Any]] = []
    for dataset, names in sets.items():
        for name in names:
            path = record_path(work_dir, dataset, name)
            if not path.exists():
                lines.append(f'{dataset}/{name}: it was not tested')
                continue
            record = read_json(path)
            lines += record.pop('problems')
            if not record.pop('failed', False):
                clips.append(record)
    metrics = [each['name'] for each in facts['protocol']['metrics']]
    return {
        'format': FORMAT,
        'method': facts['method'],
        'protocol': facts['protocol'],
        'sets': {
            name: _summary([c for c in clips if c['dataset'] == name], metrics)
            for name in sets
        },
        'clips': clips,
        'problems': lines,
    }


def complete_scores(results: Mapping[str, Any]) -> None:
    """Set the scores that clips lack to None, in the protocol's order."""
    names = [each['name'] for each in results['protocol']['metrics']]
    for clip in results['clips']:
        clip['scores'] = {name: clip['scores'].get(name) for name in names}


def write_results(results: Mapping[str, Any], work_dir: str | Path) -> Path:
    """Write `results.json` and the tables.

    Args:
        results: from `collect_results`.
        work_dir: the test's folder.

    Returns:
        The path of `results.json`.
    """
    folder = Path(work_dir)
    metrics = [each['name'] for each in results['protocol']['metrics']]
    clips, label = results['clips'], method_label(results['method'])
    tables = {
        'sets.csv': _set_rows(results['sets'], metrics),
        'clips.csv': _clip_rows(clips, metrics),
        'frames.csv': _frame_rows(clips),
    }
    for name, rows in tables.items():
        _write_table(folder / name, label, rows)
    path = folder / RESULTS
    write_json(path, results)
    return path


def method_label(method: Mapping[str, Any]) -> str:
    """Return a method's name, with a remark if its weights are random."""
    random = ' (random weights)' if method['random_init'] else ''
    return f'{method["name"]}{random}'


def _summary(
    clips: Sequence[Mapping], metrics: Sequence[str]
) -> dict[str, Any]:
    """Average the clips of one set."""
    scores = {
        name: [
            float(clip['scores'][name])
            for clip in clips
            if clip['scores'].get(name) is not None
        ]
        for name in metrics
    }
    timed = [clip for clip in clips if clip['seconds'] is not None]
    peaks = [c['peak_memory'] for c in clips if c['peak_memory'] is not None]
    seconds = sum(clip['seconds'] for clip in timed)
    frames = sum(clip['num_frames'] for clip in timed)
    return {
        'clips': len(clips),
        'frames': sum(clip['num_frames'] for clip in clips),
        'scores': {
            k: sum(v) / len(v) if v else None for k, v in scores.items()
        },
        'scored': {k: len(v) for k, v in scores.items()},
        'seconds_per_frame': seconds / frames if timed else None,
        'peak_memory': max(peaks, default=None),
    }


def _set_rows(
    sets: Mapping[str, Mapping], metrics: Sequence[str]
) -> Iterable[Sequence]:
    last = ('seconds_per_frame', 'peak_memory')
    yield ['dataset', 'clips', 'frames', *metrics, *last]
    for name, each in sets.items():
        scores = [each['scores'][metric] for metric in metrics]
        counts = (each['clips'], each['frames'])
        yield [name, *counts, *scores, *(each[key] for key in last)]


def _clip_rows(
    clips: Sequence[Mapping], metrics: Sequence[str]
) -> Iterable[Sequence]:
    yield [*_FIXED, 'height', 'width', *metrics]
    for clip in clips:
        scores = [clip['scores'][metric] for metric in metrics]
        yield [*(clip[key] for key in _FIXED), *clip['size'], *scores]


def _frame_rows(clips: Sequence[Mapping]) -> Iterable[Sequence]:
    yield ['dataset', 'name', 'frame', 'metric', 'value']
    for clip in clips:
        for metric, parts in clip['parts'].items():
            pairs = zip(parts['frames'], parts['values'], strict=False)
            for frame, value in pairs:
                yield [clip['dataset'], clip['name'], frame, metric, value]


def _write_table(path: Path, label: str, rows: Iterable[Sequence]) -> None:
    """Write a table with the method's name in the first column.

    A missing value is an empty cell.
    """
    head, *lines = rows
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator='\n')
    writer.writerow(['method', *head])
    writer.writerows([label, *line] for line in lines)
    write_text(path, buffer.getvalue())
