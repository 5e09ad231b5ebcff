"""Conditioning by channels: the low-quality latents beside the noised."""

from torch import Tensor, nn

from star.models.layers.step_memory import StepMemory
from star.registry import MODELS


@MODELS.register_module()
class LatentConcat(nn.Module):
    """Passes the low-quality latents on to the backbone.

    It has no parameters: the backbone's first layer learns to use them
    (`CogVideoXDiT`, `CompactDenoiser`).
    """

    reuses_features = True

    passes_latents = True  # and nothing else

    def project_text(self, text: Tensor) -> Tensor:
        """Return the text, which is not used."""
        return text

    def forward(
        self,
        z_t: Tensor,
        t: Tensor,
        text: Tensor,
        z_lq: Tensor,
        memory: StepMemory | None = None,
    ) -> Tensor:
        """Return the low-quality latents as control.

        Args:
            z_t: noised latents, (N, C, T, H, W).
            t: timesteps, (N,); unused.
            text: embeddings; unused.
            z_lq: latents of the low-quality clip, of the shape of `z_t`.
            memory: unused.

        Returns:
            `z_lq`.

        Raises:
            ValueError: the shapes differ.
        """
        if z_lq.shape != z_t.shape:
            raise ValueError(
                '`z_lq` must have the shape of `z_t`, got '
                f'{tuple(z_lq.shape)} and {tuple(z_t.shape)}'
            )
        return z_lq
