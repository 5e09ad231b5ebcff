"""Transforms of training clips: shrinking, soft focus, mixed degradations."""

import math

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from PIL import Image

from star.registry import TRANSFORMS
from star.utils.checks import check_share

_REDUCTIONS = ('area', 'bicubic', 'lanczos')


def reduce_clip(clip: np.ndarray, scale: int, method: str) -> np.ndarray:
    """Shrink a clip by an integer factor with an anti-aliased filter.

    Args:
        clip: (T, H, W, C) uint8, H and W divisible by `scale`.
        scale: factor, >= 1.
        method: 'area', 'bicubic' or 'lanczos'; the last two are Pillow's,
            whose kernels widen with the factor.

    Returns:
        (T, H / scale, W / scale, C) uint8.

    Raises:
        ValueError: unknown `method`, or a side that `scale` does not divide.
    """
    height, width = clip.shape[1:3]
    if method not in _REDUCTIONS:
        raise ValueError(f'`method` must be in {_REDUCTIONS}, got {method}')
    if scale < 1 or height % scale or width % scale:
        raise ValueError(
            f'`scale` {scale} must divide the frame size {width}x{height}'
        )
    size = (width // scale, height // scale)
    if method == 'area':
        area = cv2.INTER_AREA
        frames = [cv2.resize(f, size, interpolation=area) for f in clip]
        return np.stack(frames)
    kernel = getattr(Image.Resampling, method.upper())
    images = [Image.fromarray(frame).resize(size, kernel) for frame in clip]
    return np.stack([np.asarray(image) for image in images])


@TRANSFORMS.register_module()
class PlainDegradation(BaseTransform):
    """Makes `lq` from `gt` by shrinking alone, with a random filter.

    Args:
        scale: factor between `gt` and `lq`.
    """

    def __init__(self, scale: int = 4) -> None:
        self.scale = scale

    def transform(self, results: dict) -> dict:
        """Add `lq` (T, h, w, C) uint8."""
        method = _REDUCTIONS[results['rng'].integers(len(_REDUCTIONS))]
        results['lq'] = reduce_clip(results['gt'], self.scale, method)
        return results


def blur_disk(frame: np.ndarray, radius: float) -> np.ndarray:
    """Blur a frame (H, W, C) as a lens does that is out of focus.

    Args:
        frame: uint8.
        radius: of the disk that a point becomes, pixels.
    """
    reach = math.ceil(radius)
    distance = np.hypot(*np.mgrid[-reach : reach + 1, -reach : reach + 1])
    disk = np.clip(radius + 0.5 - distance, 0, 1)
    border = cv2.BORDER_REFLECT_101
    return cv2.filter2D(frame, -1, disk / disk.sum(), borderType=border)


def soft_mask(
    rng: np.random.Generator, height: int, width: int, cells: int = 3
) -> np.ndarray:
    """Draw areas with soft borders, (height, width, 1) in [0, 1]."""
    coarse = rng.normal(size=(cells, cells)).astype(np.float32)
    size = (width, height)
    field = cv2.resize(coarse, size, interpolation=cv2.INTER_CUBIC)
    steep = np.exp(rng.uniform(np.log(2), np.log(20)))
    return 1 / (1 + np.exp(-steep * (field - rng.normal() * 0.3)))[..., None]


@TRANSFORMS.register_module()
class DefocusClip(BaseTransform):
    """Puts some clips, or areas of them, out of focus; degradation follows.

    Videos have soft backgrounds with the noise and the blocks of any other
    area. A model that has seen these on sharp pictures alone takes them for
    texture.

    Args:
        probability: of doing so, [0, 1].
        radius: range of the blur, pixels of `gt`.
        whole: share of blurred clips that are blurred everywhere, [0, 1].
    """

    def __init__(
        self,
        probability: float,
        radius: tuple[float, float] = (2.0, 16.0),
        whole: float = 0.35,
    ) -> None:
        check_share('probability', probability)
        check_share('whole', whole)
        self.probability = probability
        self.radius = radius
        self.whole = whole

    def transform(self, results: dict) -> dict:
        """Replace `gt`, (T, H, W, C) uint8."""
        rng = results['rng']
        if rng.random() >= self.probability:
            return results
        radius = np.exp(rng.uniform(*np.log(self.radius)))
        clip = np.ascontiguousarray(results['gt'])
        soft = np.stack([blur_disk(frame, radius) for frame in clip])
        if rng.random() >= self.whole:
            mask = soft_mask(rng, *clip.shape[1:3])
            mixed = clip + mask * (soft.astype(np.float32) - clip)
            soft = np.round(mixed).astype(np.uint8)
        results['gt'] = soft
        return results


@TRANSFORMS.register_module()
class SoftenPair(BaseTransform):
    """Makes some pairs out of focus: a blurred `gt`, shrunk by area to `lq`.

    Videos have soft backgrounds; a model that has seen sharp ones alone
    lays texture over them.

    Args:
        probability: of doing so, [0, 1].
        sigma: range of the blur's standard deviation, pixels of `gt`.
    """

    def __init__(
        self, probability: float, sigma: tuple[float, float] = (2.0, 6.0)
    ) -> None:
        check_share('probability', probability)
        self.probability = probability
        self.sigma = sigma

    def transform(self, results: dict) -> dict:
        """Replace `gt` and `lq`, (T, H, W, C) and (T, h, w, C) uint8."""
        rng = results['rng']
        if rng.random() >= self.probability:
            return results
        sigma = rng.uniform(*self.sigma)
        scale = results['gt'].shape[1] // results['lq'].shape[1]
        clip = np.ascontiguousarray(results['gt'])
        soft = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in clip])
        results['gt'] = soft
        results['lq'] = reduce_clip(soft, scale, 'area')
        return results


@TRANSFORMS.register_module()
class ShuffleChannels(BaseTransform):
    """Reorders the colour channels of some clips, so that hues are many.

    Args:
        probability: of drawing an order, [0, 1].
    """

    def __init__(self, probability: float) -> None:
        check_share('probability', probability)
        self.probability = probability

    def transform(self, results: dict) -> dict:
        """Reorder `gt`, and `lq` if there, (T, H, W, C)."""
        rng = results['rng']
        if rng.random() < self.probability:
            order = rng.permutation(results['gt'].shape[-1])
            for key in results.keys() & {'gt', 'lq'}:
                results[key] = results[key][..., order]
        return results


@TRANSFORMS.register_module()
class ChooseTransform(BaseTransform):
    """Applies one of several transforms, drawn anew for every clip.

    mmcv's `RandomChoice` draws from numpy's global state, which would make
    an item depend on what was read before it.

    Args:
        transforms: configs of registered transforms.
        probabilities: one for each, of sum 1.

    Raises:
        ValueError: the probabilities do not fit.
    """

    def __init__(
        self, transforms: list[dict], probabilities: list[float]
    ) -> None:
        fits = len(transforms) == len(probabilities)
        if not fits or min(probabilities) < 0 or sum(probabilities) != 1:
            raise ValueError(
                '`probabilities` must be one number >= 0 for each of '
                f'{len(transforms)} transforms, of sum 1, got {probabilities}'
            )
        self.transforms = [TRANSFORMS.build(t) for t in transforms]
        self.probabilities = probabilities

    def transform(self, results: dict) -> dict:
        """Apply one of the transforms."""
        chances = self.probabilities
        which = results['rng'].choice(len(chances), p=chances)
        return self.transforms[which](results)
