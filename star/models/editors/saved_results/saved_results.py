"""Results of any method, read from files to be scored."""

from collections.abc import Collection, Mapping
from itertools import islice
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from star.models.editors.base import Baseline
from star.models.editors.recipe import Recipe
from star.registry import MODELS
from star.utils.files import list_visible
from star.video.frame_names import check_counterparts, check_numbers
from star.video.io import VideoError, VideoReader, list_images, probe


@MODELS.register_module()
class SavedResults(Baseline):
    """Restores the clips of test sets by reading them from a folder.

    `FOLDER/SET/NAME` is a folder of frames, `FOLDER/SET/NAME.SUFFIX` a video
    or one image. Numbered frames must count by one, from any number. Files
    may be lossy, but only lossless ones show the method's own results.

    Args:
        folder: has a folder for each set; None if it is set later.
        scale: output size over input size, for clips without ground truth.
        first_frames: results may have more frames than the input.

    Raises:
        ValueError: there is no such folder.
    """

    def __init__(
        self,
        folder: str | None = None,
        scale: float = 4,
        first_frames: bool = False,
    ) -> None:
        super().__init__(Recipe(scale))
        if folder is not None and not Path(folder).is_dir():
            raise ValueError(f'`folder` of results does not exist: {folder}')
        self.folder, self.first_frames = folder, first_frames

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter; results are not changed."""
        return super().options_used - {'fidelity'}

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Refuse: only clips of test sets can be looked up.

        Raises:
            ValueError: always.
        """
        raise ValueError('SavedResults restores clips of test sets only')

    def read(
        self,
        dataset: str,
        name: str,
        lq: Tensor,
        gt: Tensor | None,
        source: Path | None = None,
    ) -> tuple[Tensor, str]:
        """Read the result of a clip; `star test` calls it.

        Args:
            dataset: name of the data set.
            name: name of the clip.
            lq: low-quality clip, (T, 3, h, w) uint8 RGB.
            gt: ground truth, (T, 3, H, W), or None.
            source: file or folder of `gt` or `lq`; None if it is not known.

        Returns:
            The result, (T, 3, H, W) uint8, and the path of its file.

        Raises:
            ValueError: the result is missing, cannot be read, has another
                size or number of frames than the ground truth, or lacks some
                of the first frames.
        """
        path = self._find(dataset)[name]
        if source is not None:
            _check_first_frames(path, source, len(lq))
        return self._read(path, lq, gt), str(path.resolve())

    def check(self, sets: Mapping[str, Collection[str]]) -> str:
        """Compare the names of results with those of the clips.

        Args:
            sets: names of the clips of each set.

        Returns:
            The kinds of files, such as 'png frames' or 'ffv1 mkv'.

        Raises:
            ValueError: a result or one of its frames is missing, or a result
                is no clip's.
        """
        kinds = set()
        for dataset, names in sets.items():
            found = self._find(dataset)
            missing = sorted(set(names) - found.keys())
            unknown = sorted(found.keys() - set(names))
            if missing or unknown:
                lines = [f'{name} is missing' for name in missing[:3]]
                lines += [f'{name} is no clip of it' for name in unknown[:3]]
                raise ValueError(
                    f'results of {dataset} in {self.folder}: {len(missing)} '
                    f'missing, {len(unknown)} unknown: {", ".join(lines)}'
                )
            for path in found.values():
                kinds.add(_kind(path))
                if path.is_dir() and not self.first_frames:
                    check_numbers(path)
        return ', '.join(sorted(kinds))

    def _find(self, dataset: str) -> dict[str, Path]:
        """List the results of a set by the names of the clips."""
        if self.folder is None:
            raise ValueError('`folder` of SavedResults must be given')
        path = Path(self.folder) / dataset
        if not path.is_dir():
            raise ValueError(f'there are no results of {dataset}: no {path}')
        found: dict[str, Path] = {}
        for file in list_visible(path):
            name = file.name if file.is_dir() else file.stem
            if name in found:
                raise ValueError(f'{path}: two results are named {name!r}')
            found[name] = file
        return found

    def _read(self, path: Path, lq: Tensor, gt: Tensor | None) -> Tensor:
        height, width = (
            round(side * self.recipe.scale) for side in lq.shape[-2:]
        )
        if gt is not None:
            height, width = gt.shape[-2:]
        if path.is_dir():
            check_numbers(path, len(lq))
        with VideoReader(path) as reader:
            info = reader.info
            if (info.height, info.width) != (height, width):
                raise VideoError(
                    f'{path}: must be {width}x{height}, is '
                    f'{info.width}x{info.height}'
                )
            frames = [f.image for f in islice(reader, len(lq) + 1)]
        if len(frames) < len(lq) or (
            len(frames) > len(lq) and not self.first_frames
        ):
            many = 'more' if len(frames) > len(lq) else f'{len(frames)}'
            raise VideoError(f'{path}: must have {len(lq)} frames, has {many}')
        clip = torch.from_numpy(np.stack(frames[: len(lq)]))
        return clip.permute(0, 3, 1, 2).contiguous()


def _check_first_frames(path: Path, source: Path, count: int) -> None:
    """Check that a longer result has the first frames of its source.

    Frames are compared by their names. A result with as many frames as its
    source, or with `count`, may count from another number.
    """
    if not (path.is_dir() and source.is_dir()):
        return
    if len(list_images(path)) not in (count, len(list_images(source))):
        check_counterparts(path, source, count)


def _kind(path: Path) -> str:
    if path.is_dir():
        images = list_images(path)
        if not images:
            raise ValueError(f'{path}: the folder holds no images')
        suffixes = sorted({image.suffix.lower()[1:] for image in images})
        return f'{"/".join(suffixes)} frames'
    return f'{probe(path).codec} {path.suffix.lower()[1:]}'
