"""Base class of the metrics, and helpers that they share."""

from abc import ABC
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar

from torch import Tensor

from star.evaluation.functional.clips import (
    check_clip,
    check_pair,
    select_frames,
    take_frames,
)
from star.structures import Measurement
from star.utils.checks import check_choice, check_least
from star.utils.files import sha256_of


class VideoMetric(ABC):
    """Scores restored clips.

    A metric of single frames overrides `score_frames`; one of pairs of
    neighbouring frames or of whole clips overrides `measure` and states its
    `unit`. Registered in METRICS, a subclass can be named in a config.

    Args:
        name: in tables and results; None for the name of the class.
        frames: indices of the frames, or of the pairs' first frames, to
            measure; None for all.
        every: measure only the first of every N of these.
        datasets: names of the data sets to measure; None for all.

    Raises:
        ValueError: `frames`, `every` or `datasets` select nothing.
    """

    higher_is_better: bool
    needs_gt: bool = True
    unit: ClassVar[str] = 'frame'  # or 'pair', or 'clip'
    options: ClassVar[tuple[str, ...]] = ()  # attributes that decide scores

    def __init__(
        self,
        name: str | None = None,
        frames: Sequence[int] | None = None,
        every: int = 1,
        datasets: Sequence[str] | None = None,
    ) -> None:
        self.name = type(self).__name__ if name is None else name
        self.frames = _frame_list(frames)
        self.every = check_least('every', every, 1)
        self.datasets = _name_list(datasets)
        self.weights: dict[str, str] = {}

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Measure one clip.

        Args:
            pred: restored clip, (T, 3, H, W) uint8 RGB.
            gt: ground truth of the same shape; may be None where `needs_gt`
                is False.

        Raises:
            ValueError: the clips cannot be compared or measured.
        """
        frames = self.select(pred, gt)
        pred = take_frames(pred, frames)
        gt = None if gt is None else take_frames(gt, frames)
        return mean_of(self.score_frames(pred, gt), frames)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Score each frame by itself.

        Args:
            pred: the selected frames, (N, 3, H, W) uint8 RGB.
            gt: the same frames of the ground truth; never None where
                `needs_gt` is True.

        Returns:
            (N,) floating point, NaN for a frame that has no score.
        """
        raise NotImplementedError

    def select(self, pred: Tensor, gt: Tensor | None) -> list[int]:
        """Check the clips and list the frames, or first frames, to measure.

        Raises:
            ValueError: the clips cannot be compared, or have too few frames.
        """
        if not self.needs_gt:
            check_clip(pred, 'pred')
        elif gt is None:
            raise ValueError(f'{self.name} needs a ground truth, `gt` is None')
        else:
            check_pair(pred, gt)
        count = len(pred) - (self.unit == 'pair')
        return select_frames(count, self.frames, self.every)

    def describe(self) -> dict[str, Any]:
        """Return what decides the scores, as JSON can hold it.

        Returns:
            'name', 'type', 'unit', 'higher_is_better', 'options' by name and
            'weights', the SHA-256 of each file by its name.
        """
        names = self.options
        if self.unit != 'clip':
            names = (*names, 'frames', 'every')
        return {
            'name': self.name,
            'type': type(self).__name__,
            'unit': self.unit,
            'higher_is_better': self.higher_is_better,
            'options': {name: getattr(self, name) for name in names},
            'weights': dict(self.weights),
        }

    def record_weights(self, *files: Path) -> None:
        """Record the SHA-256 of files of weights for `describe`."""
        self.weights |= {path.name: sha256_of(path) for path in files}


def mean_of(
    parts: Tensor, frames: list[int], extras: dict[str, float] | None = None
) -> Measurement:
    """Average the scores of a clip's frames or pairs.

    NaN stands for a frame without a score, such as a black one for NIQE. The
    mean leaves it out, and the extra 'unmeasured' counts it.

    Args:
        parts: (N,) floating point, N >= 1.
        frames: index of each part's frame.
        extras: see `Measurement`.

    Raises:
        ValueError: every part is NaN.
    """
    values = parts.tolist()
    assert len(values) == len(frames), 'one part for each frame'
    known = ~parts.isnan()
    if not known.any():
        raise ValueError('no frame has a score: all may be without texture')
    if not known.all():
        count = float((~known).sum())
        extras = {**(extras or {}), 'unmeasured': count}
    return Measurement(
        float(parts[known].mean()), values, frames, extras or {}
    )


def preset_name(metric: str, preset: str, presets: Sequence[str]) -> str:
    """Return a metric's name with its preset; the first is not named.

    Args:
        metric: name with the first preset.
        preset: one of `presets`.
        presets: all names of presets.

    Raises:
        ValueError: unknown `preset`.
    """
    check_choice('preset', preset, presets)
    return metric if preset == presets[0] else f'{metric}_{preset}'


def _name_list(names: Sequence[str] | None) -> list[str] | None:
    if names is None:
        return None
    if isinstance(names, str) or not names:
        raise ValueError(
            f"`datasets` must be a list of names such as ['A'], got {names!r}"
        )
    return list(names)


def _frame_list(frames: Sequence[int] | None) -> list[int] | None:
    if frames is None:
        return None
    found = list(frames)
    whole = all(type(i) is int and i >= 0 for i in found)
    if not found or not whole or len(set(found)) < len(found):
        raise ValueError(
            f'`frames` must be different indices of at least 0, got {found}'
        )
    return found
