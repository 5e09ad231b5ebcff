"""`VideoFolder`: a test set of videos, with or without ground truth."""

from itertools import islice
from pathlib import Path
from typing import ClassVar

import numpy as np
from torch.utils.data import Dataset

from star.datasets.pairing import (
    check_frames,
    check_paired,
    list_clips,
    read_caption,
)
from star.datasets.test_set import (
    MANIFEST,
    RECORDS,
    TOOL,
    Manifest,
    check_test_set,
    read_manifest,
)
from star.datasets.transforms import compose
from star.registry import DATASETS
from star.utils.files import sha256_of
from star.video.io import VideoError, VideoReader, probe


@DATASETS.register_module()
class VideoFolder(Dataset):
    """Reads whole clips of a test set, in order of their names.

    `lq/` holds the inputs, `gt/` the ground truth and `text/` prompts
    NAME.txt, paired by name; `lq/` or `gt/` must exist. A clip is a video, a
    folder of frames, or one image. Frames in folders are paired by name too,
    and numbered ones must count by one. Without `lq/` the pipeline makes the
    inputs, always the same: its `rng` depends on `seed` and the index of the
    clip.

    A manifest, which `star prepare test-sets` writes,
    is compared with the files at construction: names, counts and sizes.

    Args:
        data_root: folder that holds `lq/` or `gt/`.
        name: of the set, in each sample; None takes the manifest's or the
            folder's.
        num_frames: number of frames to read, from the first; None for all.
        pipeline: transforms applied to `dict(gt, lq, prompt, name, dataset,
            fps, files, rng)`, clips (T, H, W, C) uint8, without `gt` or `lq`
            if it does not exist.
        seed: of a degradation in the pipeline.
        manifest: name of the manifest in `data_root`, which must exist; None
            for set.json, which may be missing.
        scale: size of `gt/` over that of `lq/`, and of a method's output
            over its input; None takes it from the files.

    Attributes:
        scale: as given, or that of the first clip; None without `lq/` or
            `gt/`, for the method's own.
        has_gt: whether there is ground truth.
        manifest: contents of the manifest, or None.
        manifest_sha256: SHA-256 of the file, or None.

    Raises:
        ValueError: the folder or both `lq/` and `gt/` are missing, one of
            them is empty, clips or frames are not paired, a frame is missing,
            or the files differ from the manifest; on reading, a clip cannot
            be decoded, or its size is not `scale` times its input's.
    """

    metainfo: ClassVar[dict] = {}  # mmengine's ConcatDataset reads it

    def __init__(
        self,
        data_root: str,
        name: str | None = None,
        num_frames: int | None = None,
        pipeline: list[dict] | None = None,
        seed: int = 0,
        manifest: str | None = None,
        scale: float | None = None,
    ) -> None:
        if num_frames is not None and num_frames < 1:
            raise ValueError(f'`num_frames` must be >= 1, got {num_frames}')
        if scale is not None and scale <= 0:
            raise ValueError(f'`scale` must be positive, got {scale}')
        self.root = Path(data_root)
        self.num_frames, self.seed = num_frames, seed
        self.manifest, self.manifest_sha256 = find_manifest(
            self.root, manifest
        )
        own = self.manifest.name if self.manifest else self.root.name
        self.name = own if name is None else name
        self.folders = find_folders(self.root, num_frames)
        self.names = list(self.folders.get('lq') or self.folders['gt'])
        self.has_gt = 'gt' in self.folders
        self._stated, self.scale = scale, scale or self._find_scale()
        self.pipeline = compose(
            [{'type': 'PackVideoInputs'}] if pipeline is None else pipeline
        )

    def __len__(self) -> int:
        return len(self.names)

    def full_init(self) -> None:
        """Do nothing; mmengine's ConcatDataset calls it."""

    def __getitem__(self, index: int) -> dict:
        name = self.names[index]
        results: dict = {
            'prompt': '',
            'name': name,
            'dataset': self.name,
            'files': {},
            'rng': np.random.default_rng((self.seed, index)),
        }
        if 'text' in self.folders:
            results['prompt'] = read_caption(self.folders['text'][name])
        for key in ('gt', 'lq'):
            if key in self.folders:
                path = self.folders[key][name]
                results[key], results['fps'] = read_clip(path, self.num_frames)
                results['files'][key] = str(path)
        if self.manifest and self.manifest.clips[name].fps is not None:
            results['fps'] = self.manifest.clips[name].fps
        results['scale'] = self._check_sizes(results)
        return self.pipeline(results)

    def _check_sizes(self, results: dict) -> float | None:
        """Return a clip's scale; without ground truth the given one."""
        if 'gt' not in results or 'lq' not in results:
            return self._stated
        (frames, rows, columns), lq = (
            results[key].shape[:3] for key in ('gt', 'lq')
        )
        scale = self._stated or rows // lq[1]
        if (frames, rows, columns) != (lq[0], lq[1] * scale, lq[2] * scale):
            factor = f'`scale` {scale:g}' if self._stated else 'a whole factor'
            raise ValueError(
                f'{self.root}: {results["name"]} has {frames} frames of '
                f'{columns}x{rows} in gt/, {lq[0]} of {lq[2]}x{lq[1]} in lq/; '
                f'gt/ must have as many frames, larger by {factor}'
            )
        return scale

    def _find_scale(self) -> float | None:
        """Compare the first clip's height in `gt/` with that in `lq/`.

        None where a file cannot be read, which reading the clip reports.
        """
        if not {'gt', 'lq'} <= set(self.folders):
            return None
        paths = [self.folders[key][self.names[0]] for key in ('gt', 'lq')]
        try:
            gt, lq = (probe(path).height for path in paths)
        except VideoError:
            return None
        return gt // lq if gt % lq == 0 else None


