"""Trains a small model on what its own sampler restores in few steps."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from star.diffusion.samplers import sample_ddim
from star.diffusion.timesteps import normal_timesteps
from star.registry import MODELS
from star.structures import VideoSample
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state


@MODELS.register_module()
class SamplerTrainer(BaseModel):
    """Teaches a small model to restore in few steps, end to end.

    A low-quality clip is restored as in use, with a number of steps drawn
    for every batch. The decoded clip is compared with the ground truth, and
    the gradient passes the decoder and the last evaluation of the backbone.
    A network of this size stays far from the true velocity, so a later step
    starts elsewhere than the velocity loss shows it; here the network sees
    where. All parts but the backbone are frozen.

    Args:
        star: config of the STARModel.
        loss: config of a RestorationLoss.
        pretrained: weights of the STARModel, a file that holds all of them.
        steps: numbers of evaluations to draw from.
        strength: of the noise that the low-quality latent gets, as in
            RestoreOptions.
        data_preprocessor: config of a VideoDataPreprocessor.

    Raises:
        ValueError: `steps` is empty or below 1, or `strength` out of range.
    """

    def __init__(
        self,
        star: dict,
        loss: dict,
        pretrained: str | None = None,
        steps: tuple[int, ...] = (1, 2),
        strength: float = 1.0,
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        if not 0 < strength <= 1:
            raise ValueError(
                f'`strength` must be above 0 and at most 1, got {strength}'
            )
        if not steps or min(steps) < 1:
            raise ValueError(f'`steps` must be positive, got {steps}')
        self.star = MODELS.build(star)
        if pretrained is not None:
            load_strict(self.star, read_state(pretrained), pretrained)
        self.star.requires_grad_(False)
        self.star.backbone.requires_grad_(True)
        start = round(self.star.schedule.start_timestep * strength)
        self.timesteps = [normal_timesteps(n, start) for n in steps]
        self.loss = MODELS.build(loss)

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

        Returns:
            The terms of the loss, and `psnr` in dB to watch.

        Raises:
            ValueError: another `mode`.
        """
        if mode != 'loss':
            raise ValueError(f"`mode` must be 'loss', got {mode!r}")
        gt = self.data_preprocessor.stack(data_samples, 'gt')
        z = self._restore(inputs, [sample.prompt for sample in data_samples])
        with torch.autocast(z.device.type, enabled=False):
            pred = self.star.autoencoder.decode(z.float())
        with torch.no_grad():
            mse = (pred.float().clamp(-1, 1) - gt).square().mean()
        terms = self.loss.terms(pred, gt, inputs)
        return {**terms, 'psnr': 10 * torch.log10(4 / mse)}

    def _restore(self, lq: Tensor, prompts: list[str]) -> Tensor:
        """Sample latents (N, C, T, h, w); only the last step has gradient."""
        star, schedule = self.star, self.star.schedule
        with torch.no_grad(), torch.autocast(lq.device.type, enabled=False):
            z_lq = star.autoencoder.encode(lq)
            text = star.text_encoder(prompts)
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
        return sample_ddim(denoise, start, timesteps, schedule, noise)
