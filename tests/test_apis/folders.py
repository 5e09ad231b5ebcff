"""Small test sets as folders of images, and methods for them."""

import time
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from star.evaluation import VideoMetric
from star.models.editors import Baseline, Recipe
from star.registry import METRICS, MODELS


def write_folder(
    root: Path, names: str, frames: int = 2, gt: bool = True
) -> Path:
    """Write clips of 12x8, and ground truth of 48x32 that they come from.

    Contrast falls from clip to clip, so that each scores differently.
    """
    for number, name in enumerate(names):
        rng = np.random.default_rng(number)
        for index in range(frames):
            contrast = 256 - 12 * number
            lq = rng.integers(0, contrast, (8, 12, 3), dtype=np.uint8)
            _write(root / 'lq' / name / f'{index}.png', lq)
            if gt:
                large = np.kron(lq, np.ones((4, 4, 1), np.uint8))
                _write(root / 'gt' / name / f'{index}.png', large)
    return root


def psnr(root: Path, name: str) -> float:
    """Score OpenCV's bicubic enlargement of a clip; ours is 0.3 dB off."""
    found = []
    for path in (root / 'lq' / name).iterdir():
        lq, gt = cv2.imread(str(path)), cv2.imread(str(_sibling(path)))
        pred = cv2.resize(lq.astype('f4'), gt.shape[1::-1], interpolation=2)
        error = np.square(pred.clip(0, 255).round() - gt).mean()
        found.append(10 * np.log10(255**2 / error))
    return float(np.mean(found))


def _sibling(path: Path) -> Path:
    return path.parents[2] / 'gt' / path.parent.name / path.name


def _write(path: Path, image: np.ndarray) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    assert cv2.imwrite(str(path), image)


@METRICS.register_module(force=True)
class Brightness(VideoMetric):
    """Mean of the restored clip; it needs neither gt nor weights."""

    higher_is_better = True
    needs_gt = False

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Average the pixels of each frame."""
        return pred.double().mean((1, 2, 3))


@MODELS.register_module(force=True)
class Repeater(Baseline):
    """Repeats pixels; fails for clips that begin with a dark pixel.

    Args:
        fail_below: value of the first pixel.
        seconds: that a clip takes.
        defect: stop with an error that no clip causes.
    """

    def __init__(
        self,
        fail_below: int = 0,
        seconds: float = 0.0,
        defect: bool = False,
    ) -> None:
        super().__init__(Recipe(window=99))
        self.fail_below, self.seconds = fail_below, seconds
        self.defect = defect

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Enlarge frames."""
        time.sleep(self.seconds)
        if self.defect:
            raise KeyError('defect')
        if int(frames.flatten()[0]) < self.fail_below:
            raise RuntimeError('too dark\nby far')
        clip = frames.repeat_interleave(4, -1).repeat_interleave(4, -2)
        return torch.clone(clip)
