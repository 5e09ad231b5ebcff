"""Trains a small model on what its own sampler restores in few steps."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.diffusion.samplers import SAMPLERS, normal_timesteps
from star.models.autoencoder_trainer import (
    reconstruction_losses,
    train_branches,
)
from star.models.checkpoints import load_checkpoint_file, unwrap
from star.models.restoration import START_TIMESTEP
from star.registry import MODELS
from star.structures import VideoSample


@MODELS.register_module()
class SamplerTrainer(BaseModel):
    """Teaches a small model to restore in few steps, end to end.

    A low-quality clip is restored as in use, with a number of steps drawn
    for every batch; the decoded clip is compared with the ground truth, and
    the gradient passes the decoder and the last evaluation of the networks.
    Networks of this size stay far from their velocity, so what they start
    the next step from differs from what the velocity loss shows them; here
    they see it. The autoencoder's encoder and trunk stay.

    Args:
        star: config of the STARModel.
        pretrained: its weights, a file that holds all of them.
        steps: numbers of evaluations to draw from.
        sampler: 'ddim', 'dpmpp_2m_sde' or 'heun'.
        strength: of the noise that the low-quality latent gets, as in
            RestoreOptions.
        train_networks: whether backbone and ControlNet learn, too, or the
            decoder alone.
        clean: share of batches that are the ground truth, encoded and
            decoded, so that the decoder stays an autoencoder's, [0, 1].
        perceptual_loss: config of a PerceptualLoss; None for L1 distances of
            pixels and of image differences.
        data_preprocessor: config of a VideoDataPreprocessor.

    Raises:
        ValueError: `sampler` is unknown, `steps` empty or below 1, or
            `strength` out of range.
    """

    def __init__(
        self,
        star: dict,
        pretrained: str | None = None,
        steps: tuple[int, ...] = (1, 2),
        sampler: str = 'ddim',
        strength: float = 1.0,
        train_networks: bool = True,
        clean: float = 0.1,
        perceptual_loss: dict | None = None,
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        if sampler not in SAMPLERS:
            raise ValueError(
                f'`sampler` must be in {sorted(SAMPLERS)}, got {sampler!r}'
            )
        if not 0 < strength <= 1:
            raise ValueError(
                f'`strength` must be above 0 and at most 1, got {strength}'
            )
        if not steps or min(steps) < 1:
            raise ValueError(f'`steps` must be positive, got {steps}')
        self.star = MODELS.build(star)
        if pretrained is not None:
            state = unwrap(load_checkpoint_file(pretrained))
            self.star.load_state_dict(state)
        train_branches(self.star.autoencoder)
        if not train_networks:
            self.star.backbone.requires_grad_(False)
            self.star.controlnet.requires_grad_(False)
        start = round(START_TIMESTEP * strength)
        self.timesteps = [normal_timesteps(n, start) for n in steps]
        self.sample = SAMPLERS[sampler]
        self.clean = clean
        self.perceptual_loss = (
            None if perceptual_loss is None else MODELS.build(perceptual_loss)
        )

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[VideoSample],
        mode: str = 'loss',
    ) -> dict[str, Tensor]:
        """Compute the losses of the decoded clips.

        Args:
            inputs: low-quality clips at the size of the ground truth,
                (N, C, T, H, W) in [-1, 1].
            data_samples: with `gt` and `prompt`.
            mode: 'loss'.

        Raises:
            ValueError: another `mode`.
        """
        if mode != 'loss':
            raise ValueError(f"`mode` must be 'loss', got {mode!r}")
        gt = self.data_preprocessor.stack(data_samples, 'gt')
        prompts = [sample.prompt for sample in data_samples]
        if torch.rand(()) < self.clean:
            with torch.no_grad():
                z = self.star.autoencoder.encode(gt)
        else:
            z = self._restore(inputs, prompts)
        pred = self.star.autoencoder.decode(z)
        return self._losses(pred, gt)

    def _losses(self, pred: Tensor, gt: Tensor) -> dict[str, Tensor]:
        if self.perceptual_loss is None:
            return reconstruction_losses(pred, gt, gradient_weight=0.5)
        t = torch.zeros(len(gt), dtype=torch.long, device=gt.device)
        with torch.no_grad():
            mse = (pred.float().clamp(-1, 1) - gt).square().mean()
        loss = self.perceptual_loss(pred, gt, t)
        return {'loss_perceptual': loss, 'psnr': 10 * torch.log10(4 / mse)}

    def _restore(self, lq: Tensor, prompts: list[str]) -> Tensor:
        """Sample latents (N, C, T, h, w); only the last step has gradient."""
        star, schedule = self.star, self.star.schedule
        with torch.no_grad():
            text = star.text_encoder(prompts)
            z_lq = star.autoencoder.encode(lq)
        which = int(torch.randint(len(self.timesteps), ()))
        timesteps = self.timesteps[which]

        def denoise(x_t: Tensor, t: int) -> Tensor:
            steps = torch.full((len(x_t),), t, device=x_t.device)
            with torch.set_grad_enabled(t == round(timesteps[-1])):
                v = star.velocity(x_t, steps, (text, text), z_lq)
                return schedule.to_x0(x_t, v.float(), steps)

        def noise(_: int) -> Tensor:
            return torch.randn_like(z_lq)

        alpha, sigma = schedule.at(timesteps[0])
        start = alpha * z_lq + sigma * noise(0)
        return self.sample(denoise, start, timesteps, schedule, noise)
