"""`SetWriter`: prepares a test set clip by clip; it can be resumed."""

import glob
import hashlib
import json
import shutil
import time
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from star.datasets.test_set import (
    KEYS,
    MANIFEST,
    RECORDS,
    ClipEntry,
    Manifest,
    StoredClip,
    clip_differences,
    entry_from_json,
    entry_to_json,
    hash_frames,
    write_manifest,
)
from star.datasets.test_set_clips import (
    PrepareOptions,
    check_pair,
    degrade_clip,
    read_source,
    write_lossless,
)
from star.datasets.transforms.degradation import VERSION
from star.utils.files import atomic_folder, remove_temporary, write_json
from star.video.io import list_images

_NUMBER = '%08d'


@dataclass(frozen=True)
class PreparedClip:
    """A clip of a set that is on the disk.

    Args:
        name: of the clip.
        entry: its entry in the manifest.
        seconds: time of the preparation; None if it was done already.
    """

    name: str
    entry: ClipEntry
    seconds: float | None


class SetWriter:
    """Writes a test set.

    The record of a clip is written last; a clip without a record is removed
    and made again. `finish` writes the manifest, without which `VideoFolder`
    refuses the folder.

    Args:
        root: folder of the set, a new one or an unfinished one.
        options: options of the preparation.

    Attributes:
        done: the clips that are on the disk, by name.

    Raises:
        ValueError: the folder holds something else, or clips that were
            prepared with other options.
    """

    def __init__(self, root: Path, options: PrepareOptions) -> None:
        self.root, self.options = root, options
        self.records = root / RECORDS
        begun = self.records.is_dir()
        if not begun and root.exists() and any(root.iterdir()):
            raise ValueError(
                f'{root} holds other files: name a new folder, or remove it'
            )
        self.records.mkdir(parents=True, exist_ok=True)
        # of a killed run; only one process may write a set
        remove_temporary(self.records)
        remove_temporary(root)
        self.done: dict[str, ClipEntry] = {}
        self._degraded: set[str] = set()
        self._read_records()

    def prepare(self, name: str, sources: Mapping[str, Path]) -> PreparedClip:
        """Prepare one clip unless it is done.

        Args:
            name: of the clip.
            sources: paths of its 'gt', its 'lq' or both, and of its 'text' if
                there is one. Without 'lq' the input is made.

        Raises:
            ValueError: a source cannot be read or does not match the options.
        """
        done = self.done.get(name)
        if done is not None and not _is_damaged(self.root, done):
            return PreparedClip(name, done, None)
        record = self.records / f'{name}.json'
        for path in (self.root / MANIFEST, record):
            path.unlink(missing_ok=True)
        begin = time.monotonic()
        for key in (*KEYS, 'text'):
            remove_clip(self.root / key, name)
        entry, degradation = self._make(name, sources)
        data = {'options': self._key(), 'clip': entry_to_json(entry)}
        write_json(record, {**data, 'degradation': degradation})
        self._note(name, entry, degradation)
        return PreparedClip(name, entry, time.monotonic() - begin)

    def finish(self, name: str, source: str) -> Manifest:
        """Write the manifest of all clips that are on the disk.

        Args:
            name: of the set.
            source: what it was made from.
        """
        degradation = self.options.degradation() if self._degraded else None
        manifest = Manifest(name, source, degradation, self.done)
        write_manifest(self.root / MANIFEST, manifest)
        return manifest

    def _read_records(self) -> None:
        for path in sorted(self.records.glob('[!.]*.json')):
            data = json.loads(path.read_text(encoding='utf-8'))
            if data['options'] != self._key():
                raise ValueError(
                    f'{self.root} was begun with other options, '
                    f'{_change(data["options"], self._key())}: name another '
                    'folder, or remove it'
                )
            entry = entry_from_json(path.stem, data['clip'])
            self._note(path.stem, entry, data['degradation'])

    def _note(self, name: str, entry: ClipEntry, record: dict | None) -> None:
        self.done[name] = entry
        if record is not None:
            self._degraded.add(name)

    def _key(self) -> dict:
        """Return the settings that all clips share, in JSON's types."""
        key = {**asdict(self.options), 'version': VERSION}
        return json.loads(json.dumps(key))

    def _make(
        self, name: str, sources: Mapping[str, Path]
    ) -> tuple[ClipEntry, dict | None]:
        """Write a clip's files; return its entry and its degradation."""
        options, record = self.options, None
        clips, stored, fps = {}, {}, None
        for key in (key for key in KEYS if key in sources):
            ratio = options.scale if key == 'lq' and 'gt' in sources else 1
            source = read_source(sources[key], options, ratio)
            clips[key], fps = source.clip, fps or source.fps
            stored[key] = self._keep(f'{key}/{name}', source.clip, source.file)
        if 'lq' not in sources:
            clips['lq'], record = degrade_clip(name, clips['gt'], options)
            stored['lq'] = self._write(f'lq/{name}', clips['lq'])
        check_pair(clips.get('gt'), clips['lq'], options.scale)
        if 'text' in sources:
            (self.root / 'text').mkdir(exist_ok=True)
            shutil.copy(sources['text'], self.root / 'text' / f'{name}.txt')
        return ClipEntry(len(clips['lq']), fps, **stored), record

    def _keep(
        self, path: str, clip: np.ndarray, file: Path | None
    ) -> StoredClip:
        """Copy or link a source's files, or write its frames.

        Frames are also written if their number and size cannot be read from
        the files without decoding.

        Args:
            path: of the result, relative to the set's folder.
            clip: its frames.
            file: video or folder with just these frames, or None.
        """
        if file is not None:
            path_there, files = take_files(
                file, self.root / path, self.options.link
            )
            relative = path_there.relative_to(self.root).as_posix()
            stored = StoredClip(relative, _size(clip), _hash(clip), files)
            if not any(clip_differences(self.root, len(clip), stored)):
                return stored
            remove_clip(path_there.parent, Path(path).name)
        return self._write(path, clip)

    def _write(self, path: str, clip: np.ndarray) -> StoredClip:
        """Write frames without loss, and read them again to check."""
        ffv1 = self.options.ffv1
        suffix, files = ('.mkv', None) if ffv1 else ('', f'{_NUMBER}.png')
        target = self.root / f'{path}{suffix}'
        target.parent.mkdir(exist_ok=True)
        write_lossless(target, clip, ffv1)
        if hash_frames(target) != _hash(clip):
            raise ValueError(f'{target}: the written pixels differ')
        return StoredClip(f'{path}{suffix}', _size(clip), _hash(clip), files)


