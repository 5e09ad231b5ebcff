"""The denoiser of Upscale-A-Video, Zhou et al., CVPR 2024.

It is the UNet of Stable Diffusion's x4 upscaler, run frame by frame except
for its group norms, which pool over a clip, with layers over time between.
"""

from collections.abc import Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.backbones.upscale_a_video.temporal import (
    UAVRotary,
    UAVTemporalAttention,
    UAVTemporalBlock,
    UAVTemporalResnet,
    split_tokens,
)
from star.models.layers.clip_resnet import (
    norm_conv,
    run_resnet,
    split_frames,
)
from star.registry import MODELS


@MODELS.register_module()
class UAVUNet(nn.Module):
    """Predicts the velocity of a clip's latents.

    687 tensors have the names of diffusers' `UNet2DConditionModel`, the
    others those of the published file. The defaults are the published size.
    Any size of latents of 1 x 1 or more will do. For inference only.

    Args:
        widths: channels of the four levels.
        heads: of the attention at every level; each of at least 32 channels.
        context_dim: size of a token's embedding.
        in_channels: of latents and the low-quality clip.
        out_channels: of latents.
        layers: residual blocks of a level; one more on the way up.
        norm_groups: of all group norms.
        num_classes: noise levels of the low-quality clip.

    Raises:
        ValueError: heads are too narrow.
    """

    # set by `_take_layers`, from diffusers
    conv_in: nn.Conv2d
    time_proj: nn.Module
    time_embedding: nn.Module
    class_embedding: nn.Embedding
    down_blocks: nn.ModuleList
    mid_block: Any
    up_blocks: nn.ModuleList
    conv_norm_out: nn.GroupNorm
    conv_out: nn.Conv2d

    def __init__(
        self,
        widths: Sequence[int] = (256, 512, 512, 1024),
        heads: int = 8,
        context_dim: int = 1024,
        in_channels: int = 7,
        out_channels: int = 4,
        layers: int = 2,
        norm_groups: int = 32,
        num_classes: int = 1000,
    ) -> None:
        super().__init__()
        self._take_layers(
            sample_size=None,
            in_channels=in_channels,
            out_channels=out_channels,
            block_out_channels=tuple(widths),
            layers_per_block=layers,
            norm_num_groups=norm_groups,
            cross_attention_dim=context_dim,
            attention_head_dim=heads,  # diffusers' name for their number
            num_class_embeds=num_classes,
        )
        self.temporal_rotary_emb = UAVRotary()
        emb_dim = 4 * widths[0]
        down, up = list(widths), list(widths)[::-1]
        self.down_temp_blocks, self.up_temp_blocks = (
            nn.ModuleList(
                UAVTemporalBlock(dim, emb_dim, norm_groups) for dim in dims
            )
            for dims in (down, up)
        )
        self.mid_temp_block = UAVTemporalBlock(
            widths[-1], emb_dim, norm_groups
        )
        for transformer in _transformers(self):
            _add_time(transformer, heads, self.temporal_rotary_emb)

    def forward(
        self, x: Tensor, t: Tensor, text: Tensor, class_labels: Tensor
    ) -> Tensor:
        """Predict the velocity.

        Args:
            x: noised latents (4 channels), then the noised low-quality clip
                (3), (N, 7, T, h, w).
            t: timestep of the latents, (), (1) or (N).
            text: embeddings (N, L, D), the same for all frames.
            class_labels: timestep of the low-quality clip's noise, (1) or
                (N) int64.

        Returns:
            (N, 4, T, h, w).
        """
        frames = x.shape[2]
        emb = self.embed(t.expand(len(x)), class_labels).to(x.dtype)
        h = self.conv_in(rearrange(x, 'n c t h w -> (n t) c h w'))
        skips = [h]
        for block, over_time in _both(self.down_blocks, self.down_temp_blocks):
            h = self._go_down(block, h, frames, (emb, text), skips)
            h = over_time(h, frames, emb)
        h = self._pass_middle(h, frames, emb, text)
        h = self.mid_temp_block(h, frames, emb)
        for block, over_time in _both(self.up_blocks, self.up_temp_blocks):
            h = self._go_up(block, h, frames, (emb, text), skips)
            h = over_time(h, frames, emb)
        out = norm_conv(self.conv_norm_out, self.conv_out, h, frames)
        return rearrange(out, '(n t) c h w -> n c t h w', t=frames)

    def embed(self, t: Tensor, class_labels: Tensor) -> Tensor:
        """Embed a timestep and the low-quality clip's, (N, D)."""
        dtype = self.conv_in.weight.dtype
        emb = self.time_embedding(self.time_proj(t).to(dtype))
        return emb + self.class_embedding(class_labels)

    def _go_down(
        self,
        block: Any,
        h: Tensor,
        frames: int,
        condition: tuple[Tensor, Tensor],
        skips: list[Tensor],
    ) -> Tensor:
        """Run one level; keep what the way up needs in `skips`."""
        emb, text = condition
        for resnet, transformer in _both(block.resnets, _attentions(block)):
            h = run_resnet(resnet, h, frames, emb)
            if transformer is not None:
                h = run_transformer(transformer, h, frames, text)
            skips.append(h)
        for layer in block.downsamplers or ():
            h = layer(h)
            skips.append(h)
        return h

    def _pass_middle(
        self, h: Tensor, frames: int, emb: Tensor, text: Tensor
    ) -> Tensor:
        block = self.mid_block
        h = run_resnet(block.resnets[0], h, frames, emb)
        h = run_transformer(block.attentions[0], h, frames, text)
        return run_resnet(block.resnets[1], h, frames, emb)

    def _go_up(
        self,
        block: Any,
        h: Tensor,
        frames: int,
        condition: tuple[Tensor, Tensor],
        skips: list[Tensor],
    ) -> Tensor:
        """Run one level; its result has the size of the next skip."""
        emb, text = condition
        for resnet, transformer in _both(block.resnets, _attentions(block)):
            h = torch.cat([h, skips.pop()], 1)
            h = run_resnet(resnet, h, frames, emb)
            if transformer is not None:
                h = run_transformer(transformer, h, frames, text)
        for layer in block.upsamplers or ():
            h = layer(h, tuple(skips[-1].shape[-2:]))
        return h

    def _take_layers(self, **sizes: Any) -> None:
        """Take the layers that diffusers builds for the x4 upscaler."""
        from diffusers import UNet2DConditionModel  # slow to import

        unet = UNet2DConditionModel(
            down_block_types=('DownBlock2D', *['CrossAttnDownBlock2D'] * 3),
            up_block_types=(*['CrossAttnUpBlock2D'] * 3, 'UpBlock2D'),
            only_cross_attention=(True, True, True, False),
            use_linear_projection=True,
            **sizes,
        )
        for name, layer in list(unet.named_children()):
            self.add_module(name, layer)


