"""ResShift, Yue et al. 2023: a few steps from the enlarged frame, each frame
by itself."""

from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from star.diffusion.residual_shift import sample_residual_shift, shift_levels
from star.models.editors.diffusion_baseline import DiffusionBaseline, WindowJob
from star.models.editors.recipe import Recipe
from star.models.editors.resshift.chopping import (
    SCALE,
    Draw,
    plan_chops,
    separate_noise,
    share_noise,
    tile_of,
)
from star.models.editors.resshift.unet import ResShiftUNet
from star.models.editors.resshift.vq import VQAutoencoder
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from star.utils.tensor_files import read_state
from star.video.padding import crop, pad_reflect
from star.video.tiling import Tile, cut_tile, stitch_tiles

# what the files hold besides parameters; EMA has averaged the masks
_BUFFERS = ('.relative_position_index', '.attn_mask')
_CHOP, _CHOP_OVERLAP = 2048, 256  # published: 512 and 64 of the input


@MODELS.register_module()
class ResShift(DiffusionBaseline):
    """Restores each frame with a diffusion that starts at the frame itself.

    The number of steps belongs to the weights. Tiles are encoded, denoised
    and decoded each by itself, as the authors' script does. They take
    their part of the whole frame's noise and fade into each other; with
    `compat='official'` each has noise of its own, and overlaps are plain
    means.

    Args:
        steps: T, with which the weights were trained.
        min_noise: of the first step, with which they were trained.
        weights: file of the UNet, or name of a published one.
        autoencoder_weights: the same of the autoencoder.
        backbone: config of the UNet; None for the published one.
        autoencoder: config of the autoencoder; None for the published one.
        noise: as for `DiffusionBaseline`.
        restore_options: as for `DiffusionBaseline`.

    Raises:
        ValueError: a value is out of range, or two parts do not fit.
    """

    parts = ('backbone', 'autoencoder')

    def __init__(
        self,
        steps: int = 15,
        min_noise: float = 0.04,
        weights: str | None = None,
        autoencoder_weights: str | None = 'autoencoder_vq_f4.pth',
        backbone: Mapping | None = None,
        autoencoder: Mapping | None = None,
        noise: str = 'per_frame',
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        etas = shift_levels(steps, min_noise)
        unet = MODELS.build({'type': 'ResShiftUNet', **(backbone or {})})
        vq = MODELS.build({'type': 'VQAutoencoder', **(autoencoder or {})})
        _check_parts(unet, vq)
        recipe = Recipe(
            scale=SCALE,
            size_multiple=unet.size_multiple,
            licence='S-Lab-1.0 (non-commercial)',
            source='Yue et al. 2023, arXiv 2307.12348, '
            'github.com/zsyOAOA/ResShift',
        )
        own = {'steps': steps, 'tile': _CHOP, 'tile_overlap': _CHOP_OVERLAP}
        super().__init__(
            recipe,
            (weights, autoencoder_weights),
            {**own, **(restore_options or {})},
            noise,
        )
        self.etas = etas
        self.backbone: ResShiftUNet = unet
        self.autoencoder: VQAutoencoder = vq
        self.check_options(self.restore_options)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter; the weights fix the steps."""
        return super().options_used - {'steps'}

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, noise, steps and options, as JSON can hold them."""
        described = super().describe_options(options)
        return {**described, 'steps': len(self.etas)}

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with.

        Args:
            options: of a restoration.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        super().check_options(options)
        sides, shared = tile_of(options)
        if options.tile and min(sides) <= shared:
            raise ValueError(
                f'`tile` must be at least {SCALE * (shared + 1)} output '
                f'pixels at a `tile_overlap` of {options.tile_overlap}, got '
                f'{options.tile}'
            )

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; the codebook stays in float32.

        Args:
            device: where to.
            dtype: of the networks.
        """
        exact = self.autoencoder.codebook.data.float()
        super().place(device, dtype)
        self.autoencoder.codebook.data = exact.to(device)

    def read_parts(
        self, paths: Sequence[Path]
    ) -> dict[str, tuple[Path, dict[str, Tensor]]]:
        """Read the UNet's file and the autoencoder's.

        Args:
            paths: these two files.

        Raises:
            ValueError: a file cannot be read, or one is not given.
        """
        if len(paths) != 2:
            raise ValueError(
                'ResShift takes two files, of the UNet and of the '
                f'autoencoder, got {len(paths)}'
            )
        unet, vq = paths
        state = {
            name: tensor
            for name, tensor in read_state(unet).items()
            if not name.endswith(_BUFFERS)
        }
        decoder = self.autoencoder.read(read_state(vq))
        return {'backbone': (unet, state), 'autoencoder': (vq, decoder)}

    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore frames one by one: (t, 3, h, w) to (t, 3, 4 h, 4 w)."""
        restored = []
        for i, frame in enumerate(clip.split(1)):
            noise = replace(job.noise, start=job.noise.start + i)
            restored.append(self._restore_frame(frame, noise, job.options))
            job.progress((i + 1) / len(clip))
        return torch.cat(restored)

    def sample(self, lq: Tensor, draw: Draw) -> Tensor:
        """Restore padded pixels.

        Args:
            lq: (1, 3, h, w) float32 in [-1, 1]; the sides are multiples of
                `recipe.size_multiple`.
            draw: number -> the noise of that draw, like the latents
                (1, C, h, w).

        Returns:
            (1, 3, 4 h, 4 w) in [-1, 1].
        """
        dtype = next(self.backbone.parameters()).dtype
        low = lq.to(dtype)

        def predict(x: Tensor, t: int) -> Tensor:
            step = torch.full((len(x),), t, device=x.device)
            return self.backbone(x.to(dtype), low, step).to(x)

        # bicubic overshoots, and is not clamped
        wide = F.interpolate(lq, scale_factor=SCALE, mode='bicubic')
        z = sample_residual_shift(
            predict, self.autoencoder.encode(wide), self.etas, draw
        )
        return self.autoencoder.decode(z).clamp(-1, 1)

    def _restore_frame(
        self, frame: Tensor, noise: FrameNoise, options: RestoreOptions
    ) -> Tensor:
        """Restore a frame (1, 3, h, w), tile by tile."""
        height, width = frame.shape[-2:]
        tiles = plan_chops(height, width, options)
        draws = self._draws(tiles, noise, options.compat == 'official')
        pieces = (
            self._restore_tile(cut_tile(frame, tile, 1, SCALE), draw)
            for tile, draw in zip(tiles, draws, strict=True)
        )
        return stitch_tiles(pieces, tiles)

    def _restore_tile(self, x: Tensor, draw: Draw) -> Tensor:
        """Restore pixels (1, 3, h, w) of any size."""
        height, width = x.shape[-2:]
        multiple = self.recipe.size_multiple
        padded = pad_reflect(x, -height % multiple, -width % multiple)
        out = self.sample(padded, lambda number: draw(number).to(x))
        return crop(out, SCALE * height, SCALE * width)

    def _draws(
        self, tiles: list[Tile], noise: FrameNoise, official: bool
    ) -> list[Draw]:
        """Choose the noise of each tile."""
        sizes = self.recipe.size_multiple, self.backbone.latent_channels
        if official:
            return separate_noise(tiles, *sizes, noise, len(self.etas))
        return share_noise(tiles, *sizes, noise)


def _check_parts(unet: ResShiftUNet, vq: VQAutoencoder) -> None:
    if vq.downsample != SCALE or unet.lq_factor != 1:
        raise ValueError(
            'latents must be as large as the low-quality frame: `autoencoder` '
            f'must divide sides by {SCALE}, not {vq.downsample}, and '
            '`lq_size` of `backbone` must be its `image_size`'
        )
