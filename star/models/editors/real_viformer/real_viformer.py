"""RealViformer, Zhang and Yao 2024: frame by frame, with a memory."""

from collections.abc import Mapping
from typing import NamedTuple

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.editors.network_baseline import NetworkBaseline
from star.models.editors.real_viformer.blocks import (
    MergeBlock,
    TransformerBlock,
    ViformerDownsample,
    ViformerUpsample,
)
from star.models.editors.recipe import Recipe
from star.models.layers.memory_format import use_channels_last
from star.models.layers.spynet import SPyNet
from star.models.layers.warp import flow_warp
from star.registry import MODELS


class Memory(NamedTuple):
    """The memory that a frame passes to the next one.

    Args:
        frame: the low-quality frame, (N, 3, h, w).
        features: (N, dim, h, w).
    """

    frame: Tensor
    features: Tensor


class RealViformerNet(nn.Module):
    """Restores a frame with the features of the one before.

    Named as in the published file.

    Args:
        dim: width at full size; it doubles at each of two smaller ones.
        blocks: transformer blocks at the three sizes, and of the refinement.
        heads: of the attention at the three sizes.
        expansion: of the feed-forward networks.
        squeeze: attention is this much narrower than its block.
    """

    def __init__(
        self,
        dim: int = 48,
        blocks: tuple[int, int, int, int] = (2, 3, 4, 1),
        heads: tuple[int, int, int] = (1, 2, 4),
        expansion: float = 2.66,
        squeeze: int = 4,
    ) -> None:
        super().__init__()

        def row(level: int, width: int, count: int) -> nn.Sequential:
            return nn.Sequential(
                *[
                    TransformerBlock(width, heads[level], expansion, squeeze)
                    for _ in range(count)
                ]
            )

        self.shallow_extraction = nn.Sequential(
            nn.Conv2d(3, dim, 3, padding=1),
            TransformerBlock(dim, 1, expansion, squeeze=1),
        )
        self.spynet = SPyNet()
        self.attn_merge = MergeBlock(dim, heads=2)
        self.encoder_level1 = row(0, dim, blocks[0])
        self.down1_2 = ViformerDownsample(dim)
        self.encoder_level2 = row(1, 2 * dim, blocks[1])
        self.down2_3 = ViformerDownsample(2 * dim)
        self.latent = row(2, 4 * dim, blocks[2])
        self.up3_2 = ViformerUpsample(4 * dim)
        self.reduce_chan_level2 = nn.Conv2d(4 * dim, 2 * dim, 1, bias=False)
        self.decoder_level2 = row(1, 2 * dim, blocks[1])
        self.up2_1 = ViformerUpsample(2 * dim)
        self.decoder_level1 = row(0, 2 * dim, blocks[0])
        self.refinement = row(0, 2 * dim, blocks[3])
        self.compress = nn.Conv2d(2 * dim, dim, 1)
        self.upconv1 = nn.Conv2d(2 * dim, 4 * dim, 3, padding=1)
        self.upconv2 = nn.Conv2d(dim, 256, 3, padding=1)
        self.conv_hr = nn.Conv2d(64, 64, 3, padding=1)
        self.conv_last = nn.Conv2d(64, 3, 3, padding=1)

    def forward(
        self, x: Tensor, memory: Memory | None = None
    ) -> tuple[Tensor, Memory]:
        """Restore one frame of each clip.

        Args:
            x: (N, 3, h, w) RGB in [0, 1]; h and w are multiples of 4.
            memory: of the frame before; None at the first one.

        Returns:
            (N, 3, 4 h, 4 w), not clamped, and the memory for the next frame.
        """
        shallow = self.shallow_extraction(x)
        if memory is None:
            carried = torch.zeros_like(shallow)
        else:
            flow = self.spynet(x, memory.frame)
            carried = flow_warp(memory.features, flow)
        features = self._refine(self.attn_merge(shallow, carried))
        return self._enlarge(features, x), Memory(x, self.compress(features))

    def _refine(self, x: Tensor) -> Tensor:
        """Run the U-Net: (N, dim, h, w) to (N, 2 dim, h, w)."""
        level1 = self.encoder_level1(x)
        level2 = self.encoder_level2(self.down1_2(level1))
        x = self.up3_2(self.latent(self.down2_3(level2)))
        x = self.reduce_chan_level2(torch.cat([x, level2], dim=1))
        x = self.up2_1(self.decoder_level2(x))
        x = self.decoder_level1(torch.cat([x, level1], dim=1))
        return self.refinement(x)

    def _enlarge(self, features: Tensor, x: Tensor) -> Tensor:
        for conv in (self.upconv1, self.upconv2):
            features = F.pixel_shuffle(conv(features), 2)
            features = F.leaky_relu(features, 0.1, inplace=True)
        features = F.leaky_relu(self.conv_hr(features), 0.1, inplace=True)
        detail = self.conv_last(features)
        return detail + F.interpolate(
            x, scale_factor=4, mode='bilinear', align_corners=False
        )


@MODELS.register_module()
class RealViformer(NetworkBaseline):
    """Restores clips frame by frame, with a memory of all earlier frames.

    The memory passes the borders of windows, so the result does not depend on
    `window`. The authors' script clears it every 100 frames, and pads at the
    top and on the left; here it is the bottom and the right. Attention looks
    at whole frames, so tiles change the result everywhere; each tile has a
    memory of its own.

    Args:
        weights: as for `NetworkBaseline`.
        ema: whether to load the averaged weights of the authors' file; their
            script loads the others.
        window: as for `NetworkBaseline`.
        tile: as for `NetworkBaseline`.
        tile_overlap: as for `NetworkBaseline`.
    """

    def __init__(
        self,
        weights: str | None = None,
        ema: bool = False,
        window: int | None = None,
        tile: int = 0,
        tile_overlap: int = 32,
    ) -> None:
        recipe = Recipe(
            scale=4,
            size_multiple=4,
            licence='MIT',
            source='Zhang and Yao 2024, github.com/Yuehan717/RealViformer',
        )
        super().__init__(
            recipe, weights, window, tile=tile, tile_overlap=tile_overlap
        )
        self.wrappers = ('params_ema',) if ema else ('params',)
        self.network = RealViformerNet()
        # about a quarter less time on a CPU
        use_channels_last(self.network)

    def rename(self, name: str) -> str | None:
        """Drop a tensor that the authors' network no longer uses."""
        return None if name == 'attn_merge.attn.masktemp' else name

    def pack_state(self, state: Memory) -> Mapping[str, Tensor]:
        """Return the memory as tensors."""
        return state._asdict()

    def unpack_state(self, tensors: Mapping[str, Tensor]) -> Memory:
        """Make the memory; its layout decides how convolutions round."""
        features = tensors['features']
        return Memory(
            tensors['frame'],
            features.contiguous(memory_format=torch.channels_last),
        )

    def restore_frames(self, x: Tensor) -> Tensor:
        """Restore frames, (t, 3, h, w) in [0, 1], one after another."""
        restored = []
        for frame in x.split(1):
            out, self.state = self.network(frame, self.state)
            restored.append(out)
        return torch.cat(restored)
