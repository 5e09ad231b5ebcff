"""`RealESRGANVideoDegradation`: degrades all frames of a clip alike."""

from collections.abc import Iterable

import numpy as np
import torch
from mmcv.transforms import BaseTransform
from torch import Tensor

from star.datasets.transforms import degradation_ops as ops
from star.datasets.transforms.blur_kernels import blur_kernel, sinc_kernel
from star.datasets.transforms.degradation_codec import code_clip
from star.datasets.transforms.degradation_jpeg import diff_jpeg, libjpeg
from star.datasets.transforms.degradation_plan import (
    TEMPORAL,
    Blur,
    Codec,
    Jpeg,
    Noise,
    Resize,
    Step,
    at,
    draw_plan,
    step_from_record,
    step_to_record,
)
from star.datasets.transforms.degradation_presets import PRESETS
from star.registry import TRANSFORMS
from star.utils.checks import check_least

VERSION = 1
_MAX_PIXELS = 2**20  # that small frames are processed with at once


@TRANSFORMS.register_module()
class RealESRGANVideoDegradation(BaseTransform):
    """Makes `lq` from `gt`: two rounds of blur, resize, noise, JPEG, codec.

    This is Real-ESRGAN's second-order degradation with video compression.
    All discrete choices are drawn once per clip.

    Args:
        preset: 'star', 'realesrgan' (no codec), 'realbasicvsr' or 'light'.
        scale: factor between `gt` and `lq`.
        temporal: 'constant' for one level per clip; 'walk' for levels that
            change slowly from frame to frame; 'independent' for a new draw of
            everything in each frame, which flickers as STAR's own code does;
            None for the preset's.
        usm: sharpen `gt` by unsharp masking first, as Real-ESRGAN and STAR's
            code do. Scores against a sharpened ground truth can only be
            compared with one another.
        device: device that computes.

    Raises:
        ValueError: `preset` or `temporal` is unknown, or `scale` is below 1.
    """

    def __init__(
        self,
        preset: str = 'star',
        scale: int = 4,
        temporal: str | None = None,
        usm: bool = False,
        device: str = 'cpu',
    ) -> None:
        if preset not in PRESETS:
            raise ValueError(
                f'`preset` must be in {tuple(PRESETS)}, got {preset}'
            )
        if temporal not in (None, *TEMPORAL):
            raise ValueError(
                f'`temporal` must be in {TEMPORAL}, got {temporal}'
            )
        check_least('scale', scale, 1)
        self.preset = preset
        self.scale = scale
        self.temporal = temporal or PRESETS[preset].temporal
        self.usm = usm
        self.device = device

    def transform(self, results: dict) -> dict:
        """Add `lq` (T, h, w, 3) uint8 and `record`; replace `gt` if `usm`."""
        record = self.draw(results['gt'].shape, results['rng'])
        if self.usm:
            results['gt'] = sharpen_clip(results['gt'], self.device)
        results['lq'] = replay(results['gt'], record, self.device)
        results['record'] = record
        return results

    def draw(self, shape: tuple[int, ...], rng: np.random.Generator) -> dict:
        """Draw a record: all steps and their parameters, in JSON's terms.

        Args:
            shape: of the ground truth, (T, H, W, 3).
            rng: generator of all random numbers.

        Raises:
            ValueError: the shape is not that of an RGB clip, or `scale` does
                not divide its sides.
        """
        if len(shape) != 4 or shape[-1] != 3 or not all(shape):
            raise ValueError(f'`gt` must be (T, H, W, 3), got {shape}')
        length, height, width = shape[:3]
        if height % self.scale or width % self.scale:
            raise ValueError(
                f'`scale` {self.scale} must divide the frame size '
                f'{width}x{height}'
            )
        each = self.temporal == 'independent'
        count, frames = (length, 1) if each else (1, length)
        plans = [
            draw_plan(
                PRESETS[self.preset],
                (height, width),
                frames,
                self.scale,
                rng,
                self.temporal == 'walk',
            )
            for _ in range(count)
        ]
        return {
            'version': VERSION,
            'preset': self.preset,
            'scale': self.scale,
            'temporal': self.temporal,
            'usm': self.usm,
            'shape': [length, height, width],
            'plans': [[step_to_record(s) for s in p] for p in plans],
        }


def replay(clip: np.ndarray, record: dict, device: str = 'cpu') -> np.ndarray:
    """Degrade a clip as recorded.

    Args:
        clip: ground truth of the sample, sharpened if `usm`, (T, H, W, 3)
            uint8 RGB.
        record: record of `RealESRGANVideoDegradation`, or its copy by JSON.
        device: device that computes; another one may round differently.

    Returns:
        (T, h, w, 3) uint8 RGB.

    Raises:
        ValueError: the record has another version or clip size.
    """
    if record.get('version') != VERSION:
        raise ValueError(
            f'`record` must be of version {VERSION}, got '
            f'{record.get("version")}'
        )
    if list(clip.shape) != [*record['shape'], 3] or clip.dtype != np.uint8:
        raise ValueError(
            f'`clip` must be uint8 of shape {[*record["shape"], 3]} as '
            f'recorded, got {clip.dtype} {list(clip.shape)}'
        )
    plans = [[step_from_record(s) for s in p] for p in record['plans']]
    pieces = zip(np.split(clip, len(plans)), plans, strict=True)
    return np.concatenate([degrade(p, plan, device) for p, plan in pieces])


