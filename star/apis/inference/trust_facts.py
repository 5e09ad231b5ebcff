"""The record of trust beside a result: what it is, and how far it is true."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from star.apis.inference.borders import Borders
from star.apis.inference.fingerprint import digest_of_content
from star.apis.inference.trust_seams import worst_seams
from star.apis.inference.trust_warnings import find_warnings
from star.models.restoration.options import RestoreOptions
from star.utils.files import list_visible, write_json
from star.utils.origins import get_record, is_random
from star.video.info import VideoError
from star.video.streams.times import StreamTimes, measure_times

FORMAT = 'star-trust/1'
_WORST = 5  # frames that are listed
_APART = 0.5  # seconds between two of them, where they have times
Row = Mapping[str, Any]


@dataclass(frozen=True)
class FileFacts:
    """An input or a result.

    Args:
        name: of the file or folder.
        sha256: of its content, in hexadecimal.
        bytes: of the file, or of all files of the folder.
        frames: of the clip.
        size: width and height in pixels.
        picture_seconds: from the first picture to the end of the last.
        sound_seconds: from the beginning to the end of the first sound;
            None without sound.
        offset: seconds by which that sound begins after the picture; None
            without sound.
        sound_frame: seconds of a frame of that sound; None without sound.
    """

    name: str
    sha256: str
    bytes: int
    frames: int
    size: tuple[int, int]
    picture_seconds: float | None = None
    sound_seconds: float | None = None
    offset: float | None = None
    sound_frame: float | None = None


@dataclass(frozen=True)
class TrustFacts:
    """Facts of a restoration besides its measurements.

    Args:
        input: the input.
        output: the result.
        method: what decides the result, as `describe_method` gives it, with
            the options, versions, device and dtype.
        weights: origins of the weights, as `describe_weights` gives them.
        config: name of the config, or its path; '' if unknown.
        key: what the result depends on, for finding it again.
        files: options of reading and writing, builtin types.
        scenes: first frame of each scene.
        borders: where parts of the result meet.
        notes: changes and losses, a sentence each.
    """

    input: FileFacts
    output: FileFacts
    method: Mapping[str, Any]
    weights: Mapping[str, Any] = field(default_factory=dict)
    config: str = ''
    key: Mapping[str, Any] = field(default_factory=dict)
    files: Mapping[str, Any] = field(default_factory=dict)
    scenes: Sequence[int] = (0,)
    borders: Borders = field(default_factory=Borders)
    notes: Sequence[str] = ()


def describe_clip(
    path: Path,
    frames: int,
    size: tuple[int, int],
    name: str = '',
    sha256: str = '',
) -> FileFacts:
    """Collect the facts of a clip from its file.

    Args:
        path: video, image, or folder of images.
        frames: that were read or written.
        size: width and height of an upright frame.
        name: other than that of `path`, which may be temporary.
        sha256: of its content; '' to compute it.
    """
    times = StreamTimes()
    if path.is_dir():
        length = sum(p.stat().st_size for p in list_visible(path))
    else:
        length = path.stat().st_size
        times = _times_of(path)
    return FileFacts(
        name or path.name,
        sha256 or digest_of_content(path),
        length,
        frames,
        size,
        _rounded(times.picture_seconds or None),
        None if times.offset is None else _rounded(times.sound_seconds),
        _rounded(times.offset),
        None if times.offset is None else _rounded(times.sound_frame),
    )


def describe_weights(restorer: object) -> dict[str, Any]:
    """Return where the weights of a model come from, as builtin types."""
    record = get_record(restorer)
    origins = [] if record is None else record.origins
    return {
        'random': is_random(restorer),
        'origins': [origin.to_json() for origin in origins],
    }


def restored_by(config: str, options: RestoreOptions, version: str) -> str:
    """Return the text that marks a result in its metadata.

    Args:
        config: name or path of the config.
        options: of the restoration.
        version: of this package.
    """
    method = Path(config).stem
    return f'Restored by star {version}, {method}, scale x{options.scale:g}'


def summarise(rows: Sequence[Row], facts: TrustFacts) -> dict[str, Any]:
    """Make the record of a result, builtin types.

    Args:
        rows: of all frames, as `TrustMeter.take` gives them.
        facts: of the restoration.
    """
    summary = _summary(rows, facts.scenes)
    record = {
        'format': FORMAT,
        'warnings': [],
        'input': asdict(facts.input),
        'output': asdict(facts.output),
        'config': facts.config,
        'method': dict(facts.method),
        'weights': dict(facts.weights),
        'files': dict(facts.files),
        'scenes': list(facts.scenes),
        'borders': {k: list(v) for k, v in asdict(facts.borders).items()},
        'summary': summary,
        'seams': worst_seams(rows, facts.borders, facts.scenes),
        'notes': list(facts.notes),
        'key': dict(facts.key),
        'frames': _columns(rows),
    }
    record['warnings'] = find_warnings(record)
    return record


def write_trust(path: Path, record: Mapping[str, Any]) -> None:
    """Write the record of a result in one piece.

    Args:
        path: NAME.star.json.
        record: as `summarise` makes it.
    """
    write_json(path, record)


def _summary(rows: Sequence[Row], scenes: Sequence[int]) -> dict[str, Any]:
    psnr = [row['psnr'] for row in rows]
    drifts = [[row['drift'][i] for row in rows] for i in range(3)]
    firsts = {0, *scenes}  # a cut is no flicker
    within = [row for row in rows if row['frame'] not in firsts]

    def mean(name: str) -> float | None:
        return _mean([row[name] for row in within])

    changes = {name: mean(f'change_{name}') for name in ('lq', 'pred', 'fine')}
    return {
        'psnr': _mean(psnr),
        'least_psnr': min(psnr, default=None),
        'worst_frames': _worst(rows),
        'drift': [_mean(drift) for drift in drifts],
        'largest_drift': max(
            (abs(d) for c in drifts for d in c), default=None
        ),
        'change': changes,
        'flicker': _ratio(changes['pred'], changes['lq']),
        'fine_flicker': _ratio(changes['fine'], changes['lq']),
    }


def _worst(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """Pick the frames of the lowest PSNR, not all from one place."""
    chosen: list[Row] = []
    for row in sorted(rows, key=lambda row: (row['psnr'], row['frame'])):
        times = [other.get('time') for other in chosen]
        here = row.get('time')
        if here is None or all(abs(here - t) >= _APART for t in times):
            chosen.append(row)
        if len(chosen) == _WORST:
            break
    return [
        {'frame': r['frame'], 'time': r.get('time'), 'psnr': r['psnr']}
        for r in chosen
    ]


def _columns(rows: Sequence[Row]) -> dict[str, list[Any]]:
    """Return the measurements by name, a value of each frame."""
    names = ('psnr', 'change_lq', 'change_pred', 'change_fine', 'time')
    columns = {name: [row.get(name) for row in rows] for name in names}
    for i, colour in enumerate(('red', 'green', 'blue')):
        columns[f'drift_{colour}'] = [row['drift'][i] for row in rows]
    return columns


def _times_of(path: Path) -> StreamTimes:
    try:
        return measure_times(path)
    except VideoError:  # an image that FFmpeg does not read, or damage
        return StreamTimes()


def _mean(values: Sequence[float]) -> float | None:
    return _rounded(math.fsum(values) / len(values)) if values else None


def _ratio(part: float | None, whole: float | None) -> float | None:
    return _rounded(part / whole) if part is not None and whole else None


def _rounded(value: Any) -> float | None:
    return None if value is None else round(float(value), 6)
