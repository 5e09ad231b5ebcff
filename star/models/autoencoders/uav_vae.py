"""The two autoencoders of Upscale-A-Video, Zhou et al., CVPR 2024."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.layers.by_image import each
from star.models.layers.chunked_attention import ChunkedAttention
from star.models.layers.clip_resnet import (
    add_conv_3d,
    norm_conv,
    run_resnet,
    upsample_conv,
)
from star.registry import MODELS
from star.utils.state_dicts import find_misfits

_ENCODER = ('encoder.', 'quant_conv.')
# names in the published files, and in diffusers today
_ATTENTION = {
    '.query.': '.to_q.',
    '.key.': '.to_k.',
    '.value.': '.to_v.',
    '.proj_attn.': '.to_out.0.',
}


@MODELS.register_module()
class UAVVAE(nn.Module):
    """Turns latents of a few frames into a clip of four times the size.

    It is diffusers' `AutoencoderKL` run frame by frame, except for its group
    norms, which pool over the frames. The defaults are the published sizes.
    For inference only; keep it in float32.

    Attributes:
        downsample: pixels of a latent's side.

    Args:
        video: build `vae_video`, which convolves over time and looks at the
            low-quality clip; else `vae_3d`, which does neither.
        widths: channels of the levels.
        layers: residual blocks of a level of the encoder; the decoder has
            one more.
        latent_channels: of a latent.
        norm_groups: of the group norms.
        scaling_factor: latents are multiplied by it.
        strength: with which the low-quality clip changes the features.
        encoder: build the encoder, which no restoration needs.
    """

    # set by the constructor, from diffusers
    decoder: Any
    encoder: Any
    quant_conv: nn.Conv2d
    post_quant_conv: nn.Conv2d

    def __init__(
        self,
        video: bool = False,
        widths: Sequence[int] = (128, 256, 512),
        layers: int = 2,
        latent_channels: int = 4,
        norm_groups: int = 32,
        scaling_factor: float = 0.08333,
        strength: float = 1.0,
        encoder: bool = False,
    ) -> None:
        super().__init__()
        self.video, self.strength = video, strength
        self.scaling_factor = scaling_factor
        self.downsample = 2 ** (len(widths) - 1)
        self.attend = ChunkedAttention()
        net = _build(tuple(widths), layers, latent_channels, norm_groups)
        self.post_quant_conv, self.decoder = net.post_quant_conv, net.decoder
        # names and shapes of what is left out, to check files against
        self._absent = {
            name: torch.empty(tensor.shape, device='meta')
            for name, tensor in net.state_dict().items()
            if name.startswith(_ENCODER) and not encoder
        }
        if encoder:
            self.encoder, self.quant_conv = net.encoder, net.quant_conv
        if video:
            self._add_condition(widths, norm_groups)

    def decode(self, z: Tensor, lq: Tensor) -> Tensor:
        """Decode a few frames together.

        Args:
            z: scaled latents, (N, C, T, h, w).
            lq: the clip without noise, (N, 3, T, h, w) in [-1, 1]; unused
                without `video`.

        Returns:
            (N, 3, T, H, W), about [-1, 1], not clamped, of the dtype of `z`.
        """
        frames, net = z.shape[2], self.decoder
        x, picture = (
            rearrange(y, 'n c t h w -> (n t) c h w').to(net.conv_in.weight)
            for y in (z / self.scaling_factor, lq)
        )
        h = net.conv_in(self.post_quant_conv(x))
        if self.video:
            h = self._look_at(h, picture, frames)
        h = self._pass_middle(net.mid_block, h, frames)
        for block in net.up_blocks:
            for resnet in block.resnets:
                h = _run_resnet(resnet, h, frames)
            for layer in block.upsamplers or ():
                h = upsample_conv(layer.conv, h)
        out = norm_conv(net.conv_norm_out, net.conv_out, h, frames)
        return rearrange(out, '(n t) c h w -> n c t h w', t=frames).to(z)

    def encode(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Encode a few frames together; only with `encoder`.

        Args:
            x: (N, 3, T, H, W) in [-1, 1], sides multiples of `downsample`.

        Returns:
            Mean and logarithm of the variance of the unscaled latents,
            (N, C, T, h, w) each.
        """
        frames, net = x.shape[2], self.encoder
        h = net.conv_in(rearrange(x, 'n c t h w -> (n t) c h w'))
        for block in net.down_blocks:
            for resnet in block.resnets:
                h = run_resnet(resnet, h, frames)
            for layer in block.downsamplers or ():
                h = each(layer, h)
        h = self._pass_middle(net.mid_block, h, frames)
        out = norm_conv(net.conv_norm_out, net.conv_out, h, frames)
        out = rearrange(
            self.quant_conv(out), '(n t) c h w -> n c t h w', t=frames
        )
        mean, logvar = out.chunk(2, 1)
        return mean, logvar.clamp(-30, 20)

    def take_names(
        self, state: Mapping[str, Tensor], path: object
    ) -> dict[str, Tensor]:
        """Translate a published file's names; leave out the encoder.

        Args:
            state: tensors by the file's names.
            path: of the file, for the message.

        Returns:
            Tensors by the names of this module.

        Raises:
            ValueError: the encoder, which is left out, is not of this size.
        """
        state = {_rename(name): tensor for name, tensor in state.items()}
        if not self._absent:
            return state
        left_out = {k: v for k, v in state.items() if k.startswith(_ENCODER)}
        # a file that was written without the encoder lacks all of it
        misfits = find_misfits(self._absent, left_out)
        if left_out and misfits:
            kind = type(self).__name__
            raise ValueError(f'{path} does not fit {kind}: {misfits}')
        return {k: v for k, v in state.items() if k not in left_out}

    def _add_condition(self, widths: Sequence[int], groups: int) -> None:
        """Add to the decoder what only `vae_video` has."""
        from diffusers.models.resnet import ResnetBlock2D  # slow to import

        narrow, wide = widths[0], widths[-1]

        def resnet(before: int, after: int, first: int) -> Any:
            return ResnetBlock2D(
                in_channels=before,
                out_channels=after,
                temb_channels=None,
                groups=first,
                groups_out=groups,
                eps=1e-6,
            )

        net = self.decoder
        for block in (net.mid_block, *net.up_blocks):
            for layer in block.resnets:
                _add_time(layer)
        net.condition_in = nn.ModuleList(
            [resnet(3, narrow, 3), resnet(narrow, narrow, groups)]
        )
        for layer in net.condition_in:
            _add_time(layer)
        net.condition_fuse = UAVConditionFusion(
            [
                resnet(narrow + wide, wide, groups),
                resnet(wide, wide, groups),
            ],
            wide,
        )

    def _look_at(self, h: Tensor, picture: Tensor, frames: int) -> Tensor:
        net = self.decoder
        for resnet in net.condition_in:
            picture = _run_resnet(resnet, picture, frames)
        return net.condition_fuse(h, picture, frames, self.strength)

    def _pass_middle(self, block: Any, h: Tensor, frames: int) -> Tensor:
        h = _run_resnet(block.resnets[0], h, frames)
        h = self.attend(block.attentions[0], h)
        return _run_resnet(block.resnets[1], h, frames)


