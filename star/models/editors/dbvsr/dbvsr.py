"""DBVSR: deep blind video super-resolution, Pan et al., ICCV 2021.

Each frame is restored from itself and its two neighbours: all are enlarged,
the frame is deconvolved, its neighbours are warped onto it, and RCAN computes
the result (arXiv 2003.04716). Written from a description: the authors' code
has no licence and was not used.
"""

from dataclasses import dataclass
from pathlib import Path

import torch
from einops import rearrange
from torch import Tensor, nn
from torch.nn import functional as F

from star.models.editors.dbvsr.deconvolution import deconvolve
from star.models.editors.dbvsr.pwcnet import PWCNet, Pyramid, warp_inside
from star.models.editors.dbvsr.rcan import ResidualGroup, upsampler
from star.models.editors.network_baseline import NetworkBaseline
from star.models.editors.recipe import Recipe
from star.models.layers.rrdb import conv3x3
from star.registry import MODELS
from star.utils.paths import asset_path
from star.utils.tensor_files import read_state

SCALE = 4
KERNEL = 'dbvsr_kernel.safetensors'  # (15, 15)
UNUSED = ('fcnnet.', 'pwcnet.')  # where flow has a file of its own
RECIPE = Recipe(
    scale=SCALE,
    window=24,
    overlap=2,
    blend='trim',
    min_size=8,
    pad='replicate',
    licence='none stated',
    source='Pan et al., ICCV 2021; github.com/cscss/DBVSR',
)


@dataclass(frozen=True)
class PreparedFrame:
    """A frame, its enlargement, and the pyramids for its flow.

    Args:
        small: (1, 3, h, w) RGB in [0, 1].
        large: (1, 3, 4h, 4w), bicubic, not clamped.
        small_pyramid: of `small`.
        large_pyramid: of `large`.
    """

    small: Tensor
    large: Tensor
    small_pyramid: Pyramid
    large_pyramid: Pyramid


class DBVSRNet(nn.Module):
    """Restores the middle one of three frames.

    Args:
        num_groups: residual groups, >= 0.
        num_blocks: blocks of each group.
        dim: channels.
    """

    def __init__(
        self, num_groups: int = 10, num_blocks: int = 20, dim: int = 64
    ) -> None:
        super().__init__()
        self.pwcnet = nn.ModuleDict({'moduleNetwork': PWCNet()})
        self.head = nn.Sequential(conv3x3(9 * (SCALE**2 + 1), dim))
        groups = [ResidualGroup(dim, num_blocks) for _ in range(num_groups)]
        self.body = nn.Sequential(*groups, conv3x3(dim, dim))
        self.tail = nn.Sequential(upsampler(dim, 2), conv3x3(dim, 3))
        # no buffer: it stays in float32 in a network of another dtype
        self.kernel = read_state(asset_path(KERNEL))['kernel']

    def forward(self, clip: Tensor) -> Tensor:
        """Restore a clip; past its ends the outer frames are repeated.

        Besides the result, memory does not grow with the clip.

        Args:
            clip: (t, 3, h, w) RGB in [0, 1].

        Returns:
            (t, 3, 4h, 4w), not clamped.
        """
        height, width = (SCALE * side for side in clip.shape[-2:])
        restored = clip.new_empty(len(clip), 3, height, width)
        before = frame = self.prepare(clip[:1])
        for i in range(len(clip)):
            last = i + 1 == len(clip)
            after = frame if last else self.prepare(clip[i + 1 : i + 2])
            restored[i] = self.restore(before, frame, after)[0]
            before, frame = frame, after
        return restored

    def prepare(self, frame: Tensor) -> PreparedFrame:
        """Compute what every window of three needs of a frame."""
        large = enlarge(frame)
        pyramids = self.flow_network.prepare
        return PreparedFrame(
            frame, large, pyramids(frame), pyramids(large.to(frame))
        )

    def restore(
        self, before: PreparedFrame, frame: PreparedFrame, after: PreparedFrame
    ) -> Tensor:
        """Restore a frame from itself and its neighbours.

        Returns:
            (1, 3, 4h, 4w), not clamped.
        """
        views = [
            *self.align(before, frame),
            deconvolve(frame.large, self.kernel),
            frame.small,
            *self.align(after, frame),
        ]
        for i in (0, 2, 4):
            views[i] = space_to_depth(views[i])
        x = torch.cat([view.to(frame.small) for view in views], 1)
        # convolutions on the CPU are up to twice as fast in this layout
        x = self.head(x.contiguous(memory_format=torch.channels_last))
        return self.tail(self.body(x) + x)

    def align(
        self, other: PreparedFrame, frame: PreparedFrame
    ) -> tuple[Tensor, Tensor]:
        """Warp a neighbour onto a frame, at the large and the small size."""
        flow = self.flow_network.flow
        large = flow(
            frame.large_pyramid, other.large_pyramid, _size(frame.large)
        )
        small = flow(
            frame.small_pyramid, other.small_pyramid, _size(frame.small)
        )
        return (
            warp_inside(other.large, large, 'border'),
            warp_inside(other.small, small, 'border'),
        )

    @property
    def flow_network(self) -> PWCNet:
        """Return the network for the optical flow."""
        network = self.pwcnet['moduleNetwork']
        assert isinstance(network, PWCNet)
        return network


