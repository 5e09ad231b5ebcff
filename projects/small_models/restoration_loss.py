"""The loss of a network that is trained on what it restores."""

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from star.perceptual.lpips import load_lpips
from star.registry import MODELS
from star.utils.checks import check_factors

_CELLS = 8  # a grid's pattern is averaged over so many patches, squared
_TYPICAL = 0.1  # mean error of an input, of 2, at which pixels count once
_LEAST = 0.01  # so that a perfect input does not count infinitely
_OF_PIXELS = ('l1', 'temporal', 'gradient')
# share of an input's error that is left in the means of patches: about 0.25
# for clips that are only shrunk, 0.4 and more for blur, noise and codecs
_SHRUNK, _DEGRADED = 0.3, 0.6
_FAR = 0.12  # mean error, of 2, above which any input has much to restore


@MODELS.register_module()
class RestorationLoss(nn.Module):
    """Compares restored clips with the truth: LPIPS and four distances.

    Distances of pixels weigh more for better inputs (`input_weight`), so that
    a decibel counts alike for all and good clips stay good. With LPIPS and L1
    alone, a network that writes patches covers smooth areas with a pattern
    that LPIPS takes for texture; `grid` and `max_shift` prevent it.

    Args:
        weights: of LPIPS with SqueezeNet, as for `PerceptualLoss`.
        lpips: weight of LPIPS; with 0 its network is not loaded.
        l1: weight of the mean absolute difference of pixels.
        temporal: of the mean absolute difference of changes between frames.
        gradient: of that of changes between neighbouring pixels.
        grid: weight of `grid_distance`.
        patch: side of the patches that the network writes, pixels.
        max_shift: LPIPS sees a crop that lacks up to so many rows and columns,
            at random, so that its strides fall differently on the patches.
        lpips_frames: number of random frames that LPIPS sees; 0 for all.
        least_lpips: factor of `lpips` for clips that are only shrunk
            (`shrunk_weight`), in [0, 1]; below 1 they change less.

    Raises:
        ValueError: a number is negative, or `least_lpips` above 1.
    """

    def __init__(
        self,
        weights: str | None = None,
        lpips: float = 1.2,
        l1: float = 1.0,
        temporal: float = 0.3,
        gradient: float = 0.5,
        grid: float = 4.0,
        patch: int = 4,
        max_shift: int = 8,
        lpips_frames: int = 0,
        least_lpips: float = 1.0,
    ) -> None:
        super().__init__()
        self.factors = {
            'l1': l1,
            'temporal': temporal,
            'gradient': gradient,
            'grid': grid,
            'lpips': lpips,
        }
        others = {
            'max_shift': max_shift,
            'lpips_frames': lpips_frames,
            'least_lpips': least_lpips,
        }
        check_factors(self.factors | others)
        if least_lpips > 1:
            raise ValueError(
                f'`least_lpips` must be at most 1, got {least_lpips}'
            )
        self.weights = weights
        self.patch = patch
        self.max_shift = max_shift
        self.lpips_frames = lpips_frames
        self.least_lpips = least_lpips
        self._network: list[nn.Module] = []  # hidden from the state dict

    def forward(self, pred: Tensor, gt: Tensor, lq: Tensor) -> Tensor:
        """Return the weighted sum of all distances.

        Args:
            pred: restored clips, (N, C, T, H, W).
            gt: ground truth in [-1, 1], of the same shape.
            lq: low-quality clips, enlarged to it.
        """
        return self.terms(pred, gt, lq)['loss_restoration']

    def terms(self, pred: Tensor, gt: Tensor, lq: Tensor) -> dict[str, Tensor]:
        """Return the loss, and without gradient each distance's mean.

        Args:
            pred: as for `forward`, like the others.
        """
        with torch.autocast(pred.device.type, enabled=False):
            pred, gt, lq = pred.float(), gt.float(), lq.float()
            distances = self._distances(pred, gt)
        weights = dict.fromkeys(_OF_PIXELS, input_weight(lq, gt))
        weights['lpips'] = shrunk_weight(lq, gt, self.patch, self.least_lpips)
        loss = pred.new_zeros(())
        for name, distance in distances.items():
            each = weights.get(name, 1.0) * distance
            loss = loss + self.factors[name] * each.mean()
        watched = {k: v.detach().mean() for k, v in distances.items()}
        return {'loss_restoration': loss, **watched}

    def _distances(self, pred: Tensor, gt: Tensor) -> dict[str, Tensor]:
        """Compute all distances, (N,) each."""
        error = pred - gt
        found = {
            'l1': mean_absolute(error),
            'temporal': mean_absolute(error.diff(dim=2)),
            'gradient': mean_absolute(error.diff(dim=3))
            + mean_absolute(error.diff(dim=4)),
            'grid': grid_distance(error, self.patch),
        }
        if self.factors['lpips']:
            found['lpips'] = self._lpips(pred, gt)
        return found

    def _lpips(self, pred: Tensor, gt: Tensor) -> Tensor:
        if not self._network:
            self._network.append(load_lpips(self.weights, 'squeeze'))
        network = self._network[0].to(pred.device)
        top, left = (int(torch.randint(self.max_shift + 1, ())) for _ in 'yx')
        bottom = pred.shape[-2] - self.max_shift + top
        right = pred.shape[-1] - self.max_shift + left
        count = self.lpips_frames or pred.shape[2]
        which = torch.randperm(pred.shape[2])[:count].to(pred.device)
        frames = [
            rearrange(
                clip[:, :, which, top:bottom, left:right],
                'n c t h w -> (n t) c h w',
            ).contiguous(memory_format=torch.channels_last)
            for clip in (pred, gt)
        ]
        return network(*frames).reshape(len(pred), -1).mean(1)


