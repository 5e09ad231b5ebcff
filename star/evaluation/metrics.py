"""The metrics that configs name; each calls a function of `functional`.

A Runner's evaluator collects one record for each clip from all ranks, and
averages clips by data set; a hook calls `score` on a pair of clips.
"""

import logging
from abc import abstractmethod
from collections.abc import Sequence
from typing import Any, ClassVar

import torch
from mmengine.evaluator import BaseMetric
from mmengine.logging import print_log
from torch import Tensor

from star.evaluation.functional.clips import CHANNELS
from star.evaluation.functional.ewarp import PRESETS, ewarp_pairs
from star.evaluation.functional.lpips import load_lpips, lpips_frames
from star.evaluation.functional.psnr import psnr_frames
from star.evaluation.functional.ssim import ssim_frames
from star.evaluation.networks.flow import RAFT
from star.registry import METRICS
from star.structures import VideoSample


class VideoMetric(BaseMetric):
    """Scores clips and averages them by data set.

    Args:
        name: under which the average appears, after the set's name.
        collect_device: 'cpu' or 'gpu', where ranks exchange their records.
    """

    higher_is_better: ClassVar[bool]
    needs_gt: ClassVar[bool] = True

    def __init__(self, name: str, collect_device: str = 'cpu') -> None:
        # a prefix, or mmengine warns; it is taken away again because the
        # names begin with the data set
        super().__init__(collect_device, prefix='star')
        self.prefix = None
        self.name = name

    @abstractmethod
    def parts(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Score frames, or pairs of them, one by one.

        Args:
            pred: restored clip, (T, 3, H, W) uint8 RGB.
            gt: ground truth, the same; None only where `needs_gt` is False.

        Returns:
            One number for each that was measured.
        """

    def score(self, pred: Tensor, gt: Tensor | None = None) -> float:
        """Score one clip: the mean of its parts.

        Args:
            pred: as for `parts`.
            gt: likewise.

        Raises:
            ValueError: clips that cannot be compared.
        """
        self._check(gt)
        return float(self.parts(pred, gt).mean())

    def process(
        self, data_batch: Any, data_samples: Sequence[VideoSample]
    ) -> None:
        """Append exactly one record for each clip.

        mmengine drops what a sampler padded by counting records, so a clip
        without ground truth has one as well, with `score` None.

        Args:
            data_batch: unused.
            data_samples: with `pred`, and `gt` where it exists.

        Raises:
            ValueError: clips that cannot be compared, by name.
        """
        for sample in data_samples:
            parts = self._parts_of(sample)
            self.results.append(
                {
                    'dataset': sample.dataset,
                    'name': sample.name,
                    'score': sum(parts) / len(parts) if parts else None,
                    'parts': parts,
                }
            )

    def compute_metrics(self, results: list[dict]) -> dict[str, float]:
        """Average the clips of each data set.

        Args:
            results: one record for each clip.

        Returns:
            '{data set}/{name}': mean score. A set without any score is left
            out, with a warning.
        """
        sets: dict[str, list[float]] = {}
        for record in results:
            scores = sets.setdefault(record['dataset'], [])
            if record['score'] is not None:
                scores.append(record['score'])
        for dataset in [name for name, scores in sets.items() if not scores]:
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

    def _parts_of(self, sample: VideoSample) -> list[float]:
        assert sample.pred is not None, 'the model did not set `pred`'
        if self.needs_gt and sample.gt is None:
            return []
        try:
            return self.parts(sample.pred, sample.gt).tolist()
        except ValueError as error:
            raise ValueError(
                f'{self.name} of {sample.dataset}/{sample.name}: {error}'
            ) from error

    def _check(self, gt: Tensor | None) -> None:
        if self.needs_gt and gt is None:
            raise ValueError(f'{self.name} needs a ground truth, `gt` is None')


@METRICS.register_module()
class PSNR(VideoMetric):
    """Peak signal-to-noise ratio in dB, mean over frames.

    Args:
        channel: 'rgb', or 'y' for the luma of BT.601; then named PSNR_Y.
        border: pixels left out at each side.
        collect_device: see VideoMetric.

    Raises:
        ValueError: unknown `channel`.
    """

    higher_is_better = True

    def __init__(
        self,
        channel: str = 'rgb',
        border: int = 0,
        collect_device: str = 'cpu',
    ) -> None:
        super().__init__(_name('PSNR', channel), collect_device)
        self.channel, self.border = channel, border

    def parts(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Score frames."""
        assert gt is not None
        return psnr_frames(pred, gt, self.channel, self.border)


@METRICS.register_module()
class SSIM(VideoMetric):
    """Structural similarity, mean over frames.

    Args:
        channel: 'rgb', or 'y' for the luma of BT.601; then named SSIM_Y.
        border: pixels left out at each side.
        collect_device: see VideoMetric.

    Raises:
        ValueError: unknown `channel`.
    """

    higher_is_better = True

    def __init__(
        self,
        channel: str = 'rgb',
        border: int = 0,
        collect_device: str = 'cpu',
    ) -> None:
        super().__init__(_name('SSIM', channel), collect_device)
        self.channel, self.border = channel, border

    def parts(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Score frames."""
        assert gt is not None
        return ssim_frames(pred, gt, self.channel, self.border)


@METRICS.register_module()
class LPIPS(VideoMetric):
    """Learned perceptual distance, mean over frames.

    Args:
        net: 'alex' (the usual one, named LPIPS), 'vgg' or 'squeeze' (named
            LPIPS_squeeze).
        weights: state dict of the lpips package; None downloads the trunk.
        border: pixels left out at each side.
        every: only frames 0, every, 2 * every ... are measured.
        device: where the network runs.
        collect_device: see VideoMetric.

    Raises:
        ValueError: a wrong option, or a file that does not fit.
        ImportError: lpips is not installed; it comes with `metrics`.
    """

    higher_is_better = False

    def __init__(
        self,
        net: str = 'alex',
        weights: str | None = None,
        border: int = 0,
        every: int = 1,
        device: str = 'cpu',
        collect_device: str = 'cpu',
    ) -> None:
        name = 'LPIPS' if net == 'alex' else f'LPIPS_{net}'
        super().__init__(name, collect_device)
        if every < 1:
            raise ValueError(f'`every` must be at least 1, got {every}')
        self.border, self.every = border, every
        self.network = load_lpips(weights, net).to(torch.device(device))

    def parts(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Score frames."""
        assert gt is not None
        return lpips_frames(self.network, pred, gt, self.border, self.every)


@METRICS.register_module()
class EWarp(VideoMetric):
    """Flow warping error times 1000, mean over pairs of frames.

    It needs no ground truth. Blurred and still clips score well: read it
    beside the others.

    Args:
        preset: 'evalcrafter' (the paper's, named Ewarp),
            'evalcrafter_fixed' or 'lai' (named Ewarp_lai); see
            `star.evaluation.functional.ewarp`.
        network: of RAFT, 'small' or 'large' (the paper's).
        weights: torchvision's or the original's file; None downloads.
        num_updates: iterations of RAFT.
        device: where the network runs.
        collect_device: see VideoMetric.

    Raises:
        ValueError: a wrong option, or a file that does not fit.
    """

    higher_is_better = False
    needs_gt = False

    def __init__(
        self,
        preset: str = 'evalcrafter',
        network: str = 'large',
        weights: str | None = None,
        num_updates: int = 20,
        device: str = 'cpu',
        collect_device: str = 'cpu',
    ) -> None:
        name = 'Ewarp' if preset == 'evalcrafter' else f'Ewarp_{preset}'
        super().__init__(name, collect_device)
        if preset not in PRESETS:
            raise ValueError(
                f'`preset` must be one of {", ".join(PRESETS)}, got {preset!r}'
            )
        self.preset = preset
        self.flow = RAFT(network, weights, num_updates)
        self.flow.to(torch.device(device))

    def parts(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Score pairs of neighbouring frames."""
        return ewarp_pairs(self.flow, pred, self.preset) * 1000


def _name(metric: str, channel: str) -> str:
    if channel not in CHANNELS:
        raise ValueError(f"`channel` must be 'rgb' or 'y', got {channel!r}")
    return metric if channel == 'rgb' else f'{metric}_Y'