def run_transformer(
    transformer: Any, x: Tensor, frames: int, text: Tensor
) -> Tensor:
    """Run diffusers' `Transformer2DModel` on clips, with layers over time.

    Args:
        transformer: with `resblock_temporal` and one block.
        x: (N T, C, h, w).
        frames: T.
        text: (N, L, D).
    """
    x = transformer.resblock_temporal(x, frames)
    tokens = torch.cat(
        [
            transformer.proj_in(
                transformer.norm(x[piece]).flatten(2).transpose(1, 2)
            )
            for piece in split_frames(x)
        ]
    )
    clips = tokens.unflatten(0, (-1, frames))  # (N, T, h w, C)
    _run_block(transformer.transformer_blocks[0], clips, text)
    out = transformer.proj_out(tokens).transpose(1, 2)
    return out.reshape(x.shape).add_(x)


def _run_block(block: Any, clips: Tensor, text: Tensor) -> None:
    """Run diffusers' `BasicTransformerBlock` in place on (N, T, L, C)."""
    width = clips.shape[0] * clips.shape[3]
    flat = clips.flatten(1, 2)  # all tokens of a clip; no copy
    if block.only_cross_attention:
        for piece in split_tokens(flat.shape[1], width):
            flat[:, piece] += block.attn1(block.norm1(flat[:, piece]), text)
    else:
        pictures = clips.flatten(0, 1)
        pictures += block.attn1(block.norm1(pictures))
    for piece in split_tokens(flat.shape[1], width):
        flat[:, piece] += block.attn2(block.norm2(flat[:, piece]), text)
    for piece in split_tokens(clips.shape[2], width * clips.shape[1]):
        normed = block.norm_temporal(clips[:, :, piece])
        clips[:, :, piece] += block.attn_temporal(normed)
    for piece in split_tokens(flat.shape[1], 8 * width):
        flat[:, piece] += block.ff(block.norm3(flat[:, piece]))


def _transformers(unet: UAVUNet) -> list[Any]:
    blocks = [*unet.down_blocks, unet.mid_block, *unet.up_blocks]
    return [x for b in blocks for x in _attentions(b) if x is not None]


def _add_time(transformer: Any, heads: int, rotary: UAVRotary) -> None:
    """Add the layers over time to diffusers' `Transformer2DModel`."""
    dim, groups = transformer.norm.num_channels, transformer.norm.num_groups
    transformer.resblock_temporal = UAVTemporalResnet(dim, groups=groups)
    (block,) = transformer.transformer_blocks
    block.attn_temporal = UAVTemporalAttention(dim, heads, rotary)
    block.norm_temporal = nn.LayerNorm(dim)


def _attentions(block: Any) -> list[Any]:
    return list(getattr(block, 'attentions', [None] * len(block.resnets)))


def _both(one: Any, other: Any) -> Any:
    return zip(one, other, strict=True)