def take_files(
    source: Path, target: Path, link: bool
) -> tuple[Path, str | None]:
    """Copy or link a clip's files.

    Args:
        source: video, image or folder of images.
        target: path of the result without a suffix.
        link: make symbolic links.

    Returns:
        The path of the result, and the pattern of a folder's frames.
    """
    target.parent.mkdir(exist_ok=True)
    if not source.is_dir():
        target = target.with_name(target.name + source.suffix)
        _take_file(source, target, link)
        return target, None
    images = list_images(source)
    suffix = images[0].suffix
    with atomic_folder(target) as temporary:
        for i, image in enumerate(images):
            # a second suffix counts as a difference
            name = _NUMBER % i + image.suffix
            _take_file(image, temporary / name, link)
    return target, _NUMBER + suffix


def _take_file(source: Path, target: Path, link: bool) -> None:
    if link:
        target.symlink_to(source.resolve())
    else:
        shutil.copyfile(source, target)


def remove_clip(folder: Path, name: str) -> None:
    """Remove a clip from a folder of clips, with its temporary files."""
    if not folder.is_dir():
        return
    remove_temporary(folder, glob.escape(name))
    for path in folder.iterdir():
        if path.is_dir() and not path.is_symlink():
            if path.name == name:
                shutil.rmtree(path)
        elif path.stem == name:
            path.unlink()


def _is_damaged(root: Path, entry: ClipEntry) -> bool:
    return any(
        True
        for _, clip in entry.stored()
        for _ in clip_differences(root, entry.frames, clip)
    )


def _change(old: dict, new: dict) -> str:
    changed = [k for k in sorted(old | new) if old.get(k) != new.get(k)]
    return ', '.join(f'{k} {old.get(k)} not {new.get(k)}' for k in changed)


def _size(clip: np.ndarray) -> tuple[int, int]:
    return clip.shape[1], clip.shape[2]


def _hash(clip: np.ndarray) -> str:
    return hashlib.sha256(np.ascontiguousarray(clip).data).hexdigest()
