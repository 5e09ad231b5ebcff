"""Trains a small model on what its own sampler restores in few steps."""

import torch
from mmengine.model import BaseModel
from torch import Tensor

from projects.small_models.autoencoder_trainer import (
    reconstruction_losses,
    train_branches,
)
from star.diffusion.samplers import SAMPLERS
from star.diffusion.timesteps import normal_timesteps
from star.models.backbones.i2vgen.checkpoints import (
    load_checkpoint_file,
    unwrap,
)
from star.models.editors.star.star_model import STARModel
from star.registry import MODELS
from star.structures import VideoSample

PARTS = ('backbone', 'controlnet', 'decoder')


@MODELS.register_module()
class SamplerTrainer(BaseModel):
    """Teaches a small model to restore in few steps, end to end.

    A low-quality clip is restored as in use, with a number of steps drawn
    for every batch; the decoded clip is compared with the ground truth, and
    the gradient passes the decoder and the last evaluation of the networks.
    Networks of this size stay far from their velocity, so what they start
    the next step from differs from what the velocity loss shows them; here
    they see it. The autoencoder's encoder and trunk stay; it works in the
    precision of its weights, without autocast, because one that started from
    patches (`autoencoder_init`) loses its finest components in bfloat16.

    Args:
        star: config of the STARModel.
        pretrained: its weights, a file that holds all of them.
        steps: numbers of evaluations to draw from.
        sampler: 'ddim', 'dpmpp_2m_sde' or 'heun'.
        strength: of the noise that the low-quality latent gets, as in
            RestoreOptions.
        trained: parts that learn, of 'backbone', 'controlnet' and 'decoder',
            of which the branches.
        clean: share of batches that are the ground truth, encoded and
            decoded, so that the decoder stays an autoencoder's, [0, 1].
        loss: config of a RestorationLoss; None for L1 distances of pixels and
            of image differences.
        data_preprocessor: config of a VideoDataPreprocessor.

    Raises:
        ValueError: `sampler` is unknown, `steps` empty or below 1, `trained`
            empty, not of the parts or without weights, or `strength` out of
            range.
    """

    def __init__(
        self,
        star: dict,
        pretrained: str | None = None,
        steps: tuple[int, ...] = (1, 2),
        sampler: str = 'ddim',
        strength: float = 1.0,
        trained: tuple[str, ...] = PARTS,
        clean: float = 0.1,
        loss: dict | None = None,
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
        if not trained or not set(trained) <= set(PARTS):
            raise ValueError(f'`trained` must be of {PARTS}, got {trained}')
        self.star = MODELS.build(star)
        if pretrained is not None:
            state = unwrap(load_checkpoint_file(pretrained))
            self.star.load_state_dict(state)
        _train_parts(self.star, trained)
        start = round(self.star.schedule.start_timestep * strength)
        self.timesteps = [normal_timesteps(n, start) for n in steps]
        self.sample = SAMPLERS[sampler]
        self.clean = clean
        self.loss = None if loss is None else MODELS.build(loss)

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
            z = self._encode(gt)
        else:
            z = self._restore(inputs, prompts)
        with torch.autocast(z.device.type, enabled=False):
            pred = self.star.autoencoder.decode(z.float())
        return self._losses(pred, gt, inputs)

    @torch.no_grad()
    def _encode(self, clips: Tensor) -> Tensor:
        """Encode (N, C, T, H, W) without gradient and autocast."""
        with torch.autocast(clips.device.type, enabled=False):
            return self.star.autoencoder.encode(clips)

    def _losses(
        self, pred: Tensor, gt: Tensor, lq: Tensor
    ) -> dict[str, Tensor]:
        if self.loss is None:
            return reconstruction_losses(pred, gt, gradient_weight=0.5)
        with torch.no_grad():
            mse = (pred.float().clamp(-1, 1) - gt).square().mean()
        terms = self.loss.terms(pred, gt, lq)
        return {**terms, 'psnr': 10 * torch.log10(4 / mse)}

    def _restore(self, lq: Tensor, prompts: list[str]) -> Tensor:
        """Sample latents (N, C, T, h, w); only the last step has gradient."""
        star, schedule = self.star, self.star.schedule
        z_lq = self._encode(lq)
        with torch.no_grad():
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
        return self.sample(denoise, start, timesteps, schedule, noise)


def _train_parts(star: STARModel, trained: tuple[str, ...]) -> None:
    """Freeze what is not to learn; of the autoencoder more than that."""
    star.autoencoder.requires_grad_(False)
    if 'decoder' in trained:
        if not list(star.autoencoder.parameters()):
            kind = type(star.autoencoder).__name__
            raise ValueError(
                f"`trained` cannot have 'decoder': {kind} has no weights"
            )
        train_branches(star.autoencoder)
    for name in {'backbone', 'controlnet'} - set(trained):
        star.get_submodule(name).requires_grad_(False)
