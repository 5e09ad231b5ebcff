"""What every metric shares: one record for each clip, averages by data set.

A Runner's evaluator collects the records of all ranks; a tool or a hook calls
`measure` or `score` on a pair of clips.
"""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any, ClassVar

from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from star.evaluation.functional.clips import (
    check_clip,
    check_pair,
    select_frames,
)
from star.structures import VideoSample
from star.utils.weight_files import file_digest


@dataclass(frozen=True)
class Measurement:
    """What a metric found in one clip.

    Args:
        score: of the clip; the mean of `parts` where there are any.
        parts: one number for each frame, or pair of frames, measured.
        frames: for each part its frame, of a pair the first.
        extras: what else was measured, by name.
    """

    score: float
    parts: list[float] = field(default_factory=list)
    frames: list[int] = field(default_factory=list)
    extras: dict[str, float] = field(default_factory=dict)


class VideoMetric(BaseMetric):
    """Scores clips and averages them by data set.

    Args:
        name: under which the average appears, after the set's name.
        frames: indices of the frames, or of the pairs' first frames, that are
            measured; None for all.
        every: of those, only the first of each N.
        datasets: names of the data sets that are measured; None for all.
        collect_device: 'cpu' or 'gpu', where ranks exchange their records.

    Raises:
        ValueError: `frames` or `every` that select nothing.
    """

    higher_is_better: ClassVar[bool]
    needs_gt: ClassVar[bool] = True
    unit: ClassVar[str] = 'frame'  # or 'pair', of neighbours, or 'clip'
    options: ClassVar[tuple[str, ...]] = ()  # attributes that decide scores

    def __init__(
        self,
        name: str,
        frames: Sequence[int] | None = None,
        every: int = 1,
        datasets: Sequence[str] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        # a prefix, or mmengine warns; it is taken away again because the
        # names begin with the data set
        super().__init__(collect_device, prefix='star')
        self.prefix = None
        self.name = name
        self.frames = _frame_list(frames)
        if every < 1:
            raise ValueError(f'`every` must be at least 1, got {every}')
        self.every = every
        self.datasets = None if datasets is None else list(datasets)
        self.weights: dict[str, str] = {}

    @abstractmethod
    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Score one clip and its parts.

        Args:
            pred: restored clip, (T, 3, H, W) uint8 RGB.
            gt: ground truth, the same; None only where `needs_gt` is False.

        Raises:
            ValueError: clips that cannot be compared or measured.
        """

    def score(self, pred: Tensor, gt: Tensor | None = None) -> float:
        """Score one clip.

        Args:
            pred: as for `measure`.
            gt: likewise.

        Raises:
            ValueError: as for `measure`.
        """
        return self.measure(pred, gt).score

    def describe(self) -> dict[str, Any]:
        """Tell what decides the scores, to be written as JSON.

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

    def process(
        self, data_batch: Any, data_samples: Sequence[VideoSample]
    ) -> None:
        """Append exactly one record for each clip.

        mmengine drops what a sampler padded by counting records, so a clip
        that is not measured has one as well, with `score` None.

        Args:
            data_batch: unused.
            data_samples: with `pred`, and `gt` where it exists.

        Raises:
            ValueError: clips that cannot be compared, by name.
        """
        for sample in data_samples:
            record = {'dataset': sample.dataset, 'name': sample.name}
            found = self._measure_sample(sample)
            self.results.append(
                record | (asdict(found) if found else _empty())
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average the clips of each data set.

        Args:
            results: one record for each clip.

        Returns:
            '{data set}/{name}': mean score. A set without any score is left
            out, with a warning where it was to be measured.
        """
        sets: dict[str, list[float]] = {}
        for record in results:
            scores = sets.setdefault(record['dataset'], [])
            if record['score'] is not None:
                scores.append(record['score'])
        for dataset in [name for name, scores in sets.items() if not scores]:
            if self._is_wanted(dataset):
                print_log(
                    f'{self.name}: no clip of {dataset!r} has a ground truth',
                    'current',
                    logging.WARNING,
                )
        return {
            f'{dataset}/{self.name}' if dataset else self.name: sum(s) / len(s)
            for dataset, s in sets.items()
            if s
        }

    def _measure_sample(self, sample: VideoSample) -> Measurement | None:
        assert sample.pred is not None, 'the model did not set `pred`'
        if self.needs_gt and sample.gt is None:
            return None
        if not self._is_wanted(sample.dataset):
            return None
        try:
            return self.measure(sample.pred, sample.gt)
        except ValueError as error:
            raise ValueError(
                f'{self.name} of {sample.dataset}/{sample.name}: {error}'
            ) from error

    def _select(self, pred: Tensor, gt: Tensor | None) -> list[int]:
        """Check the clips; list the frames, or first frames, to measure."""
        if not self.needs_gt:
            check_clip(pred, 'pred')
        elif gt is None:
            raise ValueError(f'{self.name} needs a ground truth, `gt` is None')
        else:
            check_pair(pred, gt)
        count = len(pred) - (self.unit == 'pair')
        return select_frames(count, self.frames, self.every)

    def _is_wanted(self, dataset: str) -> bool:
        return self.datasets is None or dataset in self.datasets

    def _use(self, *files: Path) -> None:
        """Note files of weights for `describe`, with their digests."""
        self.weights |= {path.name: file_digest(path) for path in files}


def mean_of(
    parts: Tensor, frames: list[int], extras: dict[str, float] | None = None
) -> Measurement:
    """Average the parts of a clip.

    Frames that a metric has no number for, such as black ones for NIQE, are
    left out of the mean and counted as 'unmeasured'.

    Args:
        parts: (N,) float64, N >= 1, NaN where there is no number.
        frames: N frames they belong to.
        extras: see `Measurement`.

    Raises:
        ValueError: there is no number at all.
    """
    values = parts.tolist()
    assert len(values) == len(frames), 'one part for each frame'
    known = ~parts.isnan()
    if not known.any():
        raise ValueError('no frame has a number, they may all be empty')
    if not known.all():
        count = float((~known).sum())
        extras = {**(extras or {}), 'unmeasured': count}
    return Measurement(
        float(parts[known].mean()), values, frames, extras or {}
    )


def preset_name(metric: str, preset: str, presets: Sequence[str]) -> str:
    """Name a metric by its preset.

    Args:
        metric: name with the first preset.
        preset: added to the name, unless it is the first.
        presets: those there are.

    Raises:
        ValueError: an unknown preset.
    """
    if preset not in presets:
        raise ValueError(
            f'`preset` must be one of {", ".join(presets)}, got {preset!r}'
        )
    return metric if preset == presets[0] else f'{metric}_{preset}'


def check_border(border: int) -> int:
    """Return a border in pixels as it is.

    Raises:
        ValueError: it is negative.
    """
    if border < 0:
        raise ValueError(f'`border` must be at least 0, got {border}')
    return border


def _empty() -> dict[str, Any]:
    return {'score': None, 'parts': [], 'frames': [], 'extras': {}}


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
