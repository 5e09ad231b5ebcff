"""Real-ESRGAN, Wang et al. 2021: its large and its compact networks.

They see one frame at a time, so they flicker where the input does.
"""

from pathlib import Path
from typing import Any

from torch import Tensor

from star.models.editors.network_baseline import NetworkBaseline
from star.models.editors.real_esrgan.rrdbnet import RRDBNet
from star.models.editors.real_esrgan.srvgg import SRVGGNetCompact
from star.models.editors.recipe import Recipe
from star.models.restoration.options import CUTS, RestoreOptions
from star.registry import MODELS
from star.utils.checks import check_share
from star.video.tiling import both_axes

_LICENCE = 'BSD-3-Clause'
_SOURCE = 'Wang et al. 2021, arXiv 2107.10833, github.com/xinntao/Real-ESRGAN'


@MODELS.register_module()
class RealESRGAN(NetworkBaseline):
    """Restores clips frame by frame with Real-ESRGAN's RRDBNet.

    Args:
        num_blocks: 23 for x4plus and x2plus, 6 for x4plus_anime_6B.
        weights: as for `NetworkBaseline`.
        scale: of the weights: 1, 2 or 4.
        tile: as for `NetworkBaseline`.
        tile_overlap: as for `NetworkBaseline`.

    Raises:
        ValueError: a value is out of range.
    """

    shares_work = True

    def __init__(
        self,
        num_blocks: int = 23,
        weights: str | None = None,
        scale: int = 4,
        tile: int = 0,
        tile_overlap: int = 32,
    ) -> None:
        network = RRDBNet(num_blocks, scale=scale)
        recipe = Recipe(
            scale=scale,
            size_multiple=network.fold,
            licence=_LICENCE,
            source=_SOURCE,
        )
        super().__init__(recipe, weights, tile=tile, tile_overlap=tile_overlap)
        self.network = network

    def restore_frames(self, x: Tensor) -> Tensor:
        """Restore frames, (t, 3, h, w) in [0, 1]."""
        return self.network(x)


@MODELS.register_module()
class RealESRGANCompact(NetworkBaseline):
    """Restores clips frame by frame with a compact Real-ESRGAN network.

    Its weights are `denoise` * `weights` + (1 - `denoise`) *
    `weights_denoise`. Release 0.2.5 has a second file for general-x4v3, which
    was trained to keep noise; its command line takes the mean of both by
    default. Here the default, 1, is the first file alone.

    Args:
        num_conv: 32 for realesr-general-x4v3, 16 for realesr-animevideov3.
        weights: as for `NetworkBaseline`.
        weights_denoise: the second file, realesr-general-wdn-x4v3; it is not
            read where `denoise` is 1.
        denoise: share of the first file, 0 to 1; less removes less noise.
        scale: of the weights.
        tile: as for `NetworkBaseline`.
        tile_overlap: as for `NetworkBaseline`.

    Raises:
        ValueError: a value is out of range, or a file is missing.
    """

    def __init__(
        self,
        num_conv: int = 32,
        weights: str | None = None,
        weights_denoise: str | None = None,
        denoise: float = 1,
        scale: int = 4,
        tile: int = 0,
        tile_overlap: int = 32,
    ) -> None:
        check_share('denoise', denoise)
        if denoise < 1 and weights_denoise is None:
            raise ValueError(
                f'`denoise` {denoise} mixes two files: `weights_denoise` '
                'must name the second'
            )
        recipe = Recipe(scale=scale, licence=_LICENCE, source=_SOURCE)
        super().__init__(recipe, weights, tile=tile, tile_overlap=tile_overlap)
        self.network = SRVGGNetCompact(num_conv, scale=scale)
        self.weights_denoise, self.denoise = weights_denoise, denoise

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """Files for `load_weights`: paths or names of published files."""
        if self.denoise == 1:
            return (self.weights,)
        return (self.weights, self.weights_denoise)

    def load_weights(self, *paths: str | Path) -> None:
        """Load one file, or two and mix them.

        Args:
            paths: a file as for `NetworkBaseline`, and the second one unless
                `denoise` is 1.

        Raises:
            ValueError: a file cannot be read, is another network's, or is
                missing.
        """
        if self.denoise == 1:
            super().load_weights(*paths)
            return
        if len(paths) != 2:
            raise ValueError(
                f'`denoise` {self.denoise} mixes two files, got {len(paths)}'
            )
        one, two = (self.read_state(path) for path in paths)
        # in float32: a mix in the files' precision would be rounded
        state = {
            k: two[k].float().lerp(one[k].float(), self.denoise) for k in one
        }
        self.network.load_state_dict(state, strict=True)
        self.loaded = True

    def restore_frames(self, x: Tensor) -> Tensor:
        """Restore frames, (t, 3, h, w) in [0, 1]."""
        return self.network(x)

    def is_exact(self, options: RestoreOptions) -> bool:
        """Return True: strips join without a trace."""
        return True

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe and options, to be written as JSON."""
        found = super().describe_options(options)
        return {k: v for k, v in found.items() if k not in CUTS}

    def _restore(
        self, x: Tensor, options: RestoreOptions, states: dict[int, Any]
    ) -> Tensor:
        """Restore a window; a tile is as wide a strip of it, joined exactly.

        Returns:
            (t, 3, H, W) float32.
        """
        columns = both_axes(options.tile)[1] // self._scale
        return self.network(x, columns).float()
