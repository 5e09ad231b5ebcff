"""Distance of restored latents to a teacher's, or to the ground truth's."""

from torch import Tensor, nn

from star.models.losses.distances import DISTANCES
from star.registry import MODELS
from star.utils.checks import check_choice, check_factors, check_share


@MODELS.register_module()
class LatentLoss(nn.Module):
    """Compares a student's latents with those that a teacher ended at.

    (1 - gt) d(x0, teacher) + gt d(x0, ground truth), averaged over the batch.

    Args:
        gt: share of the distance to the ground truth's latents, [0, 1]; 1 is
            the first stage of DOVE (arXiv 2505.16239), which has no teacher.
        norm: 'l2', 'l1' or 'huber', see `star.models.losses.distances`.
        weight: factor of the loss, >= 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(
        self, gt: float = 0.0, norm: str = 'l2', weight: float = 1.0
    ) -> None:
        super().__init__()
        check_choice('norm', norm, DISTANCES)
        check_factors({'weight': weight})
        check_share('gt', gt)
        self.gt = gt
        self.norm = norm
        self.weight = weight

    def forward(
        self, pred: Tensor, teacher: Tensor, gt: Tensor, counts: Tensor
    ) -> Tensor:
        """Return the weighted loss of a batch.

        Args:
            pred: estimate of the clean latents, (N, C, T, h, w).
            teacher: latents that the teacher ended at, of the same shape.
            gt: latents of the ground truth, of the same shape.
            counts: 1 for the clips that count, 0 for the others, (N,).
        """
        return self.terms(pred, teacher, gt, counts)['loss_latent']

    def terms(
        self, pred: Tensor, teacher: Tensor, gt: Tensor, counts: Tensor
    ) -> dict[str, Tensor]:
        """Return the loss; see `forward`.

        Returns:
            `loss_latent`.
        """
        distance, pred = DISTANCES[self.norm], pred.float()
        each = pred.new_zeros(len(pred))
        if self.gt < 1:
            each = each + (1 - self.gt) * distance(pred, teacher)
        if self.gt > 0:
            each = each + self.gt * distance(pred, gt)
        return {'loss_latent': self.weight * (counts * each).mean()}
