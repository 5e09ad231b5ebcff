"""Difference of the changes from frame to frame, on decoded pixels."""

from torch import Tensor, nn

from star.models.losses.distances import DISTANCES
from star.registry import MODELS
from star.utils.checks import check_choice, check_factors


@MODELS.register_module()
class FrameDifferenceLoss(nn.Module):
    """Compares how two clips change from each frame to the next: flicker.

    A clip of one frame has no changes, and its loss is zero.

    Args:
        norm: 'l1', as in the second stage of DOVE (arXiv 2505.16239), 'l2'
            or 'huber', see `star.models.losses.distances`.
        weight: factor of the loss, >= 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, norm: str = 'l1', weight: float = 1.0) -> None:
        super().__init__()
        check_choice('norm', norm, DISTANCES)
        check_factors({'weight': weight})
        self.norm = norm
        self.weight = weight

    def forward(self, pred: Tensor, gt: Tensor, t: Tensor) -> Tensor:
        """Return the weighted loss of a batch.

        Args:
            pred: decoded clips, (N, C, T, H, W) in about [-1, 1].
            gt: ground truth in [-1, 1], of the same shape.
            t: timesteps, (N,), which do not matter.
        """
        return self.terms(pred, gt, t)['loss_frame_difference']

    def terms(self, pred: Tensor, gt: Tensor, t: Tensor) -> dict[str, Tensor]:
        """Return the loss, `loss_frame_difference`; see `forward`."""
        if pred.shape[2] < 2:
            zero = 0 * pred.float().sum()  # with a gradient for every rank
            return {'loss_frame_difference': zero}
        changes = (x.float().diff(dim=2) for x in (pred, gt))
        distance = DISTANCES[self.norm](*changes)
        return {'loss_frame_difference': self.weight * distance.mean()}
