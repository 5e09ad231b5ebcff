"""CogVideoX's transformer as STAR uses it: noised latents to velocity."""

from collections.abc import Mapping
from types import MappingProxyType
from typing import Any, NamedTuple

import torch
import torch.nn.functional as F
from einops import rearrange
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from star.models.backbones.cogvideox.block import DiTBlock
from star.models.backbones.cogvideox.positions import (
    Grid,
    rope_table,
    sincos_table,
)
from star.models.layers.lora import add_lora
from star.models.layers.step_memory import StepMemory
from star.models.restoration.limits import Limits
from star.registry import MODELS
from star.utils.checks import check_choice

PATCH = 2
POSITIONS = ('rope', 'sincos')
GATED_AFTER_NORM: Mapping = MappingProxyType(
    {'type': 'LIEM', 'gate': 'after_norm'}
)
_ATTENTION = ('to_q', 'to_k', 'to_v', 'to_out.0')


class ProjectedText(NamedTuple):
    """Text tokens, (N, L, C), computed once per clip."""

    tokens: Tensor


class PatchProjection(nn.Conv2d):
    """Patches of noised and low-quality latents to tokens."""


class FinalProjection(nn.Linear):
    """Tokens to patches of the velocity."""


@MODELS.register_module()
class CogVideoXDiT(nn.Module):
    """Predict the velocity from noised and low-quality latents and text.

    Built of the layers of diffusers' `CogVideoXTransformer3DModel`, whose
    names it keeps under `transformer.`. The defaults are the sizes of
    CogVideoX-5B with STAR's: 5,570,483,880 parameters. CogVideoX-2B has 30
    layers of 30 heads and 'sincos' positions.

    Fine-tuning trains these classes of modules, the rest being frozen: LoRA,
    LIEM, PatchProjection, AdaLayerNorm and FinalProjection.

    Args:
        latent_dim: channels of the latents; the low-quality latents
            are as many channels again, after the noised.
        num_layers: blocks.
        num_heads: heads of each attention, `head_dim` wide.
        head_dim: channels of a head, a multiple of 16.
        time_dim: channels of the time embedding.
        text_dim: channels of the text embedding.
        positions: 'rope' turns queries and keys, as in 5B; 'sincos' adds to
            the tokens, as in 2B. Both count tokens from the first frame and
            the upper left corner and fit any size.
        liem: config of the local gates, or None for none. Position and gate
            are the official ones, after the norm, unless it names others.
        lora: config of an update of each attention's linear layers, such as
            `dict(type='LoRA', rank=512)`, or None for none.
        checkpointing: recompute blocks in the backward pass to save memory.

    Raises:
        ValueError: `head_dim` or `positions` is out of range.
    """

    limits = Limits()
    size_multiple, size_remainder = (PATCH, PATCH), (0, 0)
    reuses_features = True

    def __init__(
        self,
        latent_dim: int = 16,
        num_layers: int = 42,
        num_heads: int = 48,
        head_dim: int = 64,
        time_dim: int = 512,
        text_dim: int = 4096,
        positions: str = 'rope',
        liem: Mapping | None = GATED_AFTER_NORM,
        lora: Mapping | None = None,
        checkpointing: bool = False,
    ) -> None:
        super().__init__()
        _check_options(head_dim, positions)
        self.latent_dim = latent_dim
        self.head_dim = head_dim
        self.positions = positions
        self.checkpointing = checkpointing
        self.transformer: Any = _transformer(
            latent_dim, num_layers, num_heads, head_dim, time_dim, text_dim
        )
        if liem is not None:
            liem = {**GATED_AFTER_NORM, **liem}
        _adapt(self.transformer, latent_dim, liem)
        if lora is not None:
            names = [
                f'transformer_blocks.{i}.attn1.{name}'
                for i in range(num_layers)
                for name in _ATTENTION
            ]
            add_lora(self.transformer, names, lora)

    def project_text(self, text: Tensor) -> ProjectedText:
        """Compute the text's tokens, once per clip.

        Args:
            text: embeddings, (N, L, text_dim), L >= 1.

        Returns:
            An argument for `forward` in place of `text`.
        """
        layer = self.transformer.patch_embed.text_proj
        return ProjectedText(layer(text.to(layer.weight.dtype)))

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        text: Tensor | ProjectedText,
        control: Tensor,
        memory: StepMemory | None = None,
    ) -> Tensor:
        """Predict the velocity.

        Args:
            z_t: noised latents, (N, latent_dim, T, H, W), H and W even.
            t: timesteps, (N,), possibly fractional.
            text: embeddings, (N, L, text_dim), or the result of
                `project_text`; the text of one clip serves all N.
            control: the low-quality latents, of the shape of `z_t`, as
                `LatentConcat` gives them.
            memory: of earlier steps; what all blocks but the first add may
                be taken from it. None for none.

        Returns:
            A velocity of the shape and dtype of `z_t`.

        Raises:
            ValueError: latents of a wrong shape.
        """
        self._check_latents(z_t, control)
        if isinstance(text, Tensor):
            text = self.project_text(text)
        grid = (z_t.shape[2], z_t.shape[3] // PATCH, z_t.shape[4] // PATCH)
        tokens = text.tokens.expand(len(z_t), -1, -1)
        embed = self._embed_time(t, tokens.dtype).expand(len(z_t), -1)
        # without a name for the first tokens, the first block frees them
        video = self._transform(
            self._embed_patches(torch.cat([z_t, control], 1), grid),
            tokens,
            embed,
            grid,
            memory,
        )
        return self._head(video, embed, grid).to(z_t.dtype)

    def _check_latents(self, z_t: Tensor, control: Tensor) -> None:
        if z_t.ndim != 5 or z_t.shape[1] != self.latent_dim:
            raise ValueError(
                f'latents must be (N, {self.latent_dim}, T, H, W), got '
                f'{tuple(z_t.shape)}'
            )
        if any(side % PATCH or not side for side in z_t.shape[3:]):
            raise ValueError(
                'latent height and width must be even, got '
                f'{z_t.shape[3]} and {z_t.shape[4]}'
            )
        if not isinstance(control, Tensor) or control.shape != z_t.shape:
            raise ValueError(
                '`control` must be the low-quality latents, '
                f'{tuple(z_t.shape)} as the noised; use LatentConcat'
            )

    def _embed_patches(self, z: Tensor, grid: Grid) -> Tensor:
        """Turn latents (N, 2 C, T, H, W) to video tokens."""
        project = self.transformer.patch_embed.proj
        z = rearrange(z.to(project.weight.dtype), 'n c t h w -> (n t) c h w')
        video = rearrange(project(z), '(n t) c h w -> n (t h w) c', t=grid[0])
        if self.positions == 'sincos':
            table = sincos_table(grid, video.shape[-1], video.device)
            video = video + table.to(video.dtype)
        return video

    def _embed_time(self, t: Tensor, dtype: torch.dtype) -> Tensor:
        """Embed timesteps (N,) as (N, E), after the SiLU of every layer."""
        sinusoid = self.transformer.time_proj(t)
        return F.silu(self.transformer.time_embedding(sinusoid.to(dtype)))

    def _transform(
        self,
        video: Tensor,
        text: Tensor,
        embed: Tensor,
        grid: Grid,
        memory: StepMemory | None,
    ) -> Tensor:
        """Transform the video tokens with all blocks, or as in `memory`."""
        rope = None
        if self.positions == 'rope':
            rope = rope_table(grid, text.shape[1], self.head_dim, video.device)
        recompute = self.checkpointing and torch.is_grad_enabled()
        before: Any = None if memory is None else video
        for index, block in enumerate(self.transformer.transformer_blocks):
            if recompute:
                video, text = checkpoint(
                    block, video, text, embed, rope, grid, use_reentrant=False
                )
            else:
                video, text = block(video, text, embed, rope, grid)
            if memory is not None and index == 0:
                if memory.decide(video - before):
                    return video + memory.recall(video)
                before = video
        if memory is not None:
            memory.keep(video - before)
        return video

    def _head(self, video: Tensor, embed: Tensor, grid: Grid) -> Tensor:
        """Turn video tokens to a velocity (N, C, T, H, W)."""
        parts = self.transformer
        shift, scale = parts.norm_out.linear(embed)[:, None].chunk(2, -1)
        video = parts.norm_out.norm(parts.norm_final(video))
        video = parts.proj_out(torch.addcmul(shift, video, 1 + scale))
        return rearrange(
            video,
            'n (t h w) (c p q) -> n c t (h p) (w q)',
            t=grid[0],
            h=grid[1],
            p=PATCH,
            q=PATCH,
        )


def _check_options(head_dim: int, positions: str) -> None:
    if head_dim < 16 or head_dim % 16:
        raise ValueError(
            f'`head_dim` must be a multiple of 16, got {head_dim}'
        )
    check_choice('positions', positions, POSITIONS)


def _transformer(
    latent_dim: int,
    num_layers: int,
    num_heads: int,
    head_dim: int,
    time_dim: int,
    text_dim: int,
) -> Any:
    """Make diffusers' network."""
    from diffusers import CogVideoXTransformer3DModel  # slow to import

    return CogVideoXTransformer3DModel(
        num_attention_heads=num_heads,
        attention_head_dim=head_dim,
        in_channels=2 * latent_dim,
        out_channels=latent_dim,
        time_embed_dim=time_dim,
        text_embed_dim=text_dim,
        num_layers=num_layers,
        patch_size=PATCH,
        # no table in the network: positions are ours
        use_rotary_positional_embeddings=True,
    )


def _adapt(transformer: Any, latent_dim: int, liem: Mapping | None) -> None:
    """Put our blocks, and layers of classes of their own, into a network."""
    blocks = transformer.transformer_blocks
    transformer.transformer_blocks = nn.ModuleList(
        DiTBlock(block, liem) for block in blocks
    )
    dim = transformer.proj_out.in_features
    transformer.patch_embed.proj = PatchProjection(
        2 * latent_dim, dim, PATCH, PATCH
    )
    transformer.proj_out = FinalProjection(dim, PATCH**2 * latent_dim)
    # diffusers has 1e-5 here; the official network was trained with 1e-6
    transformer.norm_out.norm.eps = 1e-6
