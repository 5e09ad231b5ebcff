"""Metrics that look at the restored clip alone."""

from collections.abc import Sequence

import torch
from torch import Tensor

from star.evaluation.base import VideoMetric, preset_name
from star.evaluation.functional.clips import crop_border
from star.evaluation.functional.dover import PRESETS as DOVER_PRESETS
from star.evaluation.functional.dover import dover_scores
from star.evaluation.functional.faster_vqa import (
    PRESETS as FASTER_VQA_PRESETS,
)
from star.evaluation.functional.faster_vqa import faster_vqa
from star.evaluation.functional.ilniqe import PRESETS as ILNIQE_PRESETS
from star.evaluation.functional.ilniqe import ilniqe_frames, load_ilniqe
from star.evaluation.functional.niqe import CHANNELS as NIQE_CHANNELS
from star.evaluation.functional.niqe import load_niqe, niqe_frames
from star.evaluation.networks.dover import load_dover
from star.evaluation.networks.faster_vqa import load_faster_vqa
from star.evaluation.weight_files import FILES
from star.registry import METRICS
from star.structures import Measurement
from star.utils.checks import check_least
from star.utils.weight_files import choose_file


@METRICS.register_module()
class NIQE(VideoMetric):
    """Natural image quality, mean over frames; it needs no ground truth.

    Args:
        channel: 'gray', or 'y' for the luma of BT.601; then named NIQE_Y.
        weights: file of the model of natural images; None searches for it,
            and downloads it if need be.
        weights_dir: folder that is searched first.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
        device: where frames are measured.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = False
    needs_gt = False
    options = ('channel', 'border')

    def __init__(
        self,
        channel: str = 'gray',
        weights: str | None = None,
        weights_dir: str | None = None,
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        if channel not in NIQE_CHANNELS:
            raise ValueError(
                f"`channel` must be 'gray' or 'y', got {channel!r}"
            )
        name = 'NIQE' if channel == 'gray' else 'NIQE_Y'
        super().__init__(name, frames, every, datasets)
        self.channel, self.border = channel, check_least('border', border)
        path = choose_file(
            [FILES['niqe_pris_params.npz']], weights, weights_dir
        )
        self.record_weights(path)
        self.model = load_niqe(path).to(device)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the NIQE of each frame."""
        return niqe_frames(pred, self.model, self.border, self.channel)


@METRICS.register_module()
class ILNIQE(VideoMetric):
    """Integrated local natural image quality, mean over frames.

    It needs no ground truth.

    Args:
        preset: 'pyiqa' (named ILNIQE) or 'matlab', which rounds the resized
            frame as the original does (named ILNIQE_matlab).
        weights: file of the model of natural images; None searches for it,
            and downloads it if need be.
        weights_dir: folder that is searched first.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
        device: where frames are measured.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = False
    needs_gt = False
    options = ('preset', 'border')

    def __init__(
        self,
        preset: str = 'pyiqa',
        weights: str | None = None,
        weights_dir: str | None = None,
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        name = preset_name('ILNIQE', preset, ILNIQE_PRESETS)
        super().__init__(name, frames, every, datasets)
        self.preset, self.border = preset, check_least('border', border)
        path = choose_file(
            [FILES['ILNIQE_templateModel.mat']], weights, weights_dir
        )
        self.record_weights(path)
        self.model = load_ilniqe(path).to(device)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the IL-NIQE of each frame."""
        clip = crop_border(pred, self.border)
        return ilniqe_frames(clip, self.model, self.preset)


@METRICS.register_module()
class DOVER(VideoMetric):
    """Technical and aesthetic quality of a clip, Wu et al. 2023.

    It needs no ground truth. The extras hold the scores of both branches.

    Args:
        preset: how the branches are fused, 'official' (named DOVER) or
            another of `star.evaluation.functional.dover.PRESETS` (named
            DOVER_PRESET).
        weights: DOVER.pth; None searches for it, and downloads it if need
            be.
        weights_dir: folder that is searched first.
        seed: of the positions where fragments are cut, >= 0.
        repeats: number of seeds to average over, >= 1.
        antialias: smooth before frames are resized for the aesthetic branch.
        device: where the network runs.
        datasets: see VideoMetric.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = True
    needs_gt = False
    unit = 'clip'
    options = ('preset', 'seed', 'repeats', 'antialias')

    def __init__(
        self,
        preset: str = 'official',
        weights: str | None = None,
        weights_dir: str | None = None,
        seed: int = 0,
        repeats: int = 1,
        antialias: bool = False,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        name = preset_name('DOVER', preset, tuple(DOVER_PRESETS))
        super().__init__(name, datasets=datasets)
        self.preset, self.antialias = preset, antialias
        self.seed = check_least('seed', seed)
        self.repeats = check_least('repeats', repeats, 1)
        path = choose_file([FILES['DOVER.pth']], weights, weights_dir)
        self.record_weights(path)
        self.network = load_dover(path).to(torch.device(device))

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Measure a whole clip; see `VideoMetric.measure`."""
        self.select(pred, gt)
        found = dover_scores(
            self.network,
            pred,
            self.preset,
            self.seed,
            self.repeats,
            self.antialias,
        )
        extras = {
            'technical': found.technical,
            'aesthetic': found.aesthetic,
            'raw_technical': found.raw_technical,
            'raw_aesthetic': found.raw_aesthetic,
        }
        return Measurement(found.overall, extras=extras)


@METRICS.register_module()
class FasterVQA(VideoMetric):
    """Technical quality of a clip, Wu et al. 2023; it needs no ground truth.

    The extra 'raw' is the network's own score.

    Args:
        preset: which frames are taken, 'official' (named FasterVQA) or
            'training' (named FasterVQA_training); see
            `star.evaluation.functional.faster_vqa`.
        weights: FAST_VQA_3D_1_1.pth; None searches for it, and downloads it
            if need be.
        weights_dir: folder that is searched first.
        seed: of the positions where fragments are cut, and of the frames,
            >= 0.
        repeats: number of seeds to average over, >= 1.
        device: where the network runs.
        datasets: see VideoMetric.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = True
    needs_gt = False
    unit = 'clip'
    options = ('preset', 'seed', 'repeats')

    def __init__(
        self,
        preset: str = 'official',
        weights: str | None = None,
        weights_dir: str | None = None,
        seed: int = 0,
        repeats: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        name = preset_name('FasterVQA', preset, tuple(FASTER_VQA_PRESETS))
        super().__init__(name, datasets=datasets)
        self.preset = preset
        self.seed = check_least('seed', seed)
        self.repeats = check_least('repeats', repeats, 1)
        path = choose_file(
            [FILES['FAST_VQA_3D_1_1.pth']], weights, weights_dir
        )
        self.record_weights(path)
        self.network = load_faster_vqa(path).to(torch.device(device))

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Measure a whole clip; see `VideoMetric.measure`."""
        self.select(pred, gt)
        found = faster_vqa(
            self.network, pred, self.preset, self.seed, self.repeats
        )
        return Measurement(found.score, extras={'raw': found.raw})
