"""A diffusion model around the estimate of a network that is there already."""

from typing import Any, NamedTuple

import torch
from einops import rearrange
from torch import Tensor, nn

from star.diffusion.precondition import check_std, lq_velocity
from star.models.autoencoders.patch_dct import PatchDCT
from star.models.backbones.compact.denoiser import CompactDenoiser
from star.models.layers.areas import whole
from star.models.restoration.limits import Limits
from star.registry import MODELS
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state


class EstimateControl(NamedTuple):
    """The control that `EstimateControlNet` gives `EstimateUNet`.

    Attributes:
        residuals: of the blocks, as of `UNetControlNet`.
        x: the noised error of the estimate, of deviation 1, and the estimate,
            (N, 2 C, T, h, w).
        base: velocity if the estimate is all that is known, (N, C, T, h, w).
        scale: deviation of its error, (N, C, 1, 1, 1).
    """

    residuals: list[Tensor]
    x: Tensor
    base: Tensor
    scale: Tensor


@MODELS.register_module()
class EstimateControlNet(nn.Module):
    """A ControlNet that sees what a frozen small model restores in one step.

    The small model's result, its last features and the low-quality latents
    steer the backbone. The backbone learns the error of the result alone, as
    `lq_velocity` states it around the result.

    Args:
        estimator: config of a STARModel with a CompactDenoiser.
        controlnet: config of a UNetControlNet of twice the channels of the
            latents.
        schedule: config of the noise schedule of the backbone.
        patch_size: side of the patches (`PatchDCT`) that the latents stand
            for, a multiple of the side of the estimator's.
        residual_std: deviation of z0 - estimate in each channel.
        pretrained: file with the weights of the estimator; None for random
            ones, which a checkpoint replaces.
        strength: share of the first timestep, at which the estimator works.

    Raises:
        ValueError: `residual_std` does not fit the latents, or the estimator
            has no CompactDenoiser.
    """

    def __init__(
        self,
        estimator: dict,
        controlnet: dict,
        schedule: dict,
        patch_size: int,
        residual_std: list[float],
        pretrained: str | None = None,
        strength: float = 0.01,
    ) -> None:
        super().__init__()
        self.estimator = MODELS.build(estimator)
        if pretrained is not None:
            state = read_state(pretrained)
            load_strict(self.estimator, state, pretrained)
        self.estimator.requires_grad_(False)
        denoiser = self.estimator.backbone
        if not isinstance(denoiser, CompactDenoiser):
            raise ValueError(
                '`estimator` must have a CompactDenoiser as its backbone, got '
                f'{type(denoiser).__name__}'
            )
        self.schedule = MODELS.build(schedule)
        self.patches = PatchDCT(patch_size)
        self.finer = patch_size // self.estimator.autoencoder.downsample
        channels = self.patches.latent_channels
        check_std(residual_std, channels)
        self.residual_std = residual_std
        start = self.estimator.schedule.start_timestep
        self.timestep = round(start * strength)
        seen = denoiser.dim * self.finer**2
        self.features = nn.Conv2d(seen, channels, 1)
        self.controlnet = MODELS.build(controlnet)
        self.controlnet.hint_conv.reset_parameters()
        self._known: tuple[Tensor, tuple[Tensor, Tensor]] | None = None

    def project_text(self, text: Tensor) -> Any:
        """Compute keys and values of the text, as `UNetControlNet`."""
        return self.controlnet.project_text(text)

    def forward(
        self, z_t: Tensor, t: Tensor, text: Any, z_lq: Tensor
    ) -> EstimateControl:
        """Compute the control.

        Args:
            z_t: noised latents, (N, C, T, h, w).
            t: timesteps, (N,) int64.
            text: embeddings, or the result of `project_text`.
            z_lq: latents of the low-quality clip, of the shape of `z_t`.
        """
        z, seen = self.estimate(z_lq)
        alpha, sigma = (
            levels[t].view(-1, 1, 1, 1, 1)
            for levels in (self.schedule.alpha, self.schedule.sigma)
        )
        std = alpha.new_tensor(self.residual_std).view(-1, 1, 1, 1)
        with torch.autocast(z.device.type, enabled=False):
            base, scale = lq_velocity(z_t.float(), z, std, alpha, sigma)
            error = z_t - alpha * z
            error = error / (alpha**2 * std**2 + sigma**2).sqrt()
        x = torch.cat([error, z], 1)
        dtype = self.features.weight.dtype
        hint = by_frame(self.features, seen.to(dtype))
        hint = torch.cat([z_lq.to(dtype), hint.to(dtype)], 1)
        residuals = self.controlnet(x, t, text, hint)
        return EstimateControl(residuals, x, base, scale)

    @torch.no_grad()
    def estimate(self, z_lq: Tensor) -> tuple[Tensor, Tensor]:
        """Restore latents with the frozen model, without noise.

        The last result is kept: a sampler asks for one clip at every step.

        Args:
            z_lq: (N, C, T, h, w).

        Returns:
            Restored latents, float32, of the shape of `z_lq`, and the last
            features of all the estimator's patches, (N, D, T, h, w).
        """
        if self._known is not None:
            same = self._known[0].shape == z_lq.shape
            if same and torch.equal(self._known[0], z_lq):
                return self._known[1]
        with torch.autocast(z_lq.device.type, enabled=False):
            fine = self._exchange(z_lq.float(), to_estimator=True)
        z, seen = self._estimate(fine)
        z = self._exchange(z, to_estimator=False)
        seen = by_frame(nn.PixelUnshuffle(self.finer), seen)
        self._known = z_lq.clone(), (z, seen)
        return z, seen

    def _exchange(self, z: Tensor, to_estimator: bool) -> Tensor:
        """Turn latents of ours to those of the estimator, or back."""
        other = self.estimator.autoencoder
        source, target = self.patches, other
        if not to_estimator:
            source, target = target, source
        return target.encode(source.decode(z))

    def _estimate(self, z_lq: Tensor) -> tuple[Tensor, Tensor]:
        """Restore the estimator's latents; also return its last features."""
        schedule = self.estimator.schedule
        t = torch.full((len(z_lq),), self.timestep, device=z_lq.device)
        z_t = schedule.add_noise(z_lq, torch.zeros_like(z_lq), t)
        v, seen = run_denoiser(self.estimator.backbone, z_t, t, z_lq)
        with torch.autocast(z_lq.device.type, enabled=False):
            v = self.estimator.complete(v.float(), z_t, t, z_lq)
            return schedule.to_x0(z_t, v, t), seen