def degrade(
    clip: np.ndarray, steps: Iterable[Step], device: str = 'cpu'
) -> np.ndarray:
    """Apply steps to a clip, (T, H, W, 3) uint8 to (T, h, w, 3) uint8.

    An encoder takes the whole clip in 8 bit. Between two of them, a few
    frames at a time pass through all steps, which bounds memory.
    """
    pending: list[Step] = []
    for step in steps:
        if isinstance(step, Codec):
            clip = _apply_to_frames(clip, pending, device)
            clip = code_clip(clip, step.codec, step.bits_per_pixel)
            pending = []
        else:
            pending.append(step)
    return _apply_to_frames(clip, pending, device)


def sharpen_clip(clip: np.ndarray, device: str = 'cpu') -> np.ndarray:
    """Sharpen a ground truth as Real-ESRGAN does, (T, H, W, 3) uint8."""
    out = [
        _to_pixels(ops.sharpen(_to_tensor(clip[i : i + 1], device)))
        for i in range(len(clip))
    ]
    return np.concatenate(out)


def _apply_to_frames(
    clip: np.ndarray, steps: list[Step], device: str
) -> np.ndarray:
    """Apply steps that work frame by frame."""
    if not steps:
        return clip
    pixels = clip.shape[1] * clip.shape[2]
    length = max(1, _MAX_PIXELS // pixels)
    out = []
    for start in range(0, len(clip), length):
        piece = _to_tensor(clip[start : start + length], device)
        frames = range(start, start + len(piece))
        for step in steps:
            piece = apply_step(piece, step, frames)
        out.append(_to_pixels(piece))
    return np.concatenate(out)


def apply_step(clip: Tensor, step: Step, frames: range) -> Tensor:
    """Apply a step to consecutive frames.

    Args:
        clip: the frames, (T, 3, H, W) float32 in [0, 1].
        step: any step but an encoder.
        frames: their numbers in the whole clip.
    """
    match step:
        case Blur():
            return ops.filter2d(clip, _kernels(step, frames))
        case Resize():
            return _resize(clip, step, frames)
        case Noise():
            return _add_noise(clip, step, frames)
        case Jpeg():
            return _compress(clip, step, frames)
    raise ValueError(f'`step` must work on single frames, got {step}')


def _kernels(step: Blur, frames: range) -> np.ndarray:
    """Make the kernel of each frame, or one if all share it."""
    levels = step.cutoff or step.sigma_x
    numbers = frames if len(levels) > 1 else frames[:1]
    return np.stack([_kernel(step, i) for i in numbers])


def _kernel(step: Blur, i: int) -> np.ndarray:
    if step.kind == 'sinc':
        return sinc_kernel(step.size, at(step.cutoff, i))
    sigma = at(step.sigma_x, i), at(step.sigma_y or step.sigma_x, i)
    theta, beta = at(step.theta or (0.0,), i), at(step.beta or (1.0,), i)
    return blur_kernel(step.kind, step.size, sigma, theta, beta)


def _resize(clip: Tensor, step: Resize, frames: range) -> Tensor:
    size = step.height, step.width
    if len(step.factor) == 1:
        return ops.resize(clip, size, step.mode)
    out = []
    for frame, i in zip(clip.split(1), frames, strict=True):
        factor = at(step.factor, i)
        own = round(size[0] * factor), round(size[1] * factor)
        frame = ops.resize(frame, own, step.mode)
        if own != size:
            frame = ops.resize(frame, size, 'bicubic')
        out.append(frame)
    return torch.cat(out)


def _add_noise(clip: Tensor, step: Noise, frames: range) -> Tensor:
    kinds = {'gaussian': ops.gaussian_noise, 'poisson': ops.poisson_noise}
    add = kinds[step.kind]
    out = [
        add(
            frame,
            at(step.level, i),
            step.gray,
            np.random.default_rng((step.seed, i)),
        )
        for frame, i in zip(clip, frames, strict=True)
    ]
    return torch.stack(out)


def _compress(clip: Tensor, step: Jpeg, frames: range) -> Tensor:
    quality = np.array([at(step.quality, i) for i in frames])
    if step.engine == 'libjpeg':
        return libjpeg(clip, quality)
    return diff_jpeg(clip, torch.from_numpy(quality).to(clip))


def _to_tensor(clip: np.ndarray, device: str) -> Tensor:
    """Turn (T, H, W, C) uint8 into (T, C, H, W) float32 in [0, 1]."""
    frames = torch.from_numpy(np.ascontiguousarray(clip)).to(device)
    return frames.permute(0, 3, 1, 2).float().div_(255).contiguous()


def _to_pixels(clip: Tensor) -> np.ndarray:
    """Turn (T, C, H, W) in [0, 1] into (T, H, W, C) uint8, rounded."""
    codes = clip.clamp(0, 1).mul_(255).round_().to(torch.uint8)
    return codes.permute(0, 2, 3, 1).contiguous().cpu().numpy()
