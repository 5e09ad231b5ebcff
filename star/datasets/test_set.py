"""The manifest `set.json` of a prepared test set, and its checks."""

import hashlib
import json
from collections.abc import Iterator
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from star.datasets.indexed_video import IndexedVideo
from star.datasets.pairing import list_clips, name_some
from star.utils.files import list_visible, write_json
from star.video.io import VideoError, VideoReader, probe

FORMAT = 'star-test-set/1'
MANIFEST, RECORDS = 'set.json', 'records'
KEYS = ('gt', 'lq')
TOOL = 'star prepare test-sets'
_PNG = b'\x89PNG\r\n\x1a\n'


@dataclass(frozen=True)
class StoredClip:
    """The files of a ground truth or of a low-quality input.

    Args:
        path: relative to the set's folder, with slashes.
        size: height and width.
        sha256: of the pixels of all frames, see `hash_frames`.
        files: pattern of the names of a folder's frames, such as '%08d.png',
            counted from 0; None for a video or an image.
    """

    path: str
    size: tuple[int, int]
    sha256: str
    files: str | None = None


@dataclass(frozen=True)
class ClipEntry:
    """A manifest's entry of one clip.

    Args:
        frames: number of frames.
        fps: frames per second; None if unknown.
        gt: ground truth, or None.
        lq: low-quality input, or None.
    """

    frames: int
    fps: float | None = None
    gt: StoredClip | None = None
    lq: StoredClip | None = None

    def stored(self) -> Iterator[tuple[str, StoredClip]]:
        """Yield those of 'gt' and 'lq' that exist, with their files."""
        for key, clip in (('gt', self.gt), ('lq', self.lq)):
            if clip is not None:
                yield key, clip


@dataclass(frozen=True)
class Manifest:
    """The contents of a test set.

    Args:
        name: of the set.
        source: what it was made from.
        degradation: config that made the inputs; None if they are real.
        clips: by name.
    """

    name: str
    source: str
    degradation: dict | None
    clips: dict[str, ClipEntry]


def read_manifest(path: Path) -> Manifest:
    """Read a manifest.

    Raises:
        ValueError: the file cannot be read, or has another format.
    """
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
        if not isinstance(data, dict) or data.get('format') != FORMAT:
            raise ValueError(f'`format` must be {FORMAT!r}')
        clips = {k: entry_from_json(k, v) for k, v in data['clips'].items()}
        degradation = data['degradation']
        return Manifest(data['name'], data['source'], degradation, clips)
    except OSError as error:
        raise ValueError(
            f'{path}: not a test set ({error.strerror})'
        ) from None
    except ValueError as error:
        raise ValueError(f'{path}: not a test set ({error})') from None
    except (AttributeError, KeyError, TypeError) as error:
        raise ValueError(
            f'{path}: not a test set, a value is missing or of the wrong '
            f'type ({error})'
        ) from None


def write_manifest(path: Path, manifest: Manifest) -> None:
    """Write a manifest; equal sets give equal bytes."""
    clips = {k: entry_to_json(v) for k, v in sorted(manifest.clips.items())}
    write_json(path, {'format': FORMAT, **asdict(manifest), 'clips': clips})


def entry_to_json(entry: ClipEntry) -> dict:
    """Turn an entry into a dict that JSON can store, without what is None."""
    data: dict[str, Any] = {'frames': entry.frames, 'fps': entry.fps}
    for key, clip in entry.stored():
        values = {k: v for k, v in asdict(clip).items() if v is not None}
        data[key] = {**values, 'size': list(clip.size)}
    return data


def entry_from_json(name: str, data: dict) -> ClipEntry:
    """Turn the result of `entry_to_json` back into an entry.

    Args:
        name: of the clip, which its files must have too.
        data: result of `entry_to_json`.

    Raises:
        ValueError: a value is out of range.
        KeyError, TypeError: a value is missing or of the wrong type.
    """
    clips = {key: _stored(name, key, data[key]) for key in KEYS if key in data}
    if not clips or data['frames'] < 1:
        raise ValueError(f'{name} needs `gt` or `lq`, and `frames` >= 1')
    return ClipEntry(data['frames'], data.get('fps'), **clips)


