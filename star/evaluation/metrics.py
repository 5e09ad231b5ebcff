"""Metrics that compare with the ground truth, and the warping error."""

from collections.abc import Sequence

import torch
from torch import Tensor

from star.evaluation.base import VideoMetric, mean_of, preset_name
from star.evaluation.functional.clips import check_channel
from star.evaluation.functional.dists import dists_frames
from star.evaluation.functional.ewarp import PRESETS, ewarp_details
from star.evaluation.functional.lpips import lpips_frames
from star.evaluation.functional.psnr import psnr_frames
from star.evaluation.functional.ssim import check_ssim_channel, ssim_frames
from star.evaluation.networks.dists import load_dists
from star.evaluation.networks.flow import RAFT, find_raft
from star.perceptual.lpips import build_lpips, read_lpips
from star.registry import METRICS
from star.structures import Measurement
from star.utils.checks import check_least


@METRICS.register_module()
class PSNR(VideoMetric):
    """Peak signal-to-noise ratio in dB, mean over frames.

    Args:
        channel: 'rgb', or 'y' for the luma of BT.601; then named PSNR_Y.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.

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
    ) -> None:
        check_channel(channel)
        name = 'PSNR' if channel == 'rgb' else 'PSNR_Y'
        super().__init__(name, frames, every, datasets)
        self.channel, self.border = channel, check_least('border', border)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the PSNR of each frame, in dB."""
        assert gt is not None
        return psnr_frames(pred, gt, self.channel, self.border)


@METRICS.register_module()
class SSIM(VideoMetric):
    """Structural similarity, mean over frames.

    Args:
        channel: 'rgb'; 'y' for the luma of BT.601, then named SSIM_Y; or
            'yiq' for SSIM as pyiqa computes it, then named SSIM_YIQ.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.

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
    ) -> None:
        check_ssim_channel(channel)
        name = 'SSIM' if channel == 'rgb' else f'SSIM_{channel.upper()}'
        super().__init__(name, frames, every, datasets)
        self.channel, self.border = channel, check_least('border', border)

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the SSIM of each frame."""
        assert gt is not None
        return ssim_frames(pred, gt, self.channel, self.border)


@METRICS.register_module()
class LPIPS(VideoMetric):
    """Learned perceptual distance, mean over frames.

    Args:
        net: 'alex' (named LPIPS), 'vgg' (named LPIPS_vgg) or 'squeeze' (named
            LPIPS_squeeze).
        weights: state dict of the lpips package or of torchvision's
            classifier; None searches for it, and downloads it if need be.
        weights_dir: folder that is searched first.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
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
    ) -> None:
        name = 'LPIPS' if net == 'alex' else f'LPIPS_{net}'
        super().__init__(name, frames, every, datasets)
        self.net, self.border = net, check_least('border', border)
        state, files = read_lpips(weights, net, weights_dir)
        self.record_weights(*files)
        network = build_lpips(state, net, str(files[0]))
        self.network = network.to(torch.device(device))

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the LPIPS distance of each frame."""
        assert gt is not None
        return lpips_frames(self.network, pred, gt, self.border)


@METRICS.register_module()
class DISTS(VideoMetric):
    """Distance of texture and structure, Ding et al. 2020, mean over frames.

    Frames are compared at full size.

    Args:
        weights: state dict of the authors' network, or of torchvision's
            VGG16; None searches for the latter, and downloads it if need be.
        weights_dir: folder that is searched first.
        border: pixels to leave out at each side.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
        device: where the network runs.

    Raises:
        ValueError: a wrong option, or weights that are missing or wrong.
    """

    higher_is_better = False
    options = ('border',)

    def __init__(
        self,
        weights: str | None = None,
        weights_dir: str | None = None,
        border: int = 0,
        frames: Sequence[int] | None = None,
        every: int = 1,
        device: str = 'cpu',
        datasets: Sequence[str] | None = None,
    ) -> None:
        super().__init__(None, frames, every, datasets)
        self.border = check_least('border', border)
        network, files = load_dists(weights, weights_dir)
        self.record_weights(*files)
        self.network = network.to(torch.device(device))

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Compute the DISTS distance of each frame."""
        assert gt is not None
        return dists_frames(self.network, pred, gt, self.border)


@METRICS.register_module()
class EWarp(VideoMetric):
    """Flow warping error times 1000, mean over pairs of frames.

    It needs no ground truth. Blurred and still clips have small errors: read
    it together with the other metrics, and with the extra 'flow', the mean
    length of the flow in pixels of the frames that RAFT is given.

    Args:
        preset: 'evalcrafter' (the paper's, named Ewarp),
            'evalcrafter_fixed' or 'lai' (named Ewarp_lai); see
            `star.evaluation.functional.ewarp`.
        network: of RAFT, 'large' (the paper's) or 'small' (named Ewarp_small
            and so on).
        weights: torchvision's or the original's file; None searches for it,
            and downloads torchvision's if there is none.
        weights_dir: folder that is searched first.
        num_updates: iterations of RAFT.
        frames: see VideoMetric.
        every: see VideoMetric.
        datasets: see VideoMetric.
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
    ) -> None:
        name = preset_name('Ewarp', preset, tuple(PRESETS))
        name += '_small' if network == 'small' else ''
        super().__init__(name, frames, every, datasets)
        self.preset, self.network = preset, network
        self.num_updates = num_updates
        path = find_raft(network, weights, weights_dir)
        self.record_weights(path)
        self.flow = RAFT(network, str(path), num_updates)
        self.flow.to(torch.device(device))

    def measure(self, pred: Tensor, gt: Tensor | None = None) -> Measurement:
        """Measure pairs of neighbouring frames; see `VideoMetric.measure`."""
        frames = self.select(pred, gt)
        found = ewarp_details(self.flow, pred, self.preset, pairs=frames)
        extras = {'flow': float(found.flow.mean())}
        return mean_of(found.errors * 1000, frames, extras)
