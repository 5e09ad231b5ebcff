"""Which clips a study shows: every method's file for each of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from star.video.io import VideoInfo, count_frames, probe

Key = tuple[str, str]  # set, clip


@dataclass(frozen=True)
class MethodFolder:
    """Results of a method.

    Args:
        name: shown in the export only.
        folder: with a folder for each set.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class StudyClip:
    """A clip that every method has restored.

    Args:
        dataset: the set's name.
        name: unique within the set.
        files: file, or folder of frames, by method.
        width: pixels of each version.
        height: likewise.
        num_frames: likewise.
        fps: frames per second at which all versions are played.
    """

    dataset: str
    name: str
    files: dict[str, Path]
    width: int = 0
    height: int = 0
    num_frames: int = 0
    fps: Fraction = Fraction(25)

    @property
    def key(self) -> Key:
        """The set and the clip's name."""
        return self.dataset, self.name


def parse_methods(sources: Sequence[str]) -> list[MethodFolder]:
    """Read `NAME=FOLDER` arguments.

    A folder that `tools/test.py --save` wrote keeps its clips in `restored`,
    which is then taken.

    Raises:
        ValueError: fewer than two, one of another form, twice the same name,
            or no such folder.
    """
    if len(sources) < 2:
        raise ValueError(
            f'`methods` must be two or more to compare, got {len(sources)}'
        )
    methods: dict[str, MethodFolder] = {}
    for source in sources:
        name, equals, folder = source.partition('=')
        if not (name and equals and folder):
            raise ValueError(f'`methods` must be NAME=FOLDER, got {source!r}')
        if name in methods:
            raise ValueError(f'`methods` must differ, got {name!r} twice')
        place = Path(folder)
        if not place.is_dir():
            raise ValueError(f'`methods`: {name}: there is no folder {place}')
        inside = place / 'restored'
        methods[name] = MethodFolder(
            name, inside if inside.is_dir() else place
        )
    return list(methods.values())


def find_clips(
    methods: Sequence[MethodFolder],
    sets: Sequence[str] = (),
    per_set: int | None = None,
    seed: int = 0,
) -> list[StudyClip]:
    """Find the clips of all sets; they are not opened yet.

    Args:
        methods: each must have every clip that another has.
        sets: names of the sets; none for all that the first method has.
        per_set: how many clips of each set are drawn; None for all.
        seed: of the draw.

    Raises:
        ValueError: a set or a clip is missing, or a set has too few clips.
    """
    if per_set is not None and per_set < 1:
        raise ValueError(f'`clips` must be >= 1, got {per_set}')
    names = list(dict.fromkeys(sets)) or _sets(methods[0])
    clips = []
    for dataset in names:
        found = _clips_of(methods, dataset)
        clips += _draw(found, dataset, per_set, seed) if per_set else found
    return clips


def inspect(clip: StudyClip, fps: Fraction | None = None) -> StudyClip:
    """Open every version of a clip and check that they fit together.

    Args:
        clip: of `find_clips`.
        fps: at which all versions are played; None for what their videos
            say, or 25 where all are folders of frames.

    Raises:
        ValueError: versions differ in size, number of frames or rate, or one
            cannot be read.
    """
    infos = {name: probe(path) for name, path in clip.files.items()}
    sizes = {n: f'{info.width}x{info.height}' for n, info in infos.items()}
    _agree(clip, 'size', sizes)
    counts = {n: count_frames(path) for n, path in clip.files.items()}
    _agree(clip, 'number of frames', counts)
    first = next(iter(infos.values()))
    return replace(
        clip,
        width=first.width,
        height=first.height,
        num_frames=next(iter(counts.values())),
        fps=fps or _rate(clip, infos),
    )


def _rate(clip: StudyClip, infos: dict[str, VideoInfo]) -> Fraction:
    """Take the rate of the videos; frames in folders have none."""
    rates = {
        name: info.fps
        for name, info in infos.items()
        if info.kind == 'video' and info.fps
    }
    if not rates:
        return StudyClip.fps
    _agree(clip, 'frame rate (--fps plays all at one)', rates)
    return next(iter(rates.values()))


def _agree(clip: StudyClip, what: str, values: dict) -> None:
    if len(set(values.values())) > 1:
        told = ', '.join(f'{name} {value}' for name, value in values.items())
        raise ValueError(
            f'{"/".join(clip.key)}: its versions differ in {what}: {told}'
        )


def _sets(method: MethodFolder) -> list[str]:
    names = sorted(path.name for path in _visible(method.folder))
    names = [name for name in names if (method.folder / name).is_dir()]
    if not names:
        raise ValueError(
            f'`methods`: {method.folder} holds no folder of a set'
        )
    return names


def _clips_of(
    methods: Sequence[MethodFolder], dataset: str
) -> list[StudyClip]:
    files = {m.name: _results(m, dataset) for m in methods}
    names = sorted({name for found in files.values() for name in found})
    for method, found in files.items():
        missing = [name for name in names if name not in found]
        if missing:
            raise ValueError(
                f'{method} lacks {len(missing)} of {len(names)} clips of '
                f'{dataset}: {", ".join(missing[:3])}'
            )
    return [
        StudyClip(dataset, name, {m: files[m][name] for m in files})
        for name in names
    ]


def _results(method: MethodFolder, dataset: str) -> dict[str, Path]:
    place = method.folder / dataset
    # a set is a name: it leads nowhere else
    if Path(dataset).name != dataset or not place.is_dir():
        raise ValueError(f'{method.name} has no set {dataset!r}: no {place}')
    found: dict[str, Path] = {}
    for path in sorted(_visible(place)):
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise ValueError(f'{place}: two results are named {name!r}')
        found[name] = path
    if not found:
        raise ValueError(f'{method.name} has no clips in {place}')
    return found


def _visible(folder: Path) -> list[Path]:
    return [p for p in folder.iterdir() if not p.name.startswith('.')]


def _draw(
    clips: list[StudyClip], dataset: str, count: int, seed: int
) -> list[StudyClip]:
    if count > len(clips):
        raise ValueError(
            f'`clips` must be <= {len(clips)}, the clips of {dataset}, got '
            f'{count}'
        )
    drawn = random.Random(f'{seed}/{dataset}').sample(range(len(clips)), count)
    return [clips[i] for i in sorted(drawn)]
