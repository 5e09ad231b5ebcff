"""The residual block of image diffusion networks, and what modulates it.

Parameters are named as in diffusers' `ResnetBlock2D`.
"""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_GROUPS = 32


class ResidualBlock(nn.Module):
    """Two convolutions and the input.

    Args:
        inputs: channels of the input.
        outputs: channels of the result.
        embedding: size of an embedding that is added between the
            convolutions; 0 for none.
        structure: channels of features that modulate the branch after its
            last convolution (see `SPADE`); 0 for none.
        eps: of the norms.
    """

    def __init__(
        self,
        inputs: int,
        outputs: int,
        embedding: int = 0,
        structure: int = 0,
        eps: float = 1e-5,
    ) -> None:
        super().__init__()
        self.norm1 = nn.GroupNorm(_GROUPS, inputs, eps=eps)
        self.conv1 = nn.Conv2d(inputs, outputs, 3, padding=1)
        self.norm2 = nn.GroupNorm(_GROUPS, outputs, eps=eps)
        self.conv2 = nn.Conv2d(outputs, outputs, 3, padding=1)
        self.time_emb_proj = (
            nn.Linear(embedding, outputs) if embedding else None
        )
        self.spade = SPADE(outputs, structure) if structure else None
        self.conv_shortcut = (
            None if inputs == outputs else nn.Conv2d(inputs, outputs, 1)
        )

    def forward(
        self,
        x: Tensor,
        embedding: Tensor | None = None,
        structure: Tensor | None = None,
    ) -> Tensor:
        """Apply the block.

        Args:
            x: (N, inputs, h, w).
            embedding: (N, embedding), or one row for all.
            structure: (N, structure, h, w).

        Returns:
            (N, outputs, h, w).
        """
        branch = self.conv1(F.silu(self.norm1(x)))
        if self.time_emb_proj is not None and embedding is not None:
            shift = self.time_emb_proj(F.silu(embedding))
            branch = branch + shift[:, :, None, None]
        branch = self.conv2(F.silu(self.norm2(branch)))
        if self.spade is not None:
            branch = self.spade(branch, structure)
        if self.conv_shortcut is not None:
            x = self.conv_shortcut(x)
        return x + branch


class SPADE(nn.Module):
    """Norm whose scale and shift at each pixel come from other features.

    norm(x) (1 + gamma) + beta, where gamma and beta are convolutions of the
    features. The norm has an affine map of its own.

    Args:
        dim: channels of x.
        structure: channels of the features.
        hidden: channels between the two convolutions.

    Source: Park et al., "Semantic Image Synthesis with Spatially-Adaptive
    Normalization", Eq. 1, with GroupNorm as in Wang et al., "StableSR".
    """

    def __init__(self, dim: int, structure: int, hidden: int = 128) -> None:
        super().__init__()
        self.param_free_norm = nn.GroupNorm(_GROUPS, dim)
        shared = nn.Conv2d(structure, hidden, 3, padding=1)
        self.mlp_shared = nn.Sequential(shared, nn.ReLU())
        self.mlp_gamma = nn.Conv2d(hidden, dim, 3, padding=1)
        self.mlp_beta = nn.Conv2d(hidden, dim, 3, padding=1)

    def forward(self, x: Tensor, structure: Tensor) -> Tensor:
        """Modulate features.

        Args:
            x: (N, dim, h, w).
            structure: (N, structure, h, w).
        """
        hidden = self.mlp_shared(structure)
        scale = 1 + self.mlp_gamma(hidden)
        shift = self.mlp_beta(hidden)
        return torch.addcmul(shift, self.param_free_norm(x), scale)
