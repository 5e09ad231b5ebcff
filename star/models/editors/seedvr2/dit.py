"""SeedVR2's transformers: of 3 and of 7 billion parameters."""

from collections.abc import Mapping, Sequence
from typing import Any

import torch
from einops import rearrange
from torch import Tensor, nn

from star.models.editors.seedvr2.blocks import Angles, Block, BlockSizes
from star.models.editors.seedvr2.layers import (
    EPS,
    OutputModulation,
    TimeEmbedding,
    normalise,
)
from star.models.editors.seedvr2.rotary import LANGUAGE, PIXEL
from star.models.editors.seedvr2.windows import Size, plan_boxes
from star.registry import MODELS

VARIANTS = ('3b', '7b')
PATCH = 2  # latents of a token's side
_FREQUENCIES = '.rope.rope.freqs'  # of each block, in files


@MODELS.register_module()
class SeedVR2DiT(nn.Module):
    """Predicts the velocity of a clip's latents.

    The defaults are those of the 3B model. For inference only: tokens are
    changed in place. The clips of a batch are computed one by one, since the
    official code mixes up their texts.

    Args:
        variant: '3b' or '7b', which differ in more than sizes: the first has
            gated MLPs, positions of the kind of language models, one set of
            weights for video and text in the later blocks, and a modulated
            output.
        dim: channels of a token.
        layers: blocks.
        heads: of the attention.
        head_dim: channels of a head.
        separate: first blocks, in which video and text have weights of
            their own; of variant '7b' all blocks.
        text_dim: channels of the text.
        latent_channels: of a latent.
        windows: of each axis, in a frame of 1280 x 720.

    Raises:
        ValueError: an unknown variant.
    """

    vid_in: Any  # with a layer of the name in the published files
    vid_out: Any

    def __init__(
        self,
        variant: str = '3b',
        dim: int = 2560,
        layers: int = 32,
        heads: int = 20,
        head_dim: int = 128,
        separate: int = 10,
        text_dim: int = 5120,
        latent_channels: int = 16,
        windows: Sequence[int] = (4, 3, 3),
    ) -> None:
        super().__init__()
        if variant not in VARIANTS:
            raise ValueError(
                f"`variant` must be '3b' or '7b', got {variant!r}"
            )
        small = variant == '3b'
        self.latent_channels, self.text_dim = latent_channels, text_dim
        t, h, w = windows
        self.windows: Size = (t, h, w)
        self.sizes = BlockSizes(
            dim, heads, head_dim, small, LANGUAGE if small else PIXEL
        )
        self.vid_in, self.vid_out = nn.Module(), nn.Module()
        area = PATCH**2
        inputs = 2 * latent_channels + 1
        self.vid_in.proj = nn.Linear(inputs * area, dim)
        self.txt_in = nn.Linear(text_dim, dim)
        self.emb_in = TimeEmbedding(dim)
        self.blocks = nn.ModuleList(
            Block(
                self.sizes,
                shared=small and i >= separate,
                drops_text=small and i == layers - 1,
            )
            for i in range(layers)
        )
        self.vid_out_ada = OutputModulation(dim) if small else None
        if small:
            self.vid_out_norm = nn.RMSNorm(dim, EPS)
        self.vid_out.proj = nn.Linear(dim, latent_channels * area)

    def forward(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predict noise - x0, clip by clip.

        Args:
            x: noisy latents, low-quality latents and a mask, (N, 2 C + 1, T,
                h, w); h and w even.
            t: timesteps, (N,), 0 to 1000.
            text: embeddings, (N, L, D).

        Returns:
            (N, C, T, h, w).

        Raises:
            ValueError: h or w is odd.
        """
        if x.shape[-1] % PATCH or x.shape[-2] % PATCH:
            raise ValueError(
                f'latents must have even sides, got {tuple(x.shape[-2:])}'
            )
        clips = zip(x, t.split(1), text, strict=True)
        return torch.stack([self._predict(*clip) for clip in clips])

    def _predict(self, x: Tensor, t: Tensor, text: Tensor) -> Tensor:
        """Predict for one clip, (2 C + 1, T, h, w)."""
        patches = rearrange(
            x, 'c t (h a) (w b) -> t h w (a b c)', a=PATCH, b=PATCH
        )
        video = self.vid_in.proj(patches)
        text = self.txt_in(text)
        emb = self.emb_in(t)
        frames, rows, columns, _ = video.shape
        angles = Angles(self.sizes, len(text), text.device)
        size = frames, rows, columns
        boxes = [
            plan_boxes(size, self.windows, shifted)
            for shifted in (False, True)
        ]
        for i, block in enumerate(self.blocks):
            video, text = block(video, text, emb, boxes[i % 2], angles)
        if self.vid_out_ada is not None:
            for frame in video:
                normed = normalise(frame) * self.vid_out_norm.weight.float()
                frame.copy_(self.vid_out_ada(normed, emb))
        return rearrange(
            self.vid_out.proj(video),
            't h w (a b c) -> c t (h a) (w b)',
            a=PATCH,
            b=PATCH,
        )


def drop_frequencies(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Leave out the rotary frequencies of a file.

    They are computed here in float32: rounded ones, as in files of 16 or 8
    bits, change the result.
    """
    return {k: v for k, v in state.items() if not k.endswith(_FREQUENCIES)}
