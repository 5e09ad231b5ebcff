"""STAR's losses at the states that its own sampler meets."""

import torch
from torch import Tensor

from star.models.data_preprocessor import VideoDataPreprocessor
from star.models.editors.star.objective import (
    Batch,
    Objective,
    compare_pixels,
    prepare_batch,
)
from star.models.editors.star_onestep.own_states import own_states
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.registry import MODELS
from star.structures import VideoSample
from star.utils.checks import check_factors, check_share


@MODELS.register_module()
class SamplerObjective(Objective):
    """STAR's losses, for some clips at states of the model's own sampler.

    A small network stays far from the true velocity, so that its sampler
    soon is where noised ground truth never is. Some clips of a batch are
    therefore trained at a step of the sampler of `restore_options`, which is
    DDIM without guidance, from where it has come by then. The others are
    trained as in STAR. All have the losses on pixels, by their timestep.

    Args:
        own_share: share of the clips at own states, [0, 1].
        latent_weight: factor of their mean squared error of x0, which takes
            the place of that of the velocity.
        frequency: as for Objective, like the others that follow.
        perceptual: see `frequency`.
        window: see `frequency`.
        t_range: of the clips that are noised.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        own_share: float = 0.5,
        latent_weight: float = 1.0,
        frequency: dict | None = None,
        perceptual: dict | None = None,
        window: dict | None = None,
        t_range: tuple[int, int] | None = None,
    ) -> None:
        super().__init__(
            frequency=frequency,
            perceptual=perceptual,
            window=window,
            t_range=t_range,
        )
        check_share('own_share', own_share)
        check_factors({'latent_weight': latent_weight})
        self.own_share = own_share
        self.latent_weight = latent_weight

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options of another sampler than it trains for.

        Raises:
            ValueError: naming the option.
        """
        if options.sampler != 'ddim' or options.guidance_scale != 1:
            raise ValueError(
                "`restore_options` must have the sampler 'ddim' and "
                f'`guidance_scale` 1, got {options.sampler!r} and '
                f'{options.guidance_scale}'
            )

    def compute(
        self,
        parts: ModelParts,
        preprocessor: VideoDataPreprocessor,
        options: RestoreOptions,
        inputs: Tensor | None,
        samples: list[VideoSample],
    ) -> dict[str, Tensor]:
        """Compute the losses of a batch; arguments as of Objective."""
        batch = prepare_batch(parts, self, preprocessor, inputs, samples)
        x_t, t, own = self._place(parts, options, batch)
        texts = (batch.text, batch.text)
        v = parts.velocity(x_t, t, texts, batch.z_lq, None).float()
        x0 = parts.schedule.to_x0(x_t, v, t)
        target = parts.schedule.velocity(batch.z0, batch.noise, t)
        away, off = (
            (a - b).square().flatten(1).mean(1)
            for a, b in ((v, target), (x0, batch.z0))
        )
        losses = {
            'loss_velocity': ((1 - own) * away).mean(),
            'loss_latent': self.latent_weight * (own * off).mean(),
        }
        if self.on_pixels:
            assert batch.gt is not None
            losses |= compare_pixels(
                self, parts.autoencoder, x0, batch.gt, batch.random, t
            )
        return losses

    @torch.no_grad()
    def _place(
        self, parts: ModelParts, options: RestoreOptions, batch: Batch
    ) -> tuple[Tensor, Tensor, Tensor]:
        """Choose x_t and t of each clip; 1 for those at own states."""
        x_t = parts.schedule.add_noise(batch.z0, batch.noise, batch.t)
        chance = self.own_share * 2**20
        own = torch.tensor([r.integer(2**20) < chance for r in batch.random])
        own = own.to(x_t.device)
        if not own.any():
            return x_t, batch.t, own.float()
        timesteps = parts.schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        step = batch.random[0].integer(len(timesteps))
        alpha, sigma = parts.schedule.at(timesteps[0])
        start = alpha * batch.z_lq
        if options.noise != 'none':
            start = start + sigma * batch.noise
        *_, state = own_states(
            parts, timesteps[: step + 1], start, batch.z_lq, batch.text
        )
        last = torch.full_like(batch.t, round(timesteps[step]))
        t = torch.where(own, last, batch.t)
        x_t = torch.where(own.view(-1, 1, 1, 1, 1), state, x_t)
        return x_t, t, own.float()
