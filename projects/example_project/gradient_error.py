"""A metric from outside: how far edges differ from the ground truth's."""

import torch
from torch import Tensor

from star.evaluation import VideoMetric
from star.registry import METRICS


def gradient_error(pred: Tensor, gt: Tensor) -> Tensor:
    """Compute the mean absolute difference of the gradients of each frame.

    Args:
        pred: clip, (T, C, H, W) uint8 RGB with H and W of at least 2.
        gt: ground truth, of the same shape.

    Returns:
        (T,) float32 in grey levels per pixel, 0 for equal frames.
    """
    error = pred.float() - gt.float()
    rows = error.diff(dim=2).abs().mean((1, 2, 3))
    columns = error.diff(dim=3).abs().mean((1, 2, 3))
    return (rows + columns) / 2


@METRICS.register_module()
class GradientError(VideoMetric):
    """Scores edges; see `gradient_error`."""

    higher_is_better = False

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        """Return the error of each frame."""
        assert gt is not None  # `needs_gt` is True by default
        return torch.as_tensor(gradient_error(pred, gt))
