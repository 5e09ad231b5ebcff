"""Mean squared error of the velocity, Eq. 1 of the paper."""

import torch.nn.functional as F
from torch import Tensor, nn

from star.registry import MODELS


@MODELS.register_module()
class VelocityLoss(nn.Module):
    """Compares predicted and true velocity.

    Args:
        weight: factor of the loss.
    """

    def __init__(self, weight: float = 1.0) -> None:
        super().__init__()
        self.weight = weight

    def forward(self, pred: Tensor, target: Tensor) -> Tensor:
        """Return the weighted mean over batch, channels, time and space.

        Args:
            pred: predicted velocity, (N, C, T, h, w).
            target: alpha * noise - sigma * z0, of the same shape.
        """
        return self.weight * F.mse_loss(pred.float(), target.float())
