"""Random crops, flips and channel orders, the same for all frames and `lq`."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from star.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCropClip(BaseTransform):
    """Crops a random rectangle from `gt`, sometimes at half the resolution.

    An `lq`, smaller by a whole factor or of the same size, is cropped at the
    same place; the crop of `gt` then starts at a multiple of the factor.

    Args:
        height: of the crop, pixels of `gt`.
        width: of the crop, pixels of `gt`.
        shrink: probability of halving the resolution first (area average);
            skipped if the clip would become smaller than the crop.
    """

    def __init__(self, height: int, width: int, shrink: float = 0.0) -> None:
        self.height = height
        self.width = width
        self.shrink = shrink

    def transform(self, results: dict) -> dict:
        """Replace `gt` (T, H, W, C) by its crop (T, height, width, C).

        Raises:
            ValueError: the clip is smaller than the crop, or the crop does
                not match the grid of `lq`.
        """
        rng, clip = results['rng'], results['gt']
        scale = self._scale(results)
        factor = 1 + int(rng.random() < self.shrink)
        rows, columns = clip.shape[1:3]
        if rows < factor * self.height or columns < factor * self.width:
            factor = 1
        height, width = factor * self.height, factor * self.width
        if rows < height or columns < width:
            raise ValueError(
                f'the crop is {width}x{height}, but {results["name"]} has '
                f'frames of {columns}x{rows}'
            )
        top = int(rng.integers((rows - height) // scale + 1))
        left = int(rng.integers((columns - width) // scale + 1))
        box = top, left, height // scale, width // scale
        if 'lq' in results:
            results['lq'] = _crop(results['lq'], *box, factor)
        box = top * scale, left * scale, height, width
        results['gt'] = _crop(clip, *box, factor)
        return results

    def _scale(self, results: dict) -> int:
        """Return the factor between `gt` and `lq`; 1 without `lq`."""
        if 'lq' not in results:
            return 1
        gt, lq = results['gt'].shape[1:3], results['lq'].shape[1:3]
        scale = gt[0] // lq[0]
        if gt != (lq[0] * scale, lq[1] * scale):
            raise ValueError(
                f'`gt` of {results["name"]} is {gt[1]}x{gt[0]}, which must be '
                f'a multiple of its `lq`, {lq[1]}x{lq[0]}'
            )
        if self.height % scale or self.width % scale:
            raise ValueError(
                f'the crop {self.width}x{self.height} must be a multiple of '
                f'{scale}, the factor between `gt` and `lq`'
            )
        return scale


def _crop(
    clip: np.ndarray,
    top: int,
    left: int,
    height: int,
    width: int,
    factor: int,
) -> np.ndarray:
    """Cut a rectangle out of a clip (T, H, W, C); halve it if factor > 1."""
    crop = clip[:, top : top + height, left : left + width]
    if factor > 1:
        crop = _halve(crop)
    return np.ascontiguousarray(crop)


def _halve(clip: np.ndarray) -> np.ndarray:
    """Average 2x2 pixels of a clip (T, H, W, C)."""
    height, width = clip.shape[1:3]
    shape = (width // 2, height // 2)
    frames = [cv2.resize(f, shape, interpolation=cv2.INTER_AREA) for f in clip]
    return np.stack(frames)


@TRANSFORMS.register_module()
class RandomFlipClip(BaseTransform):
    """Flips clips left to right, transposes them and reverses time at random.

    Put it before the crop: it makes views, which cost nothing.

    Args:
        transpose: allow rows to become columns; not if all clips must keep
            their width and height.
        reverse: allow time to run backwards.
    """

    def __init__(self, transpose: bool = True, reverse: bool = True) -> None:
        self.transpose = transpose
        self.reverse = reverse

    def transform(self, results: dict) -> dict:
        """Replace `gt` and `lq`, (T, H, W, C), by flipped views."""
        rng = results['rng']
        mirrored = rng.random() < 0.5
        transposed = rng.random() < 0.5 and self.transpose
        reversed_ = rng.random() < 0.5 and self.reverse
        for key in results.keys() & {'gt', 'lq'}:
            clip = results[key]
            clip = clip[:, :, ::-1] if mirrored else clip
            clip = clip.transpose(0, 2, 1, 3) if transposed else clip
            results[key] = clip[::-1] if reversed_ else clip
        return results
