"""The plain degradation: shrink, then sometimes light blur, noise, JPEG."""

import cv2
import numpy as np
from mmcv.transforms import BaseTransform
from numpy.random import Generator

from star.datasets.draws import check_probability
from star.registry import TRANSFORMS

_REDUCTIONS = ('area', 'bicubic', 'lanczos')


def reduce_clip(clip: np.ndarray, scale: int, method: str) -> np.ndarray:
    """Shrink a clip by an integer factor with an anti-aliased filter.

    Args:
        clip: (T, H, W, C) uint8, H and W divisible by `scale`.
        scale: factor, >= 1.
        method: 'area', 'bicubic' or 'lanczos'.

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
    shape = (width // scale, height // scale)
    if method == 'area':
        area = cv2.INTER_AREA
        frames = [cv2.resize(f, shape, interpolation=area) for f in clip]
        return np.stack(frames)
    return np.stack([_pil_reduce(frame, shape, method) for frame in clip])


def _pil_reduce(
    frame: np.ndarray, shape: tuple[int, int], method: str
) -> np.ndarray:
    """Resize as Pillow does: its kernels widen with the factor."""
    from PIL import Image

    kernel = getattr(Image.Resampling, method.upper())
    return np.asarray(Image.fromarray(frame).resize(shape, kernel))


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
        check_probability('probability', probability)
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
class PlainDegradation(BaseTransform):
    """Makes `lq` from `gt`: shrink, then sometimes light blur, noise, JPEG.

    Args:
        scale: factor between `gt` and `lq`.
        plain: probability of shrinking only.
        blur: largest standard deviation of the blur, in pixels of `gt`.
        noise: largest standard deviation of the noise, in [0, 255].
        quality: lowest JPEG quality, [1, 95]; the highest is 95.

    Raises:
        ValueError: `quality` is out of range.
    """

    def __init__(
        self,
        scale: int = 4,
        plain: float = 1.0,
        blur: float = 2.0,
        noise: float = 6.0,
        quality: int = 50,
    ) -> None:
        if not 1 <= quality <= 95:
            raise ValueError(f'`quality` must lie in [1, 95], got {quality}')
        self.scale = scale
        self.plain = plain
        self.blur = blur
        self.noise = noise
        self.quality = quality

    def transform(self, results: dict) -> dict:
        """Add `lq` (T, h, w, C) uint8."""
        rng, clip = results['rng'], results['gt']
        method = _REDUCTIONS[rng.integers(len(_REDUCTIONS))]
        light = rng.random() >= self.plain
        if light and self.blur > 0:
            sigma = rng.uniform(0.1, self.blur)
            clip = np.stack([cv2.GaussianBlur(f, (0, 0), sigma) for f in clip])
        clip = reduce_clip(clip, self.scale, method)
        results['lq'] = self._soil(clip, rng) if light else clip
        return results

    def _soil(self, clip: np.ndarray, rng: Generator) -> np.ndarray:
        """Add Gaussian noise and JPEG artefacts at one level per clip."""
        level = rng.uniform(0, self.noise)
        noise = rng.normal(0, 1, clip.shape) * level
        clip = np.clip(clip + noise, 0, 255).round().astype(np.uint8)
        quality = int(rng.integers(self.quality, 96))
        setting = [cv2.IMWRITE_JPEG_QUALITY, quality]
        frames = []
        for frame in clip:
            _, code = cv2.imencode('.jpg', frame[..., ::-1], setting)
            decoded = cv2.imdecode(code, cv2.IMREAD_COLOR)
            assert decoded is not None
            frames.append(decoded[..., ::-1])
        return np.stack(frames)
