"""Crops and flips of the ground truth, the same for every frame."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform

from star.registry import TRANSFORMS


@TRANSFORMS.register_module()
class RandomCropClip(BaseTransform):
    """Crops a random rectangle from `gt`, sometimes of a clip shrunk by two.

    Args:
        height: of the crop, pixels.
        width: of the crop, pixels.
        shrink: probability of halving the resolution first (area average);
            skipped where the clip would become smaller than the crop.
    """

    def __init__(self, height: int, width: int, shrink: float = 0.0) -> None:
        self.height = height
        self.width = width
        self.shrink = shrink

    def transform(self, results: dict) -> dict:
        """Replace `gt` (T, H, W, C) by its crop (T, height, width, C).

        Raises:
            ValueError: the clip is smaller than the crop.
        """
        rng, clip = results['rng'], results['gt']
        rows, columns = clip.shape[1:3]
        factor = 1 + int(rng.random() < self.shrink)
        if rows < factor * self.height or columns < factor * self.width:
            factor = 1
        height, width = factor * self.height, factor * self.width
        if rows < height or columns < width:
            raise ValueError(
                f'the crop is {width}x{height}, but {results["name"]} has '
                f'frames of {columns}x{rows}'
            )
        top = rng.integers(rows - height + 1)
        left = rng.integers(columns - width + 1)
        crop = clip[:, top : top + height, left : left + width]
        if factor > 1:
            crop = _halve(crop)
        results['gt'] = np.ascontiguousarray(crop)
        return results


def _halve(clip: np.ndarray) -> np.ndarray:
    """Average 2x2 pixels of a clip (T, H, W, C)."""
    height, width = clip.shape[1:3]
    shape = (width // 2, height // 2)
    frames = [cv2.resize(f, shape, interpolation=cv2.INTER_AREA) for f in clip]
    return np.stack(frames)


@TRANSFORMS.register_module()
class RandomFlipClip(BaseTransform):
    """Flips `gt` left-right, transposes it, reverses time: each at random.

    Comes before the crop: it makes views, which cost nothing.
    """

    def transform(self, results: dict) -> dict:
        """Replace `gt` (T, H, W, C) by a flipped view."""
        rng, clip = results['rng'], results['gt']
        if rng.random() < 0.5:
            clip = clip[:, :, ::-1]
        if rng.random() < 0.5:
            clip = clip.transpose(0, 2, 1, 3)
        if rng.random() < 0.5:
            clip = clip[::-1]
        results['gt'] = clip
        return results