def find_manifest(
    root: Path, file: str | None = None
) -> tuple[Manifest | None, str | None]:
    """Read the manifest of a set and compare the set with it.

    Args:
        root: folder of the set.
        file: name of the manifest, which must exist; None for set.json,
            which may be missing.

    Returns:
        The manifest and the SHA-256 of its file; None and None without one.

    Raises:
        ValueError: the folder or the file is missing, the files differ from
            the manifest, or the preparation was not finished.
    """
    if not root.is_dir():
        raise ValueError(
            f'there is no test set {root}; data/README.md describes how to '
            'get it'
        )
    path = root / (file or MANIFEST)
    if not path.exists() and file is None:
        if (root / RECORDS).is_dir():
            raise ValueError(
                f'{root} is not finished: run {TOOL} again with the same '
                'options'
            )
        return None, None
    manifest = read_manifest(path)
    check_test_set(root, manifest)
    return manifest, sha256_of(path)


def find_folders(
    root: Path, num_frames: int | None = None
) -> dict[str, dict[str, Path]]:
    """Find the clips of `lq/` and `gt/` and the prompts of `text/`.

    Args:
        root: folder of the set.
        num_frames: compare only the names of the first frames; None for all.

    Raises:
        ValueError: as for `VideoFolder`.
    """
    there = [key for key in ('lq', 'gt', 'text') if (root / key).is_dir()]
    if not {'lq', 'gt'} & set(there):
        raise ValueError(
            f'`data_root` must hold a folder lq/ or gt/ of clips: {root}'
        )
    folders = {key: list_clips(root / key) for key in there}
    check_paired(root, folders, there[0])
    check_frames(folders, num_frames)
    return folders


def read_clip(
    path: Path, num_frames: int | None = None
) -> tuple[np.ndarray, float | None]:
    """Read a clip from its first frame on.

    Args:
        path: video, image, or folder of images.
        num_frames: largest number of frames; None for all.

    Returns:
        Frames, (T, H, W, 3) uint8 RGB, and frames per second or None.

    Raises:
        VideoError: the clip cannot be read.
    """
    with VideoReader(path, num_frames) as reader:
        frames = [frame.image for frame in islice(reader, num_frames)]
        fps = reader.info.fps
    if not frames:
        raise VideoError(f'{path}: no frames')
    return np.stack(frames), None if fps is None else float(fps)