@MODELS.register_module()
class DBVSR(NetworkBaseline):
    """Restores clips with DBVSR.

    The file's small network for the blur, `fcnnet`, is left out: its input is
    constant, so its output is one kernel, which ships with the package.

    Args:
        weights: `model_dbvsr.pt`; None where they are loaded later.
        flow_weights: PWC-Net's own file, `network-default.pytorch`, in place
            of the flow network in `weights`.
        window: frames at a time; None for the recipe's.
        overlap: frames that windows share, 2 suffice; None for the recipe's.
        tile: side of a spatial tile in pixels of the input; 0 for no tiles.
        tile_overlap: pixels that neighbouring tiles share.
        num_groups: see `DBVSRNet`.
        num_blocks: see `DBVSRNet`.
    """

    network: DBVSRNet
    shares_work = True

    def __init__(
        self,
        weights: str | None = None,
        flow_weights: str | None = None,
        window: int | None = None,
        overlap: int | None = None,
        tile: int = 0,
        tile_overlap: int = 32,
        num_groups: int = 10,
        num_blocks: int = 20,
    ) -> None:
        super().__init__(RECIPE, weights, window, overlap, tile, tile_overlap)
        self.network = DBVSRNet(num_groups, num_blocks)
        self.flow_weights = flow_weights

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """Files for `load_weights`: paths or names of published files."""
        if self.flow_weights is None:
            return (self.weights,)
        return self.weights, self.flow_weights

    def load_weights(self, *paths: str | Path) -> None:
        """Load a file, or one and PWC-Net's; every tensor must fit.

        Args:
            paths: a file as for `NetworkBaseline`, and maybe
                `network-default.pytorch`, which replaces the flow network of
                the first file; that need not have one then.

        Raises:
            ValueError: a file cannot be read or is another network's.
        """
        if len(paths) == 1:
            super().load_weights(*paths)
            return
        path, flow_path = paths
        self.flow_weights = str(flow_path)  # `rename` goes by it
        flow = self.network.flow_network
        others = nn.ModuleDict(
            {
                name: part
                for name, part in self.network.named_children()
                if name != 'pwcnet'
            }
        )
        states = (
            self.read_state(flow_path, flow),
            self.read_state(path, others),
        )
        flow.load_state_dict(states[0], strict=True)
        others.load_state_dict(states[1], strict=True)
        self.loaded = True

    def rename(self, name: str) -> str | None:
        """Drop the blur's network, and a flow network that is replaced."""
        unused = ('fcnnet.',) if self.flow_weights is None else UNUSED
        return None if name.startswith(unused) else name

    def restore_frames(self, x: Tensor) -> Tensor:
        """Restore consecutive frames, the outer ones repeated."""
        return self.network(x)


def enlarge(x: Tensor) -> Tensor:
    """Enlarge pictures 4 times by cubic convolution with a = -0.75.

    Args:
        x: (N, C, h, w), any range.

    Returns:
        (N, C, 4h, 4w), float32 or finer, not clamped: equal to OpenCV's
        INTER_CUBIC on floating-point pixels.
    """
    return F.interpolate(
        x.to(torch.promote_types(x.dtype, torch.float32)),
        scale_factor=SCALE,
        mode='bicubic',
        align_corners=False,
    )


def space_to_depth(x: Tensor) -> Tensor:
    """Fold blocks of 4x4 pixels into channels, colours the fastest.

    Args:
        x: (N, C, 4h, 4w).

    Returns:
        (N, 16 C, h, w).
    """
    return rearrange(x, 'n c (h i) (w j) -> n (i j c) h w', i=SCALE, j=SCALE)


def _size(x: Tensor) -> tuple[int, int]:
    return x.shape[-2], x.shape[-1]