def _stored(name: str, key: str, data: dict) -> StoredClip:
    height, width = data['size']
    clip = StoredClip(
        data['path'], (height, width), data['sha256'], data.get('files')
    )
    folder, _, file = clip.path.partition('/')
    if folder != key or name not in (file, Path(file).stem) or '/' in file:
        raise ValueError(f'`path` must be {key}/{name}, got {clip.path!r}')
    if clip.files is not None and clip.files % 0 == clip.files % 1:
        raise ValueError(f'`files` must number frames, got {clip.files!r}')
    return clip


def check_test_set(root: Path, manifest: Manifest) -> None:
    """Compare a folder with its manifest by names, counts and sizes.

    `check_pixels` compares the pixels.

    Raises:
        ValueError: they differ; the message names the first difference.
    """
    found = list(differences(root, manifest))
    if found:
        more = f' ({len(found) - 1} more)' if len(found) > 1 else ''
        raise ValueError(
            f'{root} differs from its {MANIFEST}: {found[0]}{more}'
        )


def differences(root: Path, manifest: Manifest) -> Iterator[str]:
    """List how a folder differs from its manifest, one line each."""
    for key in KEYS:
        listed = [
            (entry.frames, clip)
            for entry in manifest.clips.values()
            for clip_key, clip in entry.stored()
            if clip_key == key
        ]
        there = _entries(root / key)
        names = {clip.path.partition('/')[2] for _, clip in listed}
        if names - there:
            yield f'{key}/ lacks {name_some(names - there)}'
        if there - names:
            yield f'{key}/ has {name_some(there - names)}, not listed'
        for frames, clip in listed:
            if clip.path.partition('/')[2] in there:
                yield from clip_differences(root, frames, clip)


def _entries(folder: Path) -> set[str]:
    """List the names in a folder; none if it is missing or empty."""
    if not folder.is_dir() or not list_visible(folder):
        return set()
    return {path.name for path in list_clips(folder).values()}


def clip_differences(
    root: Path, frames: int, clip: StoredClip
) -> Iterator[str]:
    """List how a clip's files differ from its entry, one line each.

    Args:
        root: folder of the set.
        frames: expected number of frames.
        clip: its entry.
    """
    path = root / clip.path
    try:
        if clip.files is None:
            yield from _video_differences(path, frames, clip)
        else:
            yield from _folder_differences(path, frames, clip)
    except (OSError, VideoError) as error:
        yield f'{clip.path} cannot be read ({error})'


def _video_differences(
    path: Path, frames: int, clip: StoredClip
) -> Iterator[str]:
    video = IndexedVideo(path, 'pyav')
    size = video.info.height, video.info.width
    if video.num_frames != frames:
        yield f'{clip.path} has {video.num_frames} frames, not {frames}'
    elif size != clip.size:
        yield f'{clip.path} is {_text(size)}, not {_text(clip.size)}'


def _folder_differences(
    path: Path, frames: int, clip: StoredClip
) -> Iterator[str]:
    assert clip.files is not None
    wanted = {clip.files % i for i in range(frames)}
    there = {p.name for p in list_visible(path)}
    if wanted - there:
        yield f'{clip.path} lacks {name_some(wanted - there)}'
    if there - wanted:
        yield f'{clip.path} has {name_some(there - wanted)}, not listed'
    for name in sorted(wanted & there):
        size = _image_size(path / name)
        if size != clip.size:
            wrong = f'{_text(size)}, not {_text(clip.size)}'
            yield f'{clip.path}/{name} is {wrong}'


def _image_size(path: Path) -> tuple[int, int]:
    """Read an image's height and width; of a PNG only the header is read."""
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
    """Decode a clip's files and compare the hashes of their pixels.

    Returns:
        One line for each difference.
    """
    found = []
    for _, clip in entry.stored():
        try:
            digest = hash_frames(root / clip.path)
        except (OSError, VideoError) as error:
            found.append(f'{clip.path} cannot be read ({error})')
            continue
        if digest != clip.sha256:
            found.append(f'{clip.path} has other pixels')
    return found


def hash_frames(path: Path) -> str:
    """Compute the SHA-256 of the RGB bytes of all frames in order.

    It depends on the pixels that a model sees, not on the file: copies with
    another lossless compression are equal, a decoder with other pixels shows.

    Raises:
        VideoError: a frame cannot be decoded.
    """
    digest = hashlib.sha256()
    with VideoReader(path) as reader:
        for frame in reader:
            digest.update(frame.image.tobytes())
    return digest.hexdigest()