class UAVConditionFusion(nn.Module):
    """Changes features by what they and the low-quality clip show.

    Args:
        shared: two of diffusers' `ResnetBlock2D`.
        dim: channels of the features.
    """

    def __init__(self, shared: Sequence[nn.Module], dim: int) -> None:
        super().__init__()
        self.shared = nn.ModuleList(shared)
        self.scale = nn.Conv2d(dim, dim, 3, padding=1)
        self.shift = nn.Conv2d(dim, dim, 3, padding=1)

    def forward(
        self, x: Tensor, condition: Tensor, frames: int, strength: float
    ) -> Tensor:
        """Add the change to the features.

        Args:
            x: (N T, C, h, w).
            condition: features of the low-quality clip, (N T, D, h, w).
            frames: T.
            strength: factor of the change.
        """
        shared = torch.cat([condition, x], 1)
        for resnet in self.shared:
            shared = run_resnet(resnet, shared, frames)
        return x + strength * (x * self.scale(shared) + self.shift(shared))


def _build(
    widths: tuple[int, ...], layers: int, latent_channels: int, groups: int
) -> Any:
    from diffusers import AutoencoderKL  # slow to import

    return AutoencoderKL(
        down_block_types=('DownEncoderBlock2D',) * len(widths),
        up_block_types=('UpDecoderBlock2D',) * len(widths),
        block_out_channels=widths,
        layers_per_block=layers,
        latent_channels=latent_channels,
        norm_num_groups=groups,
    )


def _add_time(resnet: Any) -> None:
    """Add a convolution over time to diffusers' `ResnetBlock2D`."""
    norm, dim = resnet.norm2, resnet.out_channels
    resnet.norm_3d = nn.GroupNorm(norm.num_groups, dim, norm.eps)
    resnet.conv_3d = nn.Conv3d(dim, dim, 3, padding=1)


def _run_resnet(resnet: Any, x: Tensor, frames: int) -> Tensor:
    """Run a residual block, and its convolution over time if it has one."""
    out = run_resnet(resnet, x, frames)
    if not hasattr(resnet, 'conv_3d'):
        return out
    return add_conv_3d(resnet.norm_3d, resnet.conv_3d, out, frames)


def _rename(name: str) -> str:
    if '.attentions.' in name:
        for old, new in _ATTENTION.items():
            name = name.replace(old, new)
    return name
