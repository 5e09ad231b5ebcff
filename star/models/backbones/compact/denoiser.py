"""Real-ESRGAN's compact network, extended in time, as a denoiser."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.backbones.i2vgen.blocks import zero_init
from star.models.backbones.i2vgen.encoder import time_sinusoid
from star.models.restoration.limits import Limits
from star.registry import MODELS


class TemporalMix(nn.Module):
    """Mixes each frame with its two neighbours, pixel by pixel.

    A new one returns its input. A clip's first and last frame stand for those
    beyond: a still clip stays still.

    Args:
        dim: channels.
    """

    def __init__(self, dim: int) -> None:
        super().__init__()
        self.conv = zero_init(nn.Conv2d(3 * dim, dim, 1))

    def forward(self, x: Tensor, num_frames: int) -> Tensor:
        """Mix frames, (N T, C, h, w) with T = `num_frames`."""
        clip = x.unflatten(0, (-1, num_frames))
        before = torch.cat([clip[:, :1], clip[:, :-1]], 1).flatten(0, 1)
        after = torch.cat([clip[:, 1:], clip[:, -1:]], 1).flatten(0, 1)
        return x + self.conv(torch.cat([before, x, after], 1))


@MODELS.register_module()
class CompactDenoiser(nn.Module):
    """Predicts the velocity with convolutions of one width and no levels.

    For latents that are patches of pixels (`PatchDCT`). A convolution reads
    the low-quality clip's pixels from its latents; they pass a row of
    convolutions and become latents again. The row has the names and shapes of
    SRVGGNetCompact, so that it can start from a network for images. To that
    are added: a `TemporalMix` after every few convolutions, and the noised
    latents and the timestep in the first features. All three have no effect
    until they are trained. There is no text and no attention, hence no LIEM.

    Args:
        in_dim: channels of the latents.
        dim: width of the row, even.
        num_conv: inner convolutions of the row, as in SRVGGNetCompact.
        mix_every: convolutions between two `TemporalMix`.
        gain: of the prediction; the inverse of the STARModel's
            `residual_std` lets the network predict z0 - z_lq itself.
        max_timestep: the noisiest timestep that it is trained for; None for
            all.
        scale: that it is trained for; None for any. With a smaller one the
            enlarged clip has details that the pixels read from its latents
            lack.

    Raises:
        ValueError: an argument below 1, or `dim` is odd.
    """

    size_multiple, size_remainder = (1, 1), (0, 0)  # any size

    def __init__(
        self,
        in_dim: int = 48,
        dim: int = 64,
        num_conv: int = 32,
        mix_every: int = 4,
        gain: float = 1.0,
        max_timestep: int | None = None,
        scale: float | None = None,
    ) -> None:
        super().__init__()
        sizes = {
            'in_dim': in_dim,
            'num_conv': num_conv,
            'mix_every': mix_every,
        }
        for name, value in sizes.items():
            if value < 1:
                raise ValueError(f'`{name}` must be at least 1, got {value}')
        if dim < 2 or dim % 2:
            raise ValueError(f'`dim` must be even and at least 2, got {dim}')
        self.in_dim = in_dim
        self.dim = dim
        self.num_conv = num_conv
        self.gain = gain
        self.limits = Limits(max_timestep, scale)
        self.pixels = nn.Conv2d(
            in_dim, 3, 3, padding=1, padding_mode='replicate'
        )
        self.noised = zero_init(nn.Conv2d(in_dim, dim, 3, padding=1))
        self.time = zero_init(nn.Linear(dim, dim))
        layers: list[nn.Module] = []
        for inputs in [3] + [dim] * num_conv:
            layers += [nn.Conv2d(inputs, dim, 3, padding=1), nn.PReLU(dim)]
        layers.append(zero_init(nn.Conv2d(dim, in_dim, 3, padding=1)))
        self.body = nn.Sequential(*layers)
        self.mix_every = 2 * mix_every  # of the row, activations counted
        mixes = [TemporalMix(dim) for _ in range(num_conv // mix_every)]
        self.mixes = nn.ModuleList(mixes)
        self.skip = zero_init(nn.Conv2d(3 + in_dim, in_dim, 1))

    def project_text(self, text: Tensor) -> Tensor:
        """Return the text, which is not used."""
        return text

    def forward(
        self, z_t: Tensor, t: Tensor, text: Any, control: Tensor
    ) -> Tensor:
        """Predict the velocity, in the units of `residual_std`.

        Args:
            z_t: noised latents, (N, in_dim, T, h, w).
            t: timesteps, (N,) int64.
            text: unused.
            control: low-quality latents, from `LatentConcat`, of the shape
                of `z_t`.

        Returns:
            (N, in_dim, T, h, w), of the dtype of `z_t`.
        """
        num_frames = z_t.shape[2]
        dtype = self.skip.weight.dtype
        lq = _frames(control).to(dtype)
        pixels = self.pixels(lq)
        x = self.body[0](pixels) + self.noised(_frames(z_t).to(dtype) - lq)
        embed = self.time(time_sinusoid(t, self.dim).to(dtype))
        x = x + embed.repeat_interleave(num_frames, 0)[..., None, None]
        x = self._row(x, num_frames)
        x = x + self.skip(torch.cat([pixels, lq], 1))
        v = rearrange(-self.gain * x, '(n t) c h w -> n c t h w', t=num_frames)
        return v.to(z_t.dtype)

    def _row(self, x: Tensor, num_frames: int) -> Tensor:
        """Go through the row but for its first convolution."""
        mixes = iter(self.mixes)
        for i, layer in enumerate(list(self.body)[1:], 1):
            x = layer(x)
            inner = i > 1 and i % self.mix_every == 1
            if inner and (mix := next(mixes, None)):
                x = mix(x, num_frames)
        return x


def _frames(z: Tensor) -> Tensor:
    frames = rearrange(z, 'n c t h w -> (n t) c h w')
    return frames.contiguous(memory_format=torch.channels_last)
