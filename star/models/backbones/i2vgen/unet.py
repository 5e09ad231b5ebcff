"""The I2VGen-XL UNet as STAR uses it: noised latents to their velocity."""

from collections.abc import Iterator, Mapping
from typing import Any

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn

from star.models.backbones.i2vgen.blocks import (
    NUM_GROUPS,
    TextKeysValues,
    per_frame,
    set_time_padding,
    zero_init,
)
from star.models.backbones.i2vgen.encoder import (
    ProjectedText,
    UNetBlock,
    UNetEncoder,
    UNetSizes,
    check_latent,
    project_text,
    to_channels_last,
)
from star.models.layers.liem import OFFICIAL_LIEM
from star.models.layers.lora import add_lora
from star.models.layers.norm import set_norm_groups
from star.models.layers.step_memory import StepMemory
from star.models.restoration.limits import Limits
from star.registry import MODELS

_ATTENTION = ('to_q', 'to_k', 'to_v', 'to_out')


@MODELS.register_module()
class I2VGenUNet(nn.Module):
    """Predict the velocity of noised latents, steered by text and control.

    The defaults are the official sizes: 1,411,235,496 parameters.

    Args:
        in_dim: channels of the latents.
        out_dim: channels of the prediction.
        sizes: those fields of `UNetSizes` that differ from the official ones.
        dropout: probability in ResBlocks and temporal convolutions.
        liem: config of the local gates, or None for none.
        lora: config of an update of each attention's linear layers, such as
            `dict(type='LoRA', rank=64, alpha=64)`, or None for none.
        checkpointing: recompute blocks in the backward pass to save memory.

    Raises:
        ValueError: channels that do not divide into groups or heads.
        TypeError: `sizes` has an unknown key.
    """

    limits = Limits()
    reuses_features = True

    def __init__(
        self,
        in_dim: int = 4,
        out_dim: int = 4,
        sizes: Mapping[str, Any] | None = None,
        dropout: float = 0.1,
        liem: Mapping | None = OFFICIAL_LIEM,
        lora: Mapping | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        every = UNetSizes(
            in_dim=in_dim,
            dropout=dropout,
            liem=liem,
            checkpointing=checkpointing,
            **(sizes or {}),
        )
        self.encoder = UNetEncoder(every)
        self.output_blocks = _output_blocks(every, self.encoder.skip_dims)
        self.norm_out = nn.GroupNorm(NUM_GROUPS, every.dim)
        self.conv_out = zero_init(nn.Conv2d(every.dim, out_dim, 3, padding=1))
        set_norm_groups(self, every.norm_groups)
        set_time_padding(self, every.time_padding)
        if lora is not None:
            add_lora(self, _attention_layers(self), lora)

    @property
    def size_multiple(self) -> tuple[int, int]:
        """Latent height and width are `size_multiple * k + size_remainder`."""
        return self.encoder.sizes.multiple

    @property
    def size_remainder(self) -> tuple[int, int]:
        """Remainder of latent height and width; see `size_multiple`."""
        return self.encoder.sizes.remainder

    def project_text(self, text: Tensor) -> ProjectedText:
        """Compute all keys and values of the text, once per clip.

        Args:
            text: embeddings, (N, L, context_dim).

        Returns:
            An argument for `forward` in place of `text`.
        """
        return project_text(self, text)

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        text: Tensor | ProjectedText,
        control: list[Tensor] | None = None,
        memory: StepMemory | None = None,
    ) -> Tensor:
        """Predict the velocity.

        Args:
            z_t: noised latents, (N, in_dim, T, H, W), of a size that
                `size_multiple` and `size_remainder` allow.
            t: timesteps, (N,) int64.
            text: embeddings, (N, L, context_dim), or the result of
                `project_text`; the text of one clip serves all N.
            control: the result of the ControlNet, or None.
            memory: of earlier steps; the features that enter the last block
                may be taken from it. None for none.

        Returns:
            (N, out_dim, T, H, W), of the dtype of `z_t`.

        Raises:
            ValueError: latents of a wrong shape.
        """
        check_latent(z_t, self.encoder.sizes)
        if isinstance(text, Tensor):
            text = self.project_text(text)
        texts = iter(text)
        embed = self.encoder.embed(t)
        z = to_channels_last(z_t, self.conv_out)
        x, skips = self.encoder(z, embed, texts, memory=memory)
        if x is None:  # the encoder has read no text
            texts = iter(text[-1:])
        x = self._decode(x, skips, embed, texts, list(control or []), memory)
        v = per_frame(self._head, x)
        return rearrange(v, 'n t h w c -> n c t h w').to(z_t.dtype)

    def _decode(
        self,
        x: Tensor | None,
        skips: list[Tensor],
        embed: Tensor,
        texts: Iterator[TextKeysValues],
        control: list[Tensor],
        memory: StepMemory | None,
    ) -> Tensor:
        """Run the output blocks; without `x`, which is kept, the last one."""
        recalled = x is None
        blocks = self.output_blocks[-1:] if recalled else self.output_blocks
        if x is None:
            assert memory is not None
            x = memory.recall(skips[0])
        elif control:
            x = x + control.pop()
        for block in blocks:
            skip = skips.pop()
            if control:
                skip = skip + control.pop()
            if memory is not None and not (skips or recalled):
                memory.keep(x)
            x = block(torch.cat([x, skip], -1), embed, texts)
        return x

    def _head(self, frames: Tensor) -> Tensor:
        return self.conv_out(F.silu(self.norm_out(frames)))


def _attention_layers(network: nn.Module) -> list[str]:
    """List the names of the linear layers of all attentions."""
    return [
        name
        for name, module in network.named_modules()
        if isinstance(module, nn.Linear)
        and name.rpartition('.')[2] in _ATTENTION
    ]


def _output_blocks(sizes: UNetSizes, skip_dims: list[int]) -> nn.ModuleList:
    blocks = nn.ModuleList()
    skips = list(skip_dims)
    dim = sizes.dims[-1]
    for level in reversed(range(len(sizes.dims))):
        for i in range(sizes.num_res_blocks + 1):
            up = level > 0 and i == sizes.num_res_blocks
            blocks.append(UNetBlock(sizes, dim + skips.pop(), level, up))
            dim = sizes.dims[level]
    return blocks
