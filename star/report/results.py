"""Results of a method: the results.json that `star test` writes."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from star.report.weights import describe_random, read_origins
from star.utils.files import read_json
from star.utils.results_format import (
    FORMAT,
    RESULTS,
    ClipRecord,
    FrameScoresRecord,
    MethodRecord,
    ProtocolRecord,
    ResultsRecord,
    Score,
    SetRecord,
    ShiftRecord,
)

SAVED = 'SavedResults'  # type of a method

Key = tuple[str, str]  # a clip: data set, name


@dataclass(frozen=True)
class FrameScores:
    """Scores of the frames of a clip, or of its pairs of frames.

    Args:
        frames: indices; of a pair, its first frame.
        values: one for each index; None where there is no score.
    """

    frames: list[int]
    values: list[float | None]


@dataclass(frozen=True)
class ClipShift:
    """Position of a restored clip against its ground truth.

    Args:
        rows: pixels downwards.
        columns: pixels to the right.
        gain: PSNR in dB that undoing the shift gains.
    """

    rows: float
    columns: float
    gain: float


@dataclass(frozen=True)
class ClipScores:
    """One scored clip.

    Args:
        num_frames: of the restored clip.
        size: height and width of the restored clip.
        lq_size: height and width of its input, None where unknown.
        files: paths of 'lq', 'gt' and 'pred', of those that were kept.
        scores: by metric; metrics without a score are absent.
        frame_scores: by metric.
        shift: None where it was not measured.
        fps: frames per second, None where unknown.
    """

    num_frames: int
    size: tuple[int, int]
    lq_size: tuple[int, int] | None
    files: dict[str, Path]
    scores: dict[str, float]
    frame_scores: dict[str, FrameScores]
    shift: ClipShift | None
    fps: float | None = None


@dataclass(frozen=True)
class MethodResults:
    """One method's results.

    Args:
        name: of the method.
        folder: of results.json.
        method: its entry in results.json.
        protocol: its entry in results.json.
        sets: their entries in results.json, by name.
        clips: by data set and name.
        problems: one line each.
    """

    name: str
    folder: Path
    method: MethodRecord
    protocol: ProtocolRecord
    sets: dict[str, SetRecord]
    clips: dict[Key, ClipScores]
    problems: list[str]

    @property
    def random(self) -> str:
        """Return 'random weights', or where if in some parts; '' for none."""
        return describe_random(self.method)

    @property
    def label(self) -> str:
        """Return the name for tables, with a remark on random weights."""
        return f'{self.name} ({self.random})' if self.random else self.name

    @property
    def saved(self) -> bool:
        """Return True if the clips were not restored here, only scored."""
        return self.method.get('type') == SAVED

    def cost(self, dataset: str) -> tuple[float | None, float | None]:
        """Return seconds per frame and peak bytes, None where unknown.

        Clips that were restored elsewhere have neither.
        """
        entry = None if self.saved else self.sets.get(dataset)
        if entry is None:
            return None, None
        return entry.get('seconds_per_frame'), entry.get('peak_memory')

    def scores(self, dataset: str, metric: str) -> dict[str, float]:
        """Return the scores of a set's clips by the clips' names."""
        return {
            name: clip.scores[metric]
            for (found, name), clip in self.clips.items()
            if found == dataset and metric in clip.scores
        }


def load_results(sources: Sequence[str]) -> list[MethodResults]:
    """Read the results of several methods.

    Args:
        sources: folders of results.json, or NAME=FOLDER to give the method
            another name.

    Raises:
        ValueError: a folder has no results or damaged ones, or two methods
            have the same name.
    """
    results: dict[str, MethodResults] = {}
    for source in sources:
        found = _load(*_split(source))
        if other := results.get(found.name):
            raise ValueError(
                f'{other.folder} and {found.folder} are both named '
                f'{found.name!r}; call one NAME=FOLDER'
            )
        results[found.name] = found
    return list(results.values())


def read_record(path: Path) -> ResultsRecord:
    """Read a results.json.

    Raises:
        ValueError: it is missing, no JSON, or has another format.
    """
    record = read_json(path)
    found = record.get('format') if isinstance(record, dict) else None
    if found != FORMAT:
        raise ValueError(f'{path}: format must be {FORMAT!r}, got {found!r}')
    return record


def to_number(score: Score) -> float | None:
    """Read a score of results.json, where infinity is a text.

    Raises:
        ValueError: it is no number.
    """
    return None if score is None else float(score)


def _split(source: str) -> tuple[str | None, Path]:
    name, equals, folder = source.partition('=')
    if equals and name and not Path(source).exists():
        return name, Path(folder)
    return None, Path(source)


def _load(name: str | None, folder: Path) -> MethodResults:
    path = folder / RESULTS
    if not path.is_file():
        raise ValueError(f'{folder} has no {RESULTS}; `star test` writes it')
    record = read_record(path)
    try:
        read_origins(record['method'])
        return MethodResults(
            name=name or str(record['method']['name']),
            folder=folder,
            method=record['method'],
            protocol=record['protocol'],
            sets=dict(record['sets']),
            clips={
                (str(clip['dataset']), str(clip['name'])): _clip(clip, folder)
                for clip in record['clips']
            },
            problems=[str(line) for line in record['problems']],
        )
    except (KeyError, TypeError, ValueError, AttributeError) as error:
        raise ValueError(f'{path} is no valid {FORMAT}: {error!r}') from error


def _clip(record: ClipRecord, folder: Path) -> ClipScores:
    files = {k: Path(v) for k, v in (record.get('files') or {}).items() if v}
    if 'pred' in files:
        files['pred'] = folder / files['pred']
    scores = {k: to_number(v) for k, v in record['scores'].items()}
    parts, shift = record.get('parts') or {}, record.get('shift')
    lq_size = record.get('lq_size')
    return ClipScores(
        num_frames=int(record['num_frames']),
        size=_size(record['size']),
        lq_size=_size(lq_size) if lq_size else None,
        files=files,
        scores={k: v for k, v in scores.items() if v is not None},
        frame_scores={k: _frame_scores(v) for k, v in parts.items()},
        shift=_shift(shift) if shift else None,
        fps=record.get('fps'),
    )


def _shift(record: ShiftRecord) -> ClipShift:
    rows, columns = float(record['rows']), float(record['columns'])
    return ClipShift(rows, columns, float(record['gain']))


def _frame_scores(record: FrameScoresRecord) -> FrameScores:
    frames = [int(frame) for frame in record['frames']]
    values = [to_number(value) for value in record['values']]
    if len(frames) != len(values):
        raise ValueError(f'{len(frames)} frames, {len(values)} values')
    return FrameScores(frames, values)


def _size(sides: Iterable[int]) -> tuple[int, int]:
    height, width = sides
    return int(height), int(width)
