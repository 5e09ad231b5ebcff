"""Attention of an image autoencoder that never holds all its scores."""

import torch
from torch import Tensor, nn
from torch.nn import functional as F

_SCORES = 1 << 26  # of one piece


class ChunkedAttention:
    """Computes diffusers' `Attention` of a frame, some queries at a time.

    Not every device has a kernel that keeps the scores of wide heads out of
    memory, and a frame of 1280 x 720 has 60 thousand tokens at a quarter of
    its sides. The result is that of all queries together.

    Args:
        scores: most numbers of a piece's matrix.
    """

    def __init__(self, scores: int = _SCORES) -> None:
        self.scores = scores

    def __call__(
        self,
        attention: nn.Module,
        x: Tensor,
        encoder_hidden_states: None = None,
        attention_mask: None = None,
        temb: None = None,
    ) -> Tensor:
        """Attend within each frame.

        Args:
            attention: diffusers' `Attention` with one head, a group norm and
                a residual, as in the middle of an autoencoder.
            x: (N, C, h, w).
            encoder_hidden_states: diffusers passes it; there is none.
            attention_mask: as well.
            temb: as well.

        Returns:
            (N, C, h, w).
        """
        run = attention.get_submodule
        tokens = x.flatten(2).transpose(1, 2)
        normed = run('group_norm')(x.flatten(2)).transpose(1, 2)
        q, k, v = (run(name)(normed) for name in ('to_q', 'to_k', 'to_v'))
        size = max(1, self.scores // k.shape[1])
        mixed = torch.cat(
            [_attend(piece, k, v) for piece in q.split(size, 1)], 1
        )
        out = run('to_out.0')(mixed) + tokens
        return out.transpose(1, 2).reshape(x.shape)


def chunk_attention(autoencoder: nn.Module) -> None:
    """Let the attention of diffusers' image autoencoder work in pieces.

    Args:
        autoencoder: `AutoencoderKL` or `VQModel`; changed in place.
    """
    for name, module in autoencoder.named_modules():
        if name.endswith('mid_block.attentions.0'):
            module.set_processor(ChunkedAttention())


def _attend(q: Tensor, k: Tensor, v: Tensor) -> Tensor:
    """Attend with one head: (N, L, C) each."""
    q, k, v = (x.unsqueeze(1) for x in (q, k, v))
    return F.scaled_dot_product_attention(q, k, v).squeeze(1)