def input_weight(lq: Tensor, gt: Tensor, most: float = 12.0) -> Tensor:
    """Weigh the pixels of a clip: the better its input, the more.

    Args:
        lq: enlarged low-quality clips, (N, C, T, H, W).
        gt: ground truth.
        most: upper limit.

    Returns:
        (N,), without gradient.
    """
    with torch.no_grad():
        return (_TYPICAL / (mean_absolute(lq - gt) + _LEAST)).clamp(max=most)


def shrunk_weight(lq: Tensor, gt: Tensor, patch: int, least: float) -> Tensor:
    """Weigh LPIPS less for clips that are only shrunk, and not by much.

    Args:
        lq: enlarged low-quality clips, (N, C, T, H, W).
        gt: ground truth.
        patch: side of the areas whose mean shrinking keeps.
        least: weight of the former, in [0, 1]; others come up to 1.

    Returns:
        (N,), without gradient.
    """
    with torch.no_grad():
        error = mean_absolute(lq - gt) + 1e-3
        means = F.avg_pool3d(lq - gt, (1, patch, patch))
        left = mean_absolute(means) / error
        degraded = (left - _SHRUNK) / (_DEGRADED - _SHRUNK)
        return torch.maximum(degraded, error / _FAR).clamp(least, 1)


def grid_distance(error: Tensor, patch: int) -> Tensor:
    """Measure the pattern that repeats in an error from patch to patch.

    The error of each position within a patch, averaged over 8x8 patches,
    minus the average of all positions: zero where no pattern is repeated.

    Args:
        error: (N, C, T, H, W), at least 8 patches high and wide.
        patch: side of a patch, which divides H and W.

    Returns:
        Mean absolute value, (N,).
    """
    images = rearrange(error, 'n c t h w -> (n c t) 1 h w')
    cells = F.avg_pool2d(F.pixel_unshuffle(images, patch), _CELLS)
    pattern = cells - cells.mean(1, keepdim=True)
    return mean_absolute(pattern.reshape(len(error), -1))


def mean_absolute(x: Tensor) -> Tensor:
    """Average absolute values of each clip, (N, ...) to (N,); 0 of nothing."""
    flat = x.abs().flatten(1)
    return flat.mean(1) if flat.shape[1] else x.new_zeros(len(x))
