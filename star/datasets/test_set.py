"""What a prepared test set holds: its manifest `set.json`, and its checks."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from star.datasets.indexed_video import IndexedVideo
from star.datasets.pairing import list_clips, name_some
from star.utils.files import write_json
from star.video.io import VideoError, VideoReader, probe

FORMAT = 'star-test-set/1'
MANIFEST, RECORDS = 'set.json', 'records'
PARTS = ('gt', 'lq')
TOOL = 'tools/dataset_converters/prepare_test_sets.py'
_PNG = b'\x89PNG\r\n\x1a\n'


@dataclass(frozen=True)
class ClipPart:
    """A clip's ground truth or its low-quality input.

    Args:
        path: relative to the set's folder, with slashes.
        size: height and width.
        sha256: of all frames' pixels, as `hash_frames` computes it.
        files: names of the frames of a folder, as '%08d.png', counted from
            0; None for a video or an image.
    """

    path: str
    size: tuple[int, int]
    sha256: str
    files: str | None = None


@dataclass(frozen=True)
class ClipEntry:
    """What a manifest says of one clip.

    Args:
        frames: how many it has.
        fps: frames per second; None where unknown.
        gt: ground truth, if there is one.
        lq: low-quality input, if it is made already.
    """

    frames: int
    fps: float | None = None
    gt: ClipPart | None = None
    lq: ClipPart | None = None

    def parts(self) -> Iterator[tuple[str, ClipPart]]:
        """Yield 'gt' and 'lq' with their parts, as far as they are there."""
        for key, part in (('gt', self.gt), ('lq', self.lq)):
            if part is not None:
                yield key, part


@dataclass(frozen=True)
class Manifest:
    """A test set in JSON's terms.

    Args:
        name: of the set.
        source: what it was made from.
        degradation: what made its inputs; None where they are real.
        clips: by name.
    """

    name: str
    source: str
    degradation: dict | None
    clips: dict[str, ClipEntry]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ValueError: it cannot be read, or is not one of this format.
    """
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(data, dict) or data.get('format') != FORMAT:
            raise ValueError(f'`format` must be {FORMAT!r}')
        clips = {k: entry_from_json(k, v) for k, v in data['clips'].items()}
        degradation = data['degradation']
        return Manifest(data['name'], data['source'], degradation, clips)
    except OSError as error:
        raise ValueError(f'{path}: no test set ({error.strerror})') from None
    except ValueError as error:
        raise ValueError(f'{path}: no test set ({error})') from None
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}: no test set, a value is missing or of the wrong kind '
            f'({error})'
        ) from None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest in one piece; the same set gives the same bytes."""
    clips = {k: entry_to_json(v) for k, v in sorted(manifest.clips.items())}
    write_json(path, {'format': FORMAT, **asdict(manifest), 'clips': clips})


def entry_to_json(entry: ClipEntry) -> dict:
    """Turn an entry into what JSON can hold, without what is not there."""
    data: dict[str, Any] = {'frames': entry.frames, 'fps': entry.fps}
    for key, part in entry.parts():
        values = {k: v for k, v in asdict(part).items() if v is not None}
        data[key] = {**values, 'size': list(part.size)}
    return data


def entry_from_json(name: str, data: dict) -> ClipEntry:
    """Read an entry back.

    Args:
        name: of the clip; its files must bear it.
        data: of `entry_to_json`.

    Raises:
        ValueError: a value is out of range.
        KeyError, TypeError: one is missing or of the wrong kind.
    """
    parts = {key: _part(name, key, data[key]) for key in PARTS if key in data}
    if not parts or data['frames'] < 1:
        raise ValueError(f'{name} needs `gt` or `lq`, and `frames` >= 1')
    return ClipEntry(data['frames'], data.get('fps'), **parts)


def _part(name: str, key: str, data: dict) -> ClipPart:
    height, width = data['size']
    part = ClipPart(
        data['path'], (height, width), data['sha256'], data.get('files')
    )
    folder, _, file = part.path.partition('/')
    if folder != key or name not in (file, Path(file).stem) or '/' in file:
        raise ValueError(f'`path` must be {key}/{name}, got {part.path!r}')
    if part.files is not None and part.files % 0 == part.files % 1:
        raise ValueError(f'`files` must number frames, got {part.files!r}')
    return part


def check_test_set(root: Path, manifest: Manifest) -> None:
    """Compare a folder with its manifest, by names, counts and sizes.

    Pixels are not looked at; `check_pixels` does that.

    Raises:
        ValueError: naming the first difference, and counting the others.
    """
    found = list(differences(root, manifest))
    if found:
        more = f' ({len(found) - 1} more)' if len(found) > 1 else ''
        raise ValueError(
            f'{root} is not what {MANIFEST} says: {found[0]}{more}'
        )


def differences(root: Path, manifest: Manifest) -> Iterator[str]:
    """Tell in what a folder differs from its manifest, a line for each."""
    for key in PARTS:
        listed = {
            name: (entry.frames, part)
            for name, entry in manifest.clips.items()
            for part_key, part in entry.parts()
            if part_key == key
        }
        there = _entries(root / key)
        names = {part.path.partition('/')[2] for _, part in listed.values()}
        if names - there:
            yield f'{key}/ lacks {name_some(names - there)}'
        if there - names:
            yield f'{key}/ has {name_some(there - names)}, not listed'
        for frames, part in listed.values():
            if part.path.partition('/')[2] in there:
                yield from part_differences(root, frames, part)


def _entries(folder: Path) -> set[str]:
    """Name what is in a folder, if it is there and not empty."""
    if not folder.is_dir() or not any(folder.iterdir()):
        return set()
    return {path.name for path in list_clips(folder).values()}


def part_differences(root: Path, frames: int, part: ClipPart) -> Iterator[str]:
    """Tell in what a clip's files differ from what is said of them.

    Args:
        root: folder of the set.
        frames: that it should have.
        part: its entry.
    """
    path = root / part.path
    try:
        if part.files is None:
            yield from _video_differences(path, frames, part)
        else:
            yield from _folder_differences(path, frames, part)
    except (OSError, VideoError) as error:
        yield f'{part.path} cannot be read ({error})'


def _video_differences(
    path: Path, frames: int, part: ClipPart
) -> Iterator[str]:
    video = IndexedVideo(path, 'pyav')
    size = video.info.height, video.info.width
    if video.num_frames != frames:
        yield f'{part.path} has {video.num_frames} frames, not {frames}'
    elif size != part.size:
        yield f'{part.path} is {_text(size)}, not {_text(part.size)}'


def _folder_differences(
    path: Path, frames: int, part: ClipPart
) -> Iterator[str]:
    assert part.files is not None
    wanted = {part.files % i for i in range(frames)}
    there = {p.name for p in path.iterdir() if not p.name.startswith('.')}
    if wanted - there:
        yield f'{part.path} lacks {name_some(wanted - there)}'
    if there - wanted:
        yield f'{part.path} has {name_some(there - wanted)}, not listed'
    for name in sorted(wanted & there):
        size = _image_size(path / name)
        if size != part.size:
            wrong = f'{_text(size)}, not {_text(part.size)}'
            yield f'{part.path}/{name} is {wrong}'


def _image_size(path: Path) -> tuple[int, int]:
    """Read an image's height and width, of a PNG from its header alone."""
    with open(path, 'rb') as file:
        head = file.read(24)
    if head.startswith(_PNG) and len(head) == 24:
        width, height = (
            int.from_bytes(head[i : i + 4], 'big') for i in (16, 20)
        )
        return height, width
    info = probe(path)
    return info.height, info.width


def _text(size: tuple[int, int]) -> str:
    return f'{size[1]}x{size[0]}'


def check_pixels(root: Path, entry: ClipEntry) -> list[str]:
    """Decode a clip's files and compare their hashes with its entry's.

    Returns:
        A line for each difference.
    """
    found = []
    for _, part in entry.parts():
        try:
            digest = hash_frames(root / part.path)
        except (OSError, VideoError) as error:
            found.append(f'{part.path} cannot be read ({error})')
            continue
        if digest != part.sha256:
            found.append(f'{part.path} has other pixels')
    return found


def hash_frames(path: Path) -> str:
    """Hash the RGB bytes of all frames, one after the other: SHA-256.

    What a model sees is hashed, not the file: copies that another library
    has compressed are the same, and a decoder that gives other pixels shows.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    digest = hashlib.sha256()
    with VideoReader(path) as reader:
        for frame in reader:
            digest.update(frame.image.tobytes())
    return digest.hexdigest()
