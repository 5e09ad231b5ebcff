"""Whole restorations as one graph of tensors, to be exported."""

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from star.diffusion.timesteps import normal_timesteps
from star.models.backbones.compact.denoiser import (
    CompactDenoiser,
    TemporalMix,
)
from star.models.backbones.i2vgen.encoder import time_sinusoid
from star.models.data_preprocessor import to_float, upsample_clip
from star.models.editors.real_esrgan.real_esrgan import RealESRGANCompact
from star.models.editors.real_esrgan.srvgg import SRVGGNetCompact
from star.models.editors.star.star_model import STARModel


def make_graph(model: nn.Module) -> nn.Module:
    """Return a module that restores a clip without loops over its size.

    Args:
        model: `RealESRGANCompact`, or a STARModel with a `CompactDenoiser`
            and one step without guidance; in float32 on the CPU.

    Returns:
        Module of frames, (T, 3, h, w) uint8, that gives (T, 3, H, W) uint8.

    Raises:
        ValueError: the model is another one.
    """
    if isinstance(model, RealESRGANCompact):
        return EsrganGraph(model)
    if isinstance(model, STARModel):
        options = model.restore_options
        simple = (options.steps, options.guidance_scale) == (1, 1)
        compact = isinstance(model.backbone, CompactDenoiser)
        if simple and compact and options.color_fix == 'none':
            return CompactGraph(model)
    raise ValueError(
        '`config` must be a compact Real-ESRGAN or a compact model of one '
        f'step, such as tiny_compact, got {type(model).__name__}'
    )


class EsrganGraph(nn.Module):
    """Restores frames with a compact Real-ESRGAN.

    Args:
        model: with weights.
    """

    def __init__(self, model: RealESRGANCompact) -> None:
        super().__init__()
        assert isinstance(model.network, SRVGGNetCompact)
        self.network = model.network

    def forward(self, frames: Tensor) -> Tensor:
        """Restore frames, (T, 3, h, w) uint8."""
        side = self.network.scale
        x = frames.float() / 255
        out = self.network.body(x) + x.repeat_interleave(side**2, dim=1)
        return _to_uint8(F.pixel_shuffle(out, side))


class CompactGraph(nn.Module):
    """Restores a clip with a compact model in one step, without noise.

    Args:
        model: with weights.
    """

    def __init__(self, model: STARModel) -> None:
        super().__init__()
        assert isinstance(model.backbone, CompactDenoiser)
        self.model, self.network = model, model.backbone
        options, schedule = model.restore_options, model.schedule
        begin = round(schedule.start_timestep * options.strength)
        (self.timestep,) = normal_timesteps(1, begin)
        self.scale = int(options.scale)

    def forward(self, frames: Tensor) -> Tensor:
        """Restore a clip, (T, 3, h, w) uint8."""
        model = self.model
        height, width = frames.shape[-2:]
        size = (height * self.scale, width * self.scale)
        clip = upsample_clip(to_float(frames), size)
        z_lq = model.autoencoder.encode(clip.transpose(0, 1)[None])
        alpha, _ = model.schedule.at(self.timestep)
        t = torch.full((1,), round(self.timestep))
        x_t = alpha * z_lq
        v = model.complete(self._predict(x_t, z_lq, t), x_t, t, z_lq)
        x0 = model.schedule.to_x0(x_t, v, t)
        pred = model.autoencoder.decode(x0)[0].transpose(0, 1)
        return _to_uint8((pred + 1) / 2)

    def _predict(self, z_t: Tensor, z_lq: Tensor, t: Tensor) -> Tensor:
        """Compute what the backbone gives, on whole frames."""
        net = self.network
        x, lq = (rearrange(z, 'n c t h w -> (n t) c h w') for z in (z_t, z_lq))
        pixels = net.pixels(lq)
        embed = net.time(time_sinusoid(t, net.dim))[..., None, None]
        x = net.body[0](pixels) + net.noised(x - lq) + embed
        for i, layer in enumerate(list(net.body)[1:]):
            x = layer(x)
            mix, rest = divmod(i // 2, net.mix_every)
            if i % 2 == 0 and i and not rest:
                x = _mix(net.mixes[mix - 1], x)
        x = -net.gain * (x + net.skip(torch.cat([pixels, lq], 1)))
        return rearrange(x, '(n t) c h w -> n c t h w', n=1)


def _mix(layer: nn.Module, x: Tensor) -> Tensor:
    """Mix each frame with its neighbours; see `TemporalMix`."""
    assert isinstance(layer, TemporalMix)
    before = torch.cat([x[:1], x[:-1]])
    after = torch.cat([x[1:], x[-1:]])
    return x + layer.conv(torch.cat([before, x, after], 1))


def _to_uint8(x: Tensor) -> Tensor:
    """Round [0, 1] to pixels."""
    return (x * 255).round().clamp(0, 255).to(torch.uint8)
