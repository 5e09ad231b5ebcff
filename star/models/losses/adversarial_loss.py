"""Adversarial loss on the features of the teacher that is distilled."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.contracts import NoiseSchedule
from star.models.losses.adversarial_heads import FeatureHeads
from star.registry import MODELS
from star.utils.checks import check_choice, check_factors

# what a discriminator lowers for real and for fake, and a generator for fake
_Losses = tuple[
    Callable[[Tensor], Tensor],
    Callable[[Tensor], Tensor],
    Callable[[Tensor], Tensor],
]
KINDS: Mapping[str, _Losses] = {
    'hinge': (
        lambda logits: F.relu(1 - logits),
        lambda logits: F.relu(1 + logits),
        torch.neg,
    ),
    'logistic': (
        lambda logits: F.softplus(-logits),
        F.softplus,
        lambda logits: F.softplus(-logits),
    ),
}


class RandomSource(Protocol):
    """The random numbers of one clip."""

    def integer(self, below: int) -> int:
        """Draw a whole number from 0 to `below` - 1."""

    def noise(self, shape: torch.Size) -> Tensor:
        """Draw standard normal noise."""


@dataclass(frozen=True)
class Condition:
    """A teacher's inputs beside the noised latents.

    Attributes:
        text: embeddings of the prompts, (N, L, D).
        z_lq: low-quality latents, (N, C, T, h, w).
    """

    text: Tensor
    z_lq: Tensor


@MODELS.register_module()
class AdversarialLoss(nn.Module):
    """Pulls a student's latents to where the teacher's lie.

    Real and restored latents are noised alike, at one random timestep for
    each clip, and go through the frozen teacher. Small heads learn to tell
    its features of the one from those of the other. The student learns to be
    taken for real.

    Both learn in one backward pass and one step of one optimiser, so nothing
    but the config changes in a training: the heads' loss does not reach the
    student, nor the student's loss the heads. The heads' rate can be set by
    `paramwise_cfg` of the optimiser, with the key `heads`. Simultaneous steps
    need the penalty `r1` to be stable near the end.

    Args:
        teacher: config of TeacherFeatures.
        width: of the heads.
        kind: 'hinge', or 'logistic', the non-saturating loss.
        weight: factor of the student's loss.
        r1: factor of the heads' penalty: the square of how much the logits of
            real latents change with a little noise. 100 in APT.
        r1_noise: deviation of that noise.
        t_range: first and last timestep at which features are compared.
        num_timesteps: of the noise schedule.

    Raises:
        ValueError: an argument is out of range.

    Source: features of the denoiser, noised samples: LADD, arXiv 2403.12015;
    the penalty without a second derivative: APT, arXiv 2501.08316;
    simultaneous steps: Mescheder et al., arXiv 1801.04406.
    """

    def __init__(
        self,
        teacher: dict,
        width: int = 128,
        kind: str = 'hinge',
        weight: float = 0.1,
        r1: float = 100.0,
        r1_noise: float = 0.1,
        t_range: tuple[int, int] = (0, 800),
        num_timesteps: int = 1000,
    ) -> None:
        super().__init__()
        check_choice('kind', kind, KINDS)
        check_factors({'weight': weight, 'r1': r1, 'r1_noise': r1_noise})
        first, last = t_range
        if not 0 <= first <= last < num_timesteps:
            raise ValueError(
                '`t_range` must be a first and a last timestep from 0 to '
                f'{num_timesteps - 1}, got {t_range}'
            )
        self.teacher: Any = MODELS.build(teacher)
        self.heads = FeatureHeads(self.teacher.layers, width)
        self.kind = kind
        self.weight = weight
        self.r1 = r1
        self.r1_noise = r1_noise
        self.t_range = (first, last)
        self.num_timesteps = num_timesteps

    def terms(
        self,
        fake: Tensor,
        real: Tensor,
        condition: Condition,
        schedule: NoiseSchedule,
        random: Sequence[RandomSource],
    ) -> dict[str, Tensor]:
        """Return the losses of student and heads, and numbers to log.

        Args:
            fake: what the student restores, (N, C, T, h, w).
            real: latents of the teacher's results, or of the ground truth,
                of the same shape.
            condition: of the clips.
            schedule: of the teacher.
            random: of each clip.

        Returns:
            `loss_adversarial`, whose gradient reaches `fake` alone;
            `loss_discriminator`, whose gradient reaches the heads alone;
            without gradient `adversarial_accuracy`, the share of logits with
            the right sign, and `adversarial_r1`, the penalty without factor.
        """
        first, last = self.t_range
        steps = [first + r.integer(last - first + 1) for r in random]
        t = torch.tensor(steps, device=fake.device)
        level = t / (self.num_timesteps - 1)
        noise, shift = (
            torch.stack([r.noise(fake.shape[1:]) for r in random]).to(fake)
            for _ in range(2)
        )

        def features(x0: Tensor) -> list[Tensor]:
            x_t = schedule.add_noise(x0, noise, t)
            return self.teacher(x_t, t, condition.text, condition.z_lq)

        of_fake = features(fake)
        with torch.no_grad():
            of_real = features(real)
            of_near = features(real + self.r1_noise * shift)
        found = [
            self.heads([x.detach() for x in each], level)
            for each in (of_fake, of_real, of_near)
        ]
        judged = self.heads.frozen(of_fake, level)
        to_real, to_fake, to_win = KINDS[self.kind]
        r1 = mean_of(
            [a - b for a, b in zip(*found[1:], strict=True)], torch.square
        )
        discriminator = mean_of(found[1], to_real) + mean_of(found[0], to_fake)
        return {
            'loss_adversarial': self.weight * mean_of(judged, to_win),
            'loss_discriminator': discriminator + self.r1 * r1,
            'adversarial_accuracy': accuracy(found[1], found[0]),
            'adversarial_r1': r1.detach(),
        }


def mean_of(
    logits: Sequence[Tensor], function: Callable[[Tensor], Tensor]
) -> Tensor:
    """Average a function of logits, each layer alike."""
    return torch.stack([function(x).mean() for x in logits]).mean()


@torch.no_grad()
def accuracy(real: Sequence[Tensor], fake: Sequence[Tensor]) -> Tensor:
    """Return the share of right logits: above 0 for real, below for fake."""
    shares = [mean_of(real, _positive), 1 - mean_of(fake, _positive)]
    return torch.stack(shares).mean()


def _positive(x: Tensor) -> Tensor:
    return (x > 0).float()
