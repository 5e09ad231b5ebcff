"""OpenVid-1M: captioned videos for training."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path, PurePosixPath

import numpy as np
from mmengine.logging import print_log
from torch.utils.data import Dataset

from star.datasets.indexed_video import (
    IndexedVideo,
    clip_indices,
    frames_covered,
)
from star.datasets.openvid_table import (
    Entry,
    describe,
    find_files,
    make_filter,
    read_entries,
    select,
)
from star.datasets.sampling import RandomItems
from star.datasets.transforms import compose
from star.registry import DATASETS
from star.utils.checks import check_share
from star.video.info import VideoError

TOOL = 'star prepare openvid'
_MOST_TRIES = 1000  # replacements of one item


@DATASETS.register_module()
class OpenVid(Dataset):
    """Reads random clips of the videos that a table with captions lists.

    `RandomItems` chooses the video and the clip of an item. A video that
    cannot be read, or has fewer frames than the table says, is broken: it is
    logged, counted and replaced by another one, which the generator of the
    item chooses. Where the table has no sizes, a video that is too small is
    logged and replaced too, but not counted as broken. Every worker on every
    rank counts for itself.

    Args:
        annotation: OpenVid-1M's CSV, or the one that
            `star prepare openvid` made of it.
        data_root: folder of the videos; they may lie in folders below it.
        num_frames: frames of one item.
        pipeline: transforms applied to `dict(gt, prompt, name, dataset, fps,
            rng)`, gt (T, H, W, C) uint8.
        interval: step from one frame of an item to the next.
        split: 'train', or 'test' for the held-out sources (`split_of`).
        filters: arguments of `ClipFilter`; clips shorter than an item are
            always left out.
        drop_caption: probability of an empty prompt.
        max_broken: training stops at more broken videos in one process.
        seed: of the items.

    Raises:
        ValueError: an argument is out of range, the table cannot be read or
            lacks columns, or none of its clips is left.
    """

    metainfo = None

    def __init__(
        self,
        annotation: str,
        data_root: str,
        num_frames: int,
        pipeline: list[dict],
        interval: int = 1,
        split: str = 'train',
        filters: dict | None = None,
        drop_caption: float = 0.0,
        max_broken: int = 100,
        seed: int = 0,
    ) -> None:
        check_share('drop_caption', drop_caption)
        if max_broken < 0:
            raise ValueError(f'`max_broken` must be >= 0, got {max_broken}')
        self.num_frames, self.interval = num_frames, interval
        self.root = Path(data_root)
        self.rules = make_filter(filters or {})
        entries = self._select(annotation, split)
        self.names = PackedTexts([entry.video for entry in entries])
        self.captions = PackedTexts([entry.caption for entry in entries])
        self.drop_caption = drop_caption
        self.max_broken = max_broken
        self.pipeline = compose(pipeline)
        self.items = RandomItems(len(entries), seed)
        self.broken: dict[int, str] = {}
        self.too_small: set[int] = set()

    def __len__(self) -> int:
        return len(self.names)

    def __getitem__(self, number: int) -> dict:
        rng, which = self.items.rng(number), self.items.clip(number)
        # drawn before reading, so that a replacement does not change them
        position, drops = rng.random(), rng.random() < self.drop_caption
        for _ in range(_MOST_TRIES):
            results = self._read(which, position)
            if results is not None:
                results['rng'] = rng
                results['prompt'] = '' if drops else self.captions[which]
                return self.pipeline(results)
            which = int(rng.integers(len(self)))
        raise ValueError(
            f'{_MOST_TRIES} videos of {self.root} in a row are smaller than '
            f'{self.rules.min_width}x{self.rules.min_height} or broken; '
            f'{TOOL} finds those that fit'
        )

    def _select(self, annotation: str, split: str) -> list[Entry]:
        needed = frames_covered(self.num_frames, self.interval)
        frames = max(self.rules.min_frames, needed)
        chosen, removed = select(
            read_entries(annotation),
            replace(self.rules, min_frames=frames),
            split,
            find_files(self.root),
        )
        total = len(chosen) + removed.total()
        if not chosen:
            raise ValueError(
                f'{annotation}: none of its {total:,} clips is left for '
                f'training: {describe(removed)}; change `filters`, '
                '`num_frames` or `data_root`'
            )
        print_log(
            f'OpenVid: {len(chosen):,} of {total:,} clips, split {split!r} '
            f'({describe(removed)})',
            'current',
        )
        self._warn_of_sizes(chosen)
        return chosen

    def _warn_of_sizes(self, entries: Sequence[Entry]) -> None:
        wants = self.rules.min_width or self.rules.min_height
        if wants and any(entry.width is None for entry in entries):
            print_log(
                f'the table has no sizes: videos smaller than '
                f'{self.rules.min_width}x{self.rules.min_height} are found '
                f'only when they are read; {TOOL} finds them in advance',
                'current',
                logging.WARNING,
            )

    def _read(self, which: int, position: float) -> dict | None:
        """Read a clip; return None if the video is broken or too small."""
        if which in self.broken or which in self.too_small:
            return None
        path = self.root / self.names[which]
        try:
            video = IndexedVideo(path)
            if not self.rules.fits(video.info.width, video.info.height):
                self._note_small(which, video)
                return None
            indices = clip_indices(
                video.num_frames, self.num_frames, self.interval, position
            )
            frames = video.read(indices)
        except (VideoError, OSError) as error:
            self._note_broken(which, str(error))
            return None
        except ValueError as error:
            self._note_broken(which, f'{path}: {error}')
            return None
        fps = video.info.fps
        return {
            'gt': frames,
            'name': f'{PurePosixPath(self.names[which]).stem}@{indices[0]}',
            'dataset': 'openvid',
            'fps': None if fps is None else float(fps) / self.interval,
        }

    def _note_small(self, which: int, video: IndexedVideo) -> None:
        self.too_small.add(which)
        print_log(
            f'{video.path}: replaced, its frames of '
            f'{video.info.width}x{video.info.height} are too small',
            'current',
        )

    def _note_broken(self, which: int, reason: str) -> None:
        self.broken[which] = reason
        count = len(self.broken)
        print_log(
            f'broken video {count}, replaced: {reason}',
            'current',
            logging.WARNING,
        )
        if count > self.max_broken:
            first = next(iter(self.broken.values()))
            raise ValueError(
                f'one loading process could not read {count} videos, '
                f'`max_broken` is {self.max_broken}; the first: {first}; '
                f'{TOOL} finds all of them'
            )


class PackedTexts:
    """A list of strings in one block of memory.

    Workers share the block. A million separate strings would be copied into
    each worker, because reading one changes its reference count.

    Args:
        texts: the strings.
    """

    def __init__(self, texts: Sequence[str]) -> None:
        encoded = [text.encode() for text in texts]
        self.data = b''.join(encoded)
        self.ends = np.cumsum([len(text) for text in encoded])

    def __len__(self) -> int:
        return len(self.ends)

    def __getitem__(self, index: int) -> str:
        start = self.ends[index - 1] if index else 0
        return self.data[start : self.ends[index]].decode()
