"""DOVE's transformer: encoded latents in, clean latents out, in one call."""

from collections.abc import Callable, Mapping
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.editors.dove.one_step import (
    TIMESTEPS,
    add_noise,
    rope,
    signal_share,
    to_clean,
)

# number of a draw, and latents -> noise of their shape and dtype
Draw = Callable[[int, Tensor], Tensor]
POSTERIOR, STEP = 0, 1  # numbers of the draws

SIZES = {  # of CogVideoX1.5-5B
    'num_attention_heads': 48,
    'attention_head_dim': 64,
    'in_channels': 16,
    'out_channels': 16,
    'time_embed_dim': 512,
    'text_embed_dim': 4096,
    'num_layers': 42,
    'patch_size': 2,
    'patch_size_t': 2,
    'max_text_seq_length': 226,
    'sample_frames': 81,
    'sample_height': 300,
    'sample_width': 300,
    'use_rotary_positional_embeddings': True,
}


class OneStepTransformer(nn.Module):
    """Takes encoded latents for noised ones and predicts the clean ones.

    Args:
        sizes: arguments of diffusers' CogVideoXTransformer3DModel that differ
            from CogVideoX1.5-5B's.
        timestep: at which it is called.
        noise_step: timestep to which latents are noised before; 0 for no
            noise.

    Raises:
        ValueError: a timestep is out of range.
    """

    transformer: Any  # diffusers' mixins hide from mypy that it is a module

    def __init__(
        self, sizes: Mapping[str, Any], timestep: int, noise_step: int
    ) -> None:
        super().__init__()
        from diffusers import CogVideoXTransformer3DModel  # slow to import

        steps = {'timestep': timestep, 'noise_step': noise_step}
        for name, value in steps.items():
            if not 0 <= value < TIMESTEPS:
                raise ValueError(
                    f'`{name}` must lie in [0, {TIMESTEPS - 1}], got {value}'
                )
        self.timestep, self.noise_step = timestep, noise_step
        sizes = {**SIZES, **sizes}
        self.transformer = CogVideoXTransformer3DModel(**sizes)
        self.prompt = CachedPrompt(
            sizes['max_text_seq_length'], sizes['text_embed_dim']
        )

    @property
    def dtype(self) -> torch.dtype:
        """Dtype of the weights."""
        return self.prompt.prompt_embedding.dtype

    def forward(self, z: Tensor, draw: Draw) -> Tensor:
        """Compute the clean latents of encoded ones.

        Args:
            z: (1, C, T, h, w). An odd number gets a copy of the first
                before, since the transformer takes them in pairs.
            draw: of the noise of `noise_step`.

        Returns:
            Of the shape of `z`.
        """
        odd = z.shape[2] % 2
        if odd:
            z = torch.cat([z[:, :, :1], z], 2)
        if self.noise_step:
            share = signal_share(self.noise_step)
            z = add_noise(z, draw(STEP, z), share)
        x0 = to_clean(z, self.velocity(z), signal_share(self.timestep))
        return x0[:, :, odd:]

    def velocity(self, z: Tensor) -> Tensor:
        """Predict the velocity of latents (1, C, T, h, w), T even."""
        x = rearrange(z, 'n c t h w -> n t c h w')
        sizes = self.transformer.config
        _, frames, _, height, width = x.shape
        grid = (
            frames // sizes.patch_size_t,
            height // sizes.patch_size,
            width // sizes.patch_size,
        )
        (v,) = self.transformer(
            x,
            self.prompt(),
            torch.tensor([self.timestep], device=z.device),
            image_rotary_emb=rope(grid, sizes.attention_head_dim, z.device),
            return_dict=False,
        )
        return rearrange(v, 'n t c h w -> n c t h w')


class CachedPrompt(nn.Module):
    """Holds the embedding of the empty prompt, so that no T5 is needed.

    Args:
        tokens: of the text encoder.
        dim: channels of a token.
    """

    def __init__(self, tokens: int, dim: int) -> None:
        super().__init__()
        self.prompt_embedding = nn.Parameter(torch.empty(tokens, dim))

    def forward(self) -> Tensor:
        """Return the embedding, (1, tokens, dim)."""
        return self.prompt_embedding[None]
