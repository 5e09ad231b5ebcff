"""Real-ESRGAN's compact network, extended in time, as a denoiser."""

from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.backbones.i2vgen.blocks import zero_init
from star.models.backbones.i2vgen.encoder import time_sinusoid
from star.models.layers.areas import Area, Surroundings, whole
from star.models.layers.bands import (
    BandStage,
    BandStream,
    ClipStrip,
    pair_layers,
    rows_of_band,
)
from star.models.layers.float32_conv import Float32Conv2d
from star.models.layers.same_conv import same_conv
from star.models.restoration.limits import Limits
from star.registry import MODELS
from star.utils.checks import check_least


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

    def mix(self, before: Tensor, x: Tensor, after: Tensor) -> Tensor:
        """Mix pixels of a frame with those of its neighbours, (n, C) each."""
        parts = self.conv.weight[:, :, 0, 0].t().chunk(3)
        assert self.conv.bias is not None
        out = torch.addmm(self.conv.bias, before, parts[0])
        return out.addmm_(x, parts[1]).addmm_(after, parts[2]).add_(x)

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
    enter_context, leave_context = 2, 1  # pixels around an area
    bfloat16_on_cpu = True

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
            check_least(name, value, 1)
        if dim < 2 or dim % 2:
            raise ValueError(f'`dim` must be even and at least 2, got {dim}')
        self.in_dim = in_dim
        self.dim = dim
        self.num_conv = num_conv
        self.gain = gain
        self.limits = Limits(max_timestep, scale)
        self.pixels = Float32Conv2d(
            in_dim, 3, 3, padding=1, padding_mode='replicate'
        )
        self.noised = zero_init(nn.Conv2d(in_dim, dim, 3, padding=1))
        self.time = zero_init(nn.Linear(dim, dim))
        layers: list[nn.Module] = []
        layers += [Float32Conv2d(3, dim, 3, padding=1), nn.PReLU(dim)]
        for _ in range(num_conv):
            layers += [nn.Conv2d(dim, dim, 3, padding=1), nn.PReLU(dim)]
        layers.append(zero_init(nn.Conv2d(dim, in_dim, 3, padding=1)))
        self.body = nn.Sequential(*layers)
        self.mix_every = mix_every
        mixes = [TemporalMix(dim) for _ in range(num_conv // mix_every)]
        self.mixes = nn.ModuleList(mixes)
        self.skip = zero_init(Float32Conv2d(3 + in_dim, in_dim, 1))

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
        dtype = self.skip.weight.dtype
        x, lq = _frames(z_t).to(dtype), _frames(control).to(dtype)
        # a band's pieces are mixed in place, which autocast does not convert
        trains = torch.is_grad_enabled() or x.is_meta or _is_cast(x)
        run = self._row if trains else self._by_bands
        v = run(x, lq, t, z_t.shape[2])
        v = rearrange(v, '(n t) c h w -> n c t h w', t=z_t.shape[2])
        return v.to(z_t.dtype)

    @property
    def stages(self) -> list[BandStage]:
        """The row between `enter` and `leave`."""
        layers, size = pair_layers(list(self.body)[2:]), self.mix_every
        stages = []
        for mix in self.mixes:
            assert isinstance(mix, TemporalMix)
            stages.append(BandStage(layers[:size], mix.mix))
            layers = layers[size:]
        return [*stages, BandStage(layers)]

    def enter(
        self, z_t: Tensor, lq: Tensor, t: Tensor, place: Surroundings
    ) -> Tensor:
        """Compute the first features of an area.

        Args:
            z_t: noised latents of the area with its context, (n, in_dim, h,
                w) float32.
            lq: low-quality latents, of the shape of `z_t`.
            t: timesteps, (n,).
            place: of the area, with a context of `enter_context`.

        Returns:
            (n, dim, rows, columns) of the area, in the dtype of the row.
        """
        pixels = place.convolve(self.pixels, lq)
        first = self.body[0]
        assert isinstance(first, nn.Conv2d)
        noise = place.lose(z_t - lq).to(self.noised.weight.dtype)
        x = place.convolve(self.noised, noise)
        x = place.convolve(first, pixels).to(x.dtype) + x
        embed = self.time(time_sinusoid(t, self.dim).to(x.dtype))
        return self.body[1](place.crop(x) + embed[..., None, None])

    def leave(self, x: Tensor, lq: Tensor, place: Surroundings) -> Tensor:
        """Make the velocity of an area of the last features, in float32.

        Args:
            x: the row's output, (n, in_dim, rows, columns).
            lq: low-quality latents of the area with its context.
            place: of the area, with a context of `leave_context`.
        """
        pixels = place.convolve(self.pixels, lq)
        skip = torch.cat([pixels, place.lose(lq)], 1)
        skip = same_conv(skip, self.skip.weight, self.skip.bias)
        return -self.gain * (x + place.crop(skip))

    def _row(
        self, z_t: Tensor, lq: Tensor, t: Tensor, num_frames: int
    ) -> Tensor:
        """Predict whole frames (N T, C, h, w), layer by layer."""
        place = whole((z_t.shape[2], z_t.shape[3]))
        x = self.enter(z_t, lq, t.repeat_interleave(num_frames), place)
        mixes = iter(self.mixes)
        for stage in self.stages:
            for layer in stage.layers:
                x = layer(x)
            if stage.mix:
                x = next(mixes)(x, num_frames)
        return self.leave(x, lq, place)

    def _by_bands(
        self, z_t: Tensor, lq: Tensor, t: Tensor, num_frames: int
    ) -> Tensor:
        """Predict frames (N T, C, h, w) band by band."""
        out = torch.empty_like(z_t)
        size = (z_t.shape[2], z_t.shape[3])

        def source(frame: int, area: Area) -> Tensor:
            place, clip = (
                Surroundings(area, size, self.enter_context),
                frame // n,
            )
            x, low = (place.wide.cut(z[frame, None]) for z in (z_t, lq))
            return self.enter(x, low, t[clip, None], place)

        def sink(frame: int, area: Area, x: Tensor) -> None:
            place = Surroundings(area, size, self.leave_context)
            low = place.wide.cut(lq[frame, None])
            area.cut(out[frame, None]).copy_(self.leave(x, low, place))

        n, rows = num_frames, rows_of_band(size[1], z_t.device, num_frames)
        for first in range(0, len(z_t), n):
            strip = ClipStrip(size, range(size[1]), first, rows)
            frames = range(first, first + n)
            stream = BandStream(self.stages, source, sink, strip, frames)
            stream.advance(frames.stop, ended=True)
        return out


def _is_cast(x: Tensor) -> bool:
    """Return whether operations choose their own types."""
    return torch.is_autocast_enabled(x.device.type)


def _frames(z: Tensor) -> Tensor:
    frames = rearrange(z, 'n c t h w -> (n t) c h w')
    return frames.contiguous(memory_format=torch.channels_last)
