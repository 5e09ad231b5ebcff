"""Distance to a teacher along the path on which it restores a clip."""

from torch import Tensor, nn

from star.models.losses.distances import DISTANCES
from star.registry import MODELS
from star.utils.checks import check_choice, check_factors


@MODELS.register_module()
class TeacherPathLoss(nn.Module):
    """Compares a student with its teacher at a state that the teacher met.

    The velocity is compared with the teacher's guided one, so that the
    student learns the guidance. The clean estimate is compared with the
    latents that the teacher ended at: from each state of a path the student
    shall reach its end in one evaluation.

    Args:
        velocity: factor of the distance to the teacher's velocity, >= 0.
        consistency: factor of the distance to the end of the path, >= 0.
        norm: 'l2', 'l1' or 'huber', see `star.models.losses.distances`.
        weight: factor of the loss, >= 0.

    Raises:
        ValueError: an argument is out of range.

    Source: Song et al., "Consistency Models", with the end of the path,
    which is known here, in the place of a later estimate.
    """

    def __init__(
        self,
        velocity: float = 1.0,
        consistency: float = 1.0,
        norm: str = 'l2',
        weight: float = 1.0,
    ) -> None:
        super().__init__()
        check_choice('norm', norm, DISTANCES)
        check_factors(
            {
                'velocity': velocity,
                'consistency': consistency,
                'weight': weight,
            }
        )
        self.velocity = velocity
        self.consistency = consistency
        self.norm = norm
        self.weight = weight

    def forward(
        self,
        v: Tensor,
        teacher_v: Tensor,
        x0: Tensor,
        teacher_x0: Tensor,
        counts: Tensor,
    ) -> Tensor:
        """Return the weighted loss of a batch.

        Args:
            v: the student's velocity, (N, C, T, h, w).
            teacher_v: the teacher's guided velocity, of the same shape.
            x0: the student's estimate of the clean latents.
            teacher_x0: the latents that the teacher ended at.
            counts: 1 for the clips that count, 0 for the others, (N,).
        """
        found = self.terms(v, teacher_v, x0, teacher_x0, counts)
        return found['loss_path']

    def terms(
        self,
        v: Tensor,
        teacher_v: Tensor,
        x0: Tensor,
        teacher_x0: Tensor,
        counts: Tensor,
    ) -> dict[str, Tensor]:
        """Return the loss, and numbers to log; see `forward`.

        Returns:
            `loss_path`; without gradient the two means over the batch,
            `path_velocity` and `path_consistency`, without factors.
        """
        distance = DISTANCES[self.norm]
        apart = (counts * distance(v.float(), teacher_v)).mean()
        off = (counts * distance(x0.float(), teacher_x0)).mean()
        total = self.velocity * apart + self.consistency * off
        return {
            'loss_path': self.weight * total,
            'path_velocity': apart.detach(),
            'path_consistency': off.detach(),
        }
