"""Trains a small autoencoder from scratch, for models without a public one."""

import torch
import torch.nn.functional as F
from einops import rearrange
from mmengine.model import BaseModel
from torch import Tensor

from projects.small_models.autoencoder_init import init_from_patches
from star.models.autoencoders.temporal_vae import TemporalVAE
from star.registry import MODELS
from star.structures import VideoSample


def gradient_loss(pred: Tensor, gt: Tensor) -> Tensor:
    """L1 distance between the horizontal and vertical differences."""
    loss = pred.new_zeros(())
    for dim in (-1, -2):
        loss = loss + (pred.diff(dim=dim) - gt.diff(dim=dim)).abs().mean()
    return loss


def reconstruction_losses(
    pred: Tensor, gt: Tensor, gradient_weight: float
) -> dict[str, Tensor]:
    """Compare a decoded clip with the original.

    Args:
        pred: decoded clip, (N, C, T, H, W).
        gt: original, of the same shape, in [-1, 1].
        gradient_weight: of the loss on image differences.

    Returns:
        Two losses, and `psnr` in dB to watch.
    """
    pred = pred.float()
    with torch.no_grad():
        mse = (pred.clamp(-1, 1) - gt).square().mean()
    return {
        'loss_pixel': (pred - gt).abs().mean(),
        'loss_gradient': gradient_weight * gradient_loss(pred, gt),
        'psnr': 10 * torch.log10(4 / mse),
    }


def train_branches(autoencoder: TemporalVAE) -> None:
    """Freeze a TemporalVAE but for its decoder's residual branches."""
    autoencoder.requires_grad_(False)
    decoder = autoencoder.vae.decoder
    for branches in (decoder.mid_block, decoder.up_blocks):
        branches.requires_grad_(True)


@MODELS.register_module()
class AutoencoderTrainer(BaseModel):
    """Trains the branches of a decoder whose trunk is linear.

    Encoder and trunk compute principal components (`init_from_data`) and
    stay; the decoder's residual branches learn to reconstruct from disturbed
    latents.

    Args:
        autoencoder: config of a TemporalVAE of one level.
        latent_noise: largest standard deviation of the noise on the latents,
            which makes the decoder tolerate the denoiser's errors.
        gradient_weight: of the loss on image differences.
        data_preprocessor: config of a VideoDataPreprocessor.
    """

    def __init__(
        self,
        autoencoder: dict,
        latent_noise: float = 0.2,
        gradient_weight: float = 0.5,
        data_preprocessor: dict | None = None,
    ) -> None:
        preprocessor = data_preprocessor or {'type': 'VideoDataPreprocessor'}
        super().__init__(MODELS.build(preprocessor))
        self.autoencoder = MODELS.build(autoencoder)
        train_branches(self.autoencoder)
        self.latent_noise = latent_noise
        self.gradient_weight = gradient_weight

    def init_from_data(self, batches: list[dict]) -> None:
        """Set the weights from the patches of some batches."""
        patch = self.autoencoder.patch_size
        clips = [self.data_preprocessor(b, True)['inputs'] for b in batches]
        frames = rearrange(torch.cat(clips), 'n c t h w -> (n t) c h w')
        init_from_patches(
            self.autoencoder.vae, F.pixel_unshuffle(frames, patch).cpu()
        )

    def forward(
        self,
        inputs: Tensor,
        data_samples: list[VideoSample],
        mode: str = 'tensor',
    ) -> dict[str, Tensor] | Tensor:
        """Return the losses in mode 'loss', the reconstruction in 'tensor'.

        Args:
            inputs: clips, (N, C, T, H, W) in [-1, 1].
            data_samples: unused.
            mode: 'loss' or 'tensor'.

        Raises:
            ValueError: another `mode`.
        """
        if mode not in ('loss', 'tensor'):
            raise ValueError(f"`mode` must be 'loss' or 'tensor', got {mode}")
        with torch.no_grad():
            z = self.autoencoder.encode(inputs)
        if mode == 'tensor':
            return self.autoencoder.decode(z)
        level = self.latent_noise * torch.rand(len(z), 1, 1, 1, 1)
        noisy = z + level.to(z) * torch.randn_like(z)
        pred = self.autoencoder.decode(noisy)
        return reconstruction_losses(pred, inputs, self.gradient_weight)
