"""The numbers of a training's log: curves, and the time of an iteration."""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

Line = Mapping[str, float]


@dataclass(frozen=True)
class TrainingTime:
    """Seconds of an iteration, over the lines of a log.

    Attributes:
        lines: number of lines.
        mean: mean over the lines; each is a mean over some iterations.
        waiting: mean time of waiting for data, part of `mean`.
        deviation: standard deviation over the lines.
        slowest: iteration and seconds of the slowest line.
        fastest: iteration and seconds of the fastest line.
    """

    lines: int
    mean: float
    waiting: float
    deviation: float
    slowest: tuple[int, float]
    fastest: tuple[int, float]


def read_log(path: str | Path) -> list[Line]:
    """Read the numbers of a training.

    A killed process may leave half a line at the end, which is left out.

    Args:
        path: a `scalars.json` of mmengine, or the work folder of a training.
            Of a training that was resumed all files are read; what came
            after the checkpoint counts as the later start has it.

    Returns:
        One mapping for each line: numbers by name, `iter` among them.

    Raises:
        ValueError: there is no such file, or it is no log.
    """
    path = Path(path)
    lines: list[Line] = []
    for file in _find_files(path):
        new = _read_lines(file)
        first = min((line['iter'] for line in new), default=float('inf'))
        lines = [line for line in lines if line['iter'] < first] + new
    if not lines:
        raise ValueError(f'{path}: the log has no numbers yet')
    return lines


def find_curve(
    lines: Sequence[Line], key: str
) -> tuple[list[int], list[float]]:
    """Return the iterations and the values of a number.

    Args:
        lines: from `read_log`.
        key: such as 'loss' or 'val/PSNR'.

    Raises:
        ValueError: the log has no such number.
    """
    found = [line for line in lines if key in line]
    if not found:
        names = dict.fromkeys(name for line in lines for name in line)
        known = ', '.join(n for n in names if n not in ('iter', 'step'))
        raise ValueError(f'the log has no {key!r}; it has {known}')
    return [int(line['iter']) for line in found], [x[key] for x in found]


def measure_time(
    lines: Sequence[Line], include_outliers: bool = False
) -> TrainingTime:
    """Average the time of an iteration.

    Args:
        lines: from `read_log`.
        include_outliers: count the first line too, in which the first batch
            was loaded.

    Raises:
        ValueError: no line with a time is left.
    """
    timed = [line for line in lines if 'time' in line]
    if not include_outliers:
        timed = timed[1:]
    if not timed:
        raise ValueError(
            'the log has no line with a time after the first: use '
            '--include-outliers'
        )
    seconds = [line['time'] for line in timed]
    mean = sum(seconds) / len(seconds)
    square = sum((value - mean) ** 2 for value in seconds) / len(seconds)
    ranked = sorted((line['time'], int(line['iter'])) for line in timed)
    waits = sum(line.get('data_time', 0.0) for line in timed)
    return TrainingTime(
        lines=len(timed),
        mean=mean,
        waiting=waits / len(timed),
        deviation=square**0.5,
        slowest=(ranked[-1][1], ranked[-1][0]),
        fastest=(ranked[0][1], ranked[0][0]),
    )


def _find_files(path: Path) -> list[Path]:
    if path.is_file():
        return [path]
    # folders are named by the time of the start
    files = sorted(path.glob('*/vis_data/scalars.json'))
    files = files or sorted(path.glob('vis_data/scalars.json'))
    if not files:
        raise ValueError(
            f'{path}: must be a scalars.json or the work folder of a '
            'training, with TIME/vis_data/scalars.json'
        )
    return files


def _read_lines(path: Path) -> list[Line]:
    text = path.read_text(encoding='utf-8', errors='replace')
    whole, _, _ = text.rpartition('\n')
    lines: list[Line] = []
    for number, line in enumerate(whole.splitlines(), 1):
        try:
            numbers = json.loads(line)
            lines.append({**numbers, 'iter': numbers['iter']})
        except (KeyError, TypeError, ValueError) as error:
            raise ValueError(
                f'{path}, line {number}: must have numbers by name with '
                f'`iter`, got {line[:60]!r}'
            ) from error
    return lines
