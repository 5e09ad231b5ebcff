"""Read what `tools/test.py` wrote: results.json of one or more runs."""

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

FORMAT = 'star-results/1'
RESULTS = 'results.json'
SAVED = 'SavedResults'  # type of a method

Key = tuple[str, str]  # a clip: data set, name


@dataclass(frozen=True)
class Parts:
    """Scores of the frames or pairs of a clip.

    Args:
        frames: indices; of a pair, its first frame.
        values: as many; None where there is none.
    """

    frames: list[int]
    values: list[float | None]


@dataclass(frozen=True)
class Offset:
    """Where a restored clip lies against its ground truth.

    Args:
        rows: pixels below.
        columns: pixels to the right.
        gain: PSNR that undoing it gains, dB.
    """

    rows: float
    columns: float
    gain: float


@dataclass(frozen=True)
class Clip:
    """One scored clip.

    Args:
        num_frames: of the restored clip.
        fps: frames per second, None where unknown.
        size: height and width of the restored clip.
        lq_size: of its input.
        files: path of 'lq', 'gt' and 'pred', of those that were kept.
        scores: by metric; metrics without a score are absent.
        parts: by metric.
        shift: None where it was not measured.
    """

    num_frames: int
    fps: float | None
    size: tuple[int, int]
    lq_size: tuple[int, int] | None
    files: dict[str, Path]
    scores: dict[str, float]
    parts: dict[str, Parts]
    shift: Offset | None


@dataclass(frozen=True)
class Run:
    """One method's results.

    Args:
        name: of the method.
        folder: where results.json lies.
        method: as `tools/test.py` wrote it.
        protocol: likewise.
        sets: likewise, by name.
        clips: by data set and name.
        problems: likewise, a line each.
    """

    name: str
    folder: Path
    method: dict[str, Any]
    protocol: dict[str, Any]
    sets: dict[str, dict[str, Any]]
    clips: dict[Key, Clip]
    problems: list[str]

    @property
    def random(self) -> bool:
        """Whether its weights were drawn instead of trained."""
        return bool(self.method.get('random_init'))

    @property
    def saved(self) -> bool:
        """Whether it only scored clips that somebody had restored."""
        return self.method.get('type') == SAVED

    def cost(self, dataset: str) -> tuple[float | None, float | None]:
        """Give seconds per frame and peak bytes; of reading, neither."""
        entry = {} if self.saved else self.sets.get(dataset) or {}
        return entry.get('seconds_per_frame'), entry.get('peak_memory')

    def scores(self, dataset: str, metric: str) -> dict[str, float]:
        """Collect the scores of a set's clips, by the clip's name."""
        return {
            name: clip.scores[metric]
            for (found, name), clip in self.clips.items()
            if found == dataset and metric in clip.scores
        }


def load_runs(sources: Sequence[str]) -> list[Run]:
    """Read runs.

    Args:
        sources: folders of results.json, or NAME=FOLDER to give the method
            another name.

    Raises:
        ValueError: no results, results of another format, or two methods of
            one name.
    """
    runs = [_load(*_split(source)) for source in sources]
    for i, run in enumerate(runs):
        for other in runs[:i]:
            if other.name == run.name:
                raise ValueError(
                    f'{other.folder} and {run.folder} are both named '
                    f'{run.name!r}; call one NAME=FOLDER'
                )
    return runs


def _split(source: str) -> tuple[str | None, Path]:
    name, equals, folder = source.partition('=')
    if equals and name and not Path(source).exists():
        return name, Path(folder)
    return None, Path(source)


def _load(name: str | None, folder: Path) -> Run:
    path = folder / RESULTS
    if not path.is_file():
        raise ValueError(
            f'{folder}: no {RESULTS} there; tools/test.py writes it'
        )
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except ValueError as error:
        raise ValueError(f'{path}: no JSON ({error})') from None
    found = data.get('format') if isinstance(data, dict) else None
    if found != FORMAT:
        raise ValueError(f'{path}: format must be {FORMAT!r}, got {found!r}')
    try:
        return _run(data, name, folder)
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f'{path}: not as {FORMAT} says: {error!r}') from error


def _run(data: Mapping[str, Any], name: str | None, folder: Path) -> Run:
    return Run(
        name=name or str(data['method']['name']),
        folder=folder,
        method=dict(data['method']),
        protocol=dict(data['protocol']),
        sets=dict(data['sets']),
        clips={
            (str(clip['dataset']), str(clip['name'])): _clip(clip, folder)
            for clip in data['clips']
        },
        problems=[str(line) for line in data['problems']],
    )


def _clip(data: Mapping[str, Any], folder: Path) -> Clip:
    files = {k: Path(v) for k, v in (data.get('files') or {}).items() if v}
    if 'pred' in files:
        files['pred'] = folder / files['pred']
    scores = {k: to_number(v) for k, v in data['scores'].items()}
    shift = data.get('shift')
    return Clip(
        num_frames=int(data['num_frames']),
        fps=to_number(data.get('fps')),
        size=_size(data['size']),
        lq_size=_size(data['lq_size']) if data.get('lq_size') else None,
        files=files,
        scores={k: v for k, v in scores.items() if v is not None},
        parts={k: _parts(v) for k, v in (data.get('parts') or {}).items()},
        shift=_offset(shift) if shift else None,
    )


def _offset(data: Mapping[str, Any]) -> Offset:
    rows, columns, gain = (
        float(data[key]) for key in ('rows', 'columns', 'gain')
    )
    return Offset(rows, columns, gain)


def _parts(data: Mapping[str, Any]) -> Parts:
    frames = [int(frame) for frame in data['frames']]
    values = [to_number(value) for value in data['values']]
    if len(frames) != len(values):
        raise ValueError(f'{len(frames)} frames, {len(values)} values')
    return Parts(frames, values)


def _size(data: Iterable[int]) -> tuple[int, int]:
    height, width = data
    return int(height), int(width)


def to_number(value: float | str | None) -> float | None:
    """Read a number of a results file, where infinity is a string.

    Raises:
        ValueError: it is none.
    """
    return None if value is None else float(value)
