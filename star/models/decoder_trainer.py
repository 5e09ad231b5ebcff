"""Trains a small model's decoder on what its own denoiser restores."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.diffusion.samplers import normal_timesteps, sample_dpmpp_2m_sde
from star.models.autoencoder_trainer import (
    reconstruction_losses,
    train_branches,
)
from star.models.checkpoints import load_checkpoint_file, unwrap
from star.registry import MODELS
from star.structures import VideoSample


@MODELS.register_module()
class DecoderTrainer(BaseModel):
    """Teaches the decoder to see past the errors of restored latents.

    Everything but the decoder's residual branches stays. The decoder gets
    latents that the model has restored from low-quality clips, and sometimes
    those of the ground truth, so that it stays an autoencoder's.

    Args:
        star: config of the STARModel.
        pretrained: its weights, a file that holds all of them.
        steps: evaluations of the sampler.
        clean: share of batches with the ground truth's latents, [0, 1].
        gradient_weight: of the loss on image differences.
        data_preprocessor: config of a VideoDataPreprocessor.
    """

    def __init__(
        self,
        star: dict,
        pretrained: str | None = None,
        steps: int = 2,
        clean: float = 0.2,
        gradient_weight: float = 0.5,
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        self.star = MODELS.build(star)
        if pretrained is not None:
            state = unwrap(load_checkpoint_file(pretrained))
            self.star.load_state_dict(state)
        self.star.requires_grad_(False)
        train_branches(self.star.autoencoder)
        self.timesteps = normal_timesteps(steps)
        self.clean = clean
        self.gradient_weight = gradient_weight

    def train(self, mode: bool = True) -> 'DecoderTrainer':
        """Switch to training mode; the network has no dropout to switch."""
        super().train(mode)
        self.star.eval()
        return self

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
        with torch.no_grad():
            if torch.rand(()) < self.clean:
                z = self.star.autoencoder.encode(gt)
            else:
                z = self._restore(inputs, prompts)
        pred = self.star.autoencoder.decode(z)
        return reconstruction_losses(pred, gt, self.gradient_weight)

    def _restore(self, lq: Tensor, prompts: list[str]) -> Tensor:
        """Sample latents (N, C, T, h, w) for low-quality clips."""
        star, schedule = self.star, self.star.schedule
        text = star.text_encoder(prompts)
        z_lq = star.autoencoder.encode(lq)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            steps = torch.full((len(x_t),), t, device=x_t.device)
            v = star.velocity(x_t, steps, (text, text), z_lq)
            return schedule.to_x0(x_t, v.float(), steps)

        def noise(_: int) -> Tensor:
            return torch.randn_like(z_lq)

        alpha, sigma = schedule.at(self.timesteps[0])
        return sample_dpmpp_2m_sde(
            denoise,
            alpha * z_lq + sigma * noise(0),
            self.timesteps,
            schedule,
            noise,
        )
