"""Clips of a study, with every method's file for each of them."""

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

from star.utils.files import list_visible
from star.video.io import VideoInfo, count_frames, probe

Key = tuple[str, str]  # set, clip


@dataclass(frozen=True)
class MethodFolder:
    """Folder of a method's results.

    Args:
        name: of the method; participants do not see it.
        folder: has a folder for each set.
    """

    name: str
    folder: Path


@dataclass(frozen=True)
class StudyClip:
    """A clip that every method has restored.

    Args:
        dataset: the set's name.
        name: unique within the set.
        files: video, or folder of frames, by method.
        width: of each version, in pixels.
        height: of each version, in pixels.
        num_frames: of each version.
        fps: frame rate at which all versions are played.
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
        """Name of the set and of the clip."""
        return self.dataset, self.name


def parse_methods(sources: Sequence[str]) -> list[MethodFolder]:
    """Read `NAME=FOLDER` arguments.

    Of a folder that `star test --save` wrote, its folder `restored` is used.

    Raises:
        ValueError: there are fewer than two arguments, one has another form,
            two have the same name, or a folder is missing.
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
        path = Path(folder)
        if not path.is_dir():
            raise ValueError(f'`methods`: {name}: there is no folder {path}')
        restored = path / 'restored'
        methods[name] = MethodFolder(
            name, restored if restored.is_dir() else path
        )
    return list(methods.values())


def find_clips(
    methods: Sequence[MethodFolder],
    sets: Sequence[str] = (),
    per_set: int | None = None,
    seed: int = 0,
) -> list[StudyClip]:
    """Find the clips of all sets, without opening them.

    Args:
        methods: all of them must have the same clips.
        sets: names of the sets; empty for all sets of the first method.
        per_set: number of clips that are chosen of each set; None for all.
        seed: of the choice.

    Raises:
        ValueError: a set or a clip is missing, or a set has too few clips.
    """
    if per_set is not None and per_set < 1:
        raise ValueError(f'`clips` must be >= 1, got {per_set}')
    names = list(dict.fromkeys(sets)) or _sets(methods[0])
    clips = []
    for dataset in names:
        found = _clips_of(methods, dataset)
        clips += _sample(found, dataset, per_set, seed) if per_set else found
    return clips


def inspect(clip: StudyClip, fps: Fraction | None = None) -> StudyClip:
    """Open every version of a clip and check that they are alike.

    Args:
        clip: from `find_clips`.
        fps: frame rate at which all versions are played; None for that of
            the videos, or 25 if all versions are folders of frames.

    Returns:
        The clip with its size, number of frames and frame rate.

    Raises:
        ValueError: versions differ in size, number of frames or frame rate,
            or one cannot be read.
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
    """Return the frame rate of the videos; folders of frames have none."""
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
        listed = ', '.join(f'{name} {v}' for name, v in values.items())
        raise ValueError(
            f'{"/".join(clip.key)}: its versions differ in {what}: {listed}'
        )


def _sets(method: MethodFolder) -> list[str]:
    names = sorted(path.name for path in list_visible(method.folder))
    names = [name for name in names if (method.folder / name).is_dir()]
    if not names:
        raise ValueError(f'`methods`: {method.folder} has no folder of a set')
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
    folder = method.folder / dataset
    # the name of a set must not lead to another folder
    if Path(dataset).name != dataset or not folder.is_dir():
        raise ValueError(f'{method.name} has no set {dataset!r}: no {folder}')
    found: dict[str, Path] = {}
    for path in list_visible(folder):
        name = path.name if path.is_dir() else path.stem
        if name in found:
            raise ValueError(f'{folder}: two results are named {name!r}')
        found[name] = path
    if not found:
        raise ValueError(f'{method.name} has no clips in {folder}')
    return found


def _sample(
    clips: list[StudyClip], dataset: str, count: int, seed: int
) -> list[StudyClip]:
    if count > len(clips):
        raise ValueError(
            f'`clips` must be <= {len(clips)}, the number of clips of '
            f'{dataset}, got {count}'
        )
    generator = random.Random(f'{seed}/{dataset}')
    return [
        clips[i] for i in sorted(generator.sample(range(len(clips)), count))
    ]