@MODELS.register_module()
class EstimateUNet(nn.Module):
    """A UNet that corrects the estimate of an `EstimateControlNet`.

    A new one returns the velocity that leads to the estimate, whatever the
    timestep.

    Args:
        unet: config of an I2VGenUNet with twice as many channels in as out.
    """

    limits = Limits()

    def __init__(self, unet: dict) -> None:
        super().__init__()
        self.unet = MODELS.build(unet)

    @property
    def size_multiple(self) -> tuple[int, int]:
        """Of the UNet, like `size_remainder`."""
        return self.unet.size_multiple

    @property
    def size_remainder(self) -> tuple[int, int]:
        """Of the UNet."""
        return self.unet.size_remainder

    def project_text(self, text: Tensor) -> Any:
        """Compute keys and values of the text, as `I2VGenUNet`."""
        return self.unet.project_text(text)

    def forward(
        self, z_t: Tensor, t: Tensor, text: Any, control: EstimateControl
    ) -> Tensor:
        """Predict the velocity.

        Args:
            z_t: noised latents, (N, C, T, h, w); seen through `control`.
            t: timesteps, (N,) int64.
            text: embeddings, or the result of `project_text`.
            control: from `EstimateControlNet`.

        Returns:
            (N, C, T, h, w), of the dtype of `z_t`.
        """
        v = self.unet(control.x, t, text, control.residuals)
        return (control.base + control.scale * v.float()).to(z_t.dtype)


def run_denoiser(
    denoiser: CompactDenoiser, z_t: Tensor, t: Tensor, z_lq: Tensor
) -> tuple[Tensor, Tensor]:
    """Run a CompactDenoiser and show its last features, too.

    Args:
        denoiser: to be run.
        z_t: noised latents, (N, C, T, h, w).
        t: timesteps, (N,) int64.
        z_lq: low-quality latents, of the shape of `z_t`.

    Returns:
        What it predicts, (N, C, T, h, w), and the features that its last
        convolution sees, (N, dim, T, h, w).
    """
    length, dtype = z_t.shape[2], denoiser.skip.weight.dtype
    x, lq = (
        rearrange(z.to(dtype), 'n c t h w -> (n t) c h w').contiguous(
            memory_format=torch.channels_last
        )
        for z in (z_t, z_lq)
    )
    place = whole((x.shape[2], x.shape[3]))
    x = denoiser.enter(x, lq, t.repeat_interleave(length), place)
    mixes = iter(denoiser.mixes)
    *layers, last = [
        (layer, i == len(stage.layers) - 1 and stage.mix)
        for stage in denoiser.stages
        for i, layer in enumerate(stage.layers)
    ]
    for layer, mixed in layers:
        x = layer(x)
        if mixed:
            x = next(mixes)(x, length)
    v = denoiser.leave(last[0](x), lq, place)
    back = '(n t) c h w -> n c t h w'
    return rearrange(v, back, t=length), rearrange(x, back, t=length)


def by_frame(layer: nn.Module, x: Tensor) -> Tensor:
    """Apply a layer of images to each frame of (N, C, T, h, w)."""
    frames = layer(rearrange(x, 'n c t h w -> (n t) c h w'))
    return rearrange(frames, '(n t) c h w -> n c t h w', t=x.shape[2])
