"""Stable Diffusion's UNet, modulated by the structure of another image."""

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import torch
from torch import Tensor, nn

from star.models.backbones.i2vgen.encoder import dtype_of
from star.models.layers.residual_block import ResidualBlock
from star.registry import MODELS

Structure = Mapping[int, Tensor]  # features by their width


@MODELS.register_module()
class SpadeUNet(nn.Module):
    """Predicts noise; every residual block is modulated by `SPADE`.

    The layers and their names are diffusers' `UNet2DConditionModel`, all
    residual blocks replaced. The defaults are Stable Diffusion 2.1's sizes.

    Args:
        channels: width of each level.
        layers: residual blocks of a level; the decoder has one more.
        attention_levels: levels with attention; the middle always has it.
        head_dim: channels of an attention head.
        context: size of a text token's embedding.
        structure: channels of the features that modulate.
        after_middle: further modules of the middle, each called with the
            features (N, C, h, w) alone: after its first residual block, after
            its attention, and after its second residual block. None for
            nothing there.

    Source: Wang et al., "StableSR", IJCV 2024, section 3.1.
    """

    unet: Any  # diffusers' mixins hide from mypy that it is a module

    def __init__(
        self,
        channels: Sequence[int] = (320, 640, 1280, 1280),
        layers: int = 2,
        attention_levels: Sequence[int] = (0, 1, 2),
        head_dim: int = 64,
        context: int = 1024,
        structure: int = 256,
        after_middle: Sequence[nn.Module | None] = (),
    ) -> None:
        super().__init__()
        from diffusers import UNet2DConditionModel  # slow to import

        with_attention = [i in attention_levels for i in range(len(channels))]
        self.unet = UNet2DConditionModel(
            block_out_channels=tuple(channels),
            layers_per_block=layers,
            down_block_types=tuple(
                'CrossAttnDownBlock2D' if has else 'DownBlock2D'
                for has in with_attention
            ),
            up_block_types=tuple(
                'CrossAttnUpBlock2D' if has else 'UpBlock2D'
                for has in reversed(with_attention)
            ),
            attention_head_dim=tuple(c // head_dim for c in channels),
            cross_attention_dim=context,
            use_linear_projection=True,
        )
        self.layers, self.channels = layers, tuple(channels)
        for block in self._blocks():
            block.resnets = nn.ModuleList(
                ResidualBlock(
                    old.in_channels,
                    old.out_channels,
                    old.time_emb_proj.in_features,
                    structure,
                )
                for old in block.resnets
            )
        given = [*after_middle, None, None, None][:3]
        self.after_middle = nn.ModuleList(m or nn.Identity() for m in given)

    def forward(
        self, x: Tensor, t: Tensor, text: Tensor, structure: Structure
    ) -> Tensor:
        """Predict the noise of latents.

        Args:
            x: noisy latents, (N, 4, h, w).
            t: timesteps, (n,) with n a divisor of N: each holds for N / n
                latents in a row.
            text: embedded prompts, (m, L, D), m as n.
            structure: features (N, C, h', w') of the same latents by their
                width w', one for each level, as `StructureEncoder` gives.

        Returns:
            (N, 4, h, w) in the dtype of x.
        """
        unet, dtype = self.unet, dtype_of(self)
        embedding = unet.time_embedding(
            embed_time(t, self.channels[0]).to(dtype)
        )
        embedding = spread(embedding, len(x))
        text = spread(text.to(dtype), len(x))
        features = {w: f.to(dtype) for w, f in structure.items()}
        call = _Call(embedding, text, features)
        h = unet.conv_in(x.to(dtype))
        skips = [h]
        for block in unet.down_blocks:
            h = _encode(block, h, skips, call)
        h = self._middle(h, call)
        for block in unet.up_blocks:
            h = _decode(block, h, skips, call)
        return unet.conv_out(unet.conv_act(unet.conv_norm_out(h))).to(x.dtype)

    def _middle(self, h: Tensor, call: '_Call') -> Tensor:
        middle = self.unet.mid_block
        first, between, last = self.after_middle
        h = first(call.resnet(middle.resnets[0], h))
        h = between(call.attend(middle.attentions[0], h))
        return last(call.resnet(middle.resnets[1], h))

    def _blocks(self) -> Iterator[Any]:
        yield from self.unet.down_blocks
        yield self.unet.mid_block
        yield from self.unet.up_blocks


def embed_time(t: Tensor, dim: int) -> Tensor:
    """Embed timesteps as cosines, then sines, in float32.

    The order of operations is that of latent diffusion: at t = 999 another
    changes the result by 6e-5.

    Args:
        t: timesteps, (n,).
        dim: even number of channels.

    Returns:
        (n, dim) float32.
    """
    from diffusers.models.embeddings import get_timestep_embedding  # slow

    return get_timestep_embedding(t, dim, True, 0)


def spread(rows: Tensor, count: int) -> Tensor:
    """Repeat each row so often that there are `count`.

    Args:
        rows: (n, ...).
        count: a multiple of n.
    """
    if len(rows) in (1, count):
        return rows.expand(count, *rows.shape[1:])
    return rows.repeat_interleave(count // len(rows), 0)


class _Call:
    """The inputs that all layers share in one call of the network."""

    def __init__(
        self, embedding: Tensor, text: Tensor, structure: Structure
    ) -> None:
        self.embedding, self.text = embedding, text
        self.structure = structure

    def resnet(self, block: nn.Module, h: Tensor) -> Tensor:
        return block(h, self.embedding, self.structure[h.shape[-1]])

    def attend(self, block: nn.Module | None, h: Tensor) -> Tensor:
        if block is None:
            return h
        return block(h, encoder_hidden_states=self.text, return_dict=False)[0]


def _pairs(block: Any) -> Iterator[tuple[nn.Module, nn.Module | None]]:
    """Yield each residual block with the attention after it, if any."""
    attentions = getattr(block, 'attentions', None) or [None] * len(
        block.resnets
    )
    return zip(block.resnets, attentions, strict=True)


def _encode(block: Any, h: Tensor, skips: list[Tensor], call: _Call) -> Tensor:
    for resnet, attention in _pairs(block):
        h = call.attend(attention, call.resnet(resnet, h))
        skips.append(h)
    for layer in block.downsamplers or ():
        h = layer(h)
        skips.append(h)
    return h


def _decode(block: Any, h: Tensor, skips: list[Tensor], call: _Call) -> Tensor:
    for resnet, attention in _pairs(block):
        h = torch.cat([h, skips.pop()], 1)
        h = call.attend(attention, call.resnet(resnet, h))
    for layer in block.upsamplers or ():
        h = layer(h, tuple(skips[-1].shape[-2:]))
    return h
