"""RealBasicVSR, Chan et al. 2022, with the network of mmagic."""

import re

import torch
from torch import Tensor

from star.models.editors.network_baseline import NetworkBaseline
from star.models.editors.recipe import Recipe
from star.registry import MODELS
from star.utils.checks import check_least
from star.utils.compat import import_mmagic

_RECIPE = Recipe(
    window=32,
    overlap=8,
    min_size=64,  # its flow network halves the frame five times
    licence='Apache-2.0',
    source=(
        'Chan et al. 2022, arXiv 2111.12704, '
        'github.com/ckkelvinchan/RealBasicVSR'
    ),
)
_PARTS = ('image_cleaning', 'basicvsr')
# (BasicSR's name, mmagic's), below `basicvsr.`
_BASICSR = (
    (r'\.(back|for)ward_trunk\.', r'.\1ward_resblocks.'),
    (r'\.upconv([12])\.', r'.upsample\1.upsample_conv.'),
)
_SPYNET_LAYER = re.compile(
    r'(\.basic_module\.\d\.basic_module\.)([02468])\.(weight|bias)$'
)


@MODELS.register_module()
class RealBasicVSR(NetworkBaseline):
    """Cleans frames, then restores them forwards and backwards in time.

    The network has 6,294,834 parameters at the default widths. Each window is
    restored by itself; shared frames fade from one window to the next.

    Args:
        weights: as for `NetworkBaseline`.
        clean_threshold: cleaning ends once a pass changes the frames of a
            window by less than this on average, of 255; the published
            inference has 255, which is one pass, and the paper's dynamic
            refinement about 5.
        max_cleanings: passes at most, >= 1.
        dim: channels of the features; 64 as published.
        num_blocks: residual blocks of each direction; 20 as published.
        num_cleaning_blocks: residual blocks of the cleaning; 20 as published.
        window: as for `NetworkBaseline`.
        overlap: as for `NetworkBaseline`.
        tile: as for `NetworkBaseline`.
        tile_overlap: as for `NetworkBaseline`.

    Raises:
        ValueError: a value is out of range.
        ImportError: mmagic is not installed.
    """

    wrappers = ('state_dict',)
    shares_work = True

    def __init__(
        self,
        weights: str | None = None,
        clean_threshold: float = 255,
        max_cleanings: int = 3,
        dim: int = 64,
        num_blocks: int = 20,
        num_cleaning_blocks: int = 20,
        window: int | None = None,
        overlap: int | None = None,
        tile: int = 0,
        tile_overlap: int = 32,
    ) -> None:
        if not 0 <= clean_threshold <= 255:
            raise ValueError(
                f'`clean_threshold` must lie in [0, 255], got '
                f'{clean_threshold}'
            )
        check_least('max_cleanings', max_cleanings, 1)
        super().__init__(_RECIPE, weights, window, overlap, tile, tile_overlap)
        self.clean_threshold = clean_threshold
        self.max_cleanings = max_cleanings
        network = import_mmagic().RealBasicVSRNet(
            dim, num_blocks, num_cleaning_blocks
        )
        # about 40 % less time on two cores, 28 % on one
        self.network = network.to(memory_format=torch.channels_last)

    def rename(self, name: str) -> str | None:
        """Translate a name in a file into mmagic's.

        Args:
            name: of mmagic's file, where only `generator_ema.` counts, or of
                a network by itself, with mmagic's or BasicSR's names.
        """
        name = name.removeprefix('generator_ema.')
        if not name.startswith(_PARTS):
            return None  # the other generator, the discriminator, counters
        for pattern, own in _BASICSR:
            name = re.sub(pattern, own, name)
        return _SPYNET_LAYER.sub(_convolution, name)

    def restore_frames(self, x: Tensor) -> Tensor:
        """Restore consecutive frames, (t, 3, h, w) in [0, 1]."""
        frames = self.clean(x)
        if len(x) == 1:  # its flows need a neighbour
            frames = frames.repeat(2, 1, 1, 1)
        restore = self.network.get_submodule('basicvsr')
        return restore(frames[None])[0, : len(x)]

    def clean(self, x: Tensor) -> Tensor:
        """Take noise and artefacts out of frames, section 3.2 of the paper.

        The network's own `forward` either cleans in place, frame by frame, or
        holds all frames in memory at once; so this calls its layers.

        Args:
            x: (t, 3, h, w) in [0, 1]; unchanged.

        Returns:
            (t, 3, h, w), not clamped.
        """
        find_residue = self.network.get_submodule('image_cleaning')
        for _ in range(self.max_cleanings):
            residue = torch.cat([find_residue(frame) for frame in x.split(1)])
            x = x + residue
            if residue.abs().mean() * 255 < self.clean_threshold:
                break
        return x


def _convolution(match: re.Match[str]) -> str:
    """Name a layer of SPyNet; BasicSR's numbers count the ReLUs as well."""
    head, index, kind = match.groups()
    return f'{head}{int(index) // 2}.conv.{kind}'
