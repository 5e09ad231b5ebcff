"""The metrics that configs name; each calls a function of `functional`."""

from collections.abc import Sequence

import torch
from torch import Tensor

from star.evaluation.base import (
    Measurement,
    VideoMetric,
    check_border,
    mean_of,
    preset_name,
)
from star.evaluation.functional.clips import check_channel, take_frames
from star.evaluation.functional.ewarp import PRESETS, ewarp_details
from star.evaluation.functional.lpips import lpips_frames
from star.evaluation.functional.psnr import psnr_frames
from star.evaluation.functional.ssim import ssim_frames
from star.evaluation.networks.flow import RAFT, find_raft
from star.evaluation.networks.lpips import build_lpips, read_lpips
from star.registry import METRICS


@METRICS.register_module()
class PSNR(VideoMetric):
    """Peak signal-to-noise ratio in dB, mean over frames.

    Args:
        channel: 'rgb', or 'y' for the luma of BT.601; then named PSNR_Y.
        border: pixels left out at each side.
        frames: see VideoMetric, like the others.

    Raises:
        ValueError: a wrong option.
    """

    higher_is_better = True
    options = ('channel', 'border')

    def __init__(
        self,
        channel: str = 'rgb',
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        datasets: Sequence[str] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        name = _luma_name('PSNR', channel)
        super().__init__(name, frames, every, datasets, collect_device)
        self.channel, self.border = channel, check_border(border)

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Score frames."""
        frames = self._select(pred, gt)
        assert gt is not None
        pred, gt = take_frames(pred, frames), take_frames(gt, frames)
        parts = psnr_frames(pred, gt, self.channel, self.border)
        return mean_of(parts, frames)


@METRICS.register_module()
class SSIM(VideoMetric):
    """Structural similarity, mean over frames.

    Args:
        channel: 'rgb', or 'y' for the luma of BT.601; then named SSIM_Y.
        border: pixels left out at each side.
        frames: see VideoMetric, like the others.

    Raises:
        ValueError: a wrong option.
    """

    higher_is_better = True
    options = ('channel', 'border')

    def __init__(
        self,
        channel: str = 'rgb',
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        datasets: Sequence[str] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        name = _luma_name('SSIM', channel)
        super().__init__(name, frames, every, datasets, collect_device)
        self.channel, self.border = channel, check_border(border)

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Score frames."""
        frames = self._select(pred, gt)
        assert gt is not None
        pred, gt = take_frames(pred, frames), take_frames(gt, frames)
        parts = ssim_frames(pred, gt, self.channel, self.border)
        return mean_of(parts, frames)


@METRICS.register_module()
class LPIPS(VideoMetric):
    """Learned perceptual distance, mean over frames.

    Args:
        net: 'alex' (the usual one, named LPIPS), 'vgg' or 'squeeze' (named
            LPIPS_squeeze).
        weights: state dict of the lpips package or of torchvision's
            classifier; None searches, and downloads the trunk.
        weights_dir: folder that is searched first.
        border: pixels left out at each side.
        frames: see VideoMetric, like the others.
        device: where the network runs.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = False
    options = ('net', 'border')

    def __init__(
        self,
        net: str = 'alex',
        weights: str | None = None,
        weights_dir: str | None = None,
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        name = 'LPIPS' if net == 'alex' else f'LPIPS_{net}'
        super().__init__(name, frames, every, datasets, collect_device)
        self.net, self.border = net, check_border(border)
        state, files = read_lpips(weights, net, weights_dir)
        self._use(*files)
        network = build_lpips(state, net, str(files[0]))
        self.network = network.to(torch.device(device))

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Score frames."""
        frames = self._select(pred, gt)
        assert gt is not None
        pred, gt = take_frames(pred, frames), take_frames(gt, frames)
        return mean_of(
            lpips_frames(self.network, pred, gt, self.border), frames
        )


@METRICS.register_module()
class EWarp(VideoMetric):
    """Flow warping error times 1000, mean over pairs of frames.

    It needs no ground truth. Blurred and still clips score well: read it
    beside the others, and beside the mean length of the flow that `measure`
    gives as 'flow', in pixels of the frames the flow is taken from.

    Args:
        preset: 'evalcrafter' (the paper's, named Ewarp),
            'evalcrafter_fixed' or 'lai' (named Ewarp_lai); see
            `star.evaluation.functional.ewarp`.
        network: of RAFT, 'large' (the paper's) or 'small' (named Ewarp_small
            and so on).
        weights: torchvision's or the original's file; None searches, and
            downloads torchvision's.
        weights_dir: folder that is searched first.
        num_updates: iterations of RAFT.
        frames: see VideoMetric, like the others.
        device: where the network runs.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = False
    needs_gt = False
    unit = 'pair'
    options = ('preset', 'network', 'num_updates')

    def __init__(
        self,
        preset: str = 'evalcrafter',
        network: str = 'large',
        weights: str | None = None,
        weights_dir: str | None = None,
        num_updates: int = 20,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
        collect_device: str = 'cpu',
    ) -> None:
        name = preset_name('Ewarp', preset, tuple(PRESETS))
        name += '_small' if network == 'small' else ''
        super().__init__(name, frames, every, datasets, collect_device)
        self.preset, self.network = preset, network
        self.num_updates = num_updates
        path = find_raft(network, weights, weights_dir)
        self._use(path)
        self.flow = RAFT(network, str(path), num_updates)
        self.flow.to(torch.device(device))

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Score pairs of neighbouring frames."""
        frames = self._select(pred, gt)
        found = ewarp_details(self.flow, pred, self.preset, pairs=frames)
        extras = {'flow': float(found.flow.mean())}
        return mean_of(found.errors * 1000, frames, extras)


def _luma_name(metric: str, channel: str) -> str:
    check_channel(channel)
    return metric if channel == 'rgb' else f'{metric}_Y'
