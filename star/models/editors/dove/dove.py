"""DOVE, Chen et al., NeurIPS 2025: one step of a video transformer."""

from collections import deque
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.models.autoencoders.cogvideox_vae import CogVideoXVAE
from star.models.contracts import Events
from star.models.data_preprocessor import upsample_clip
from star.models.editors.base import FrameWindow, Restored
from star.models.editors.diffusion_baseline import (
    DiffusionBaseline,
    WindowJob,
)
from star.models.editors.dove.files import WEIGHTS, read_release
from star.models.editors.dove.geometry import FRAMES, MULTIPLE
from star.models.editors.dove.network import (
    POSTERIOR,
    Draw,
    OneStepTransformer,
)
from star.models.editors.dove.official import (
    OfficialPlan,
    check_official,
    draw_in_turn,
    find_faults,
    restore_official,
    truncate,
)
from star.models.editors.dove.pieces import shift_back
from star.models.editors.dove.tiles import (
    cut_noise,
    draw_noise,
    plan_pixel_tiles,
    shared_pixels,
)
from star.models.editors.recipe import Recipe
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import lengthen
from star.registry import MODELS
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.padding import crop, pad_amount, pad_reflect
from star.video.tiling import (
    Tile,
    TileSize,
    both_axes,
    check_tile,
    cut_tile,
    stitch_tiles,
)

OPTIONS = {'seed': 42, 'color_fix': 'none', 'tile_overlap': 128}
_WHOLE = 2**31  # frames of a window that has no end
_BEFORE = 0  # key of the memory: frames before the next window


@MODELS.register_module()
class DOVE(DiffusionBaseline):
    """Restores clips with one call of a transformer for each window.

    Frames are enlarged, encoded, taken for noised latents of timestep 399,
    and what the transformer sees in them is decoded. A window has 8 k + 1
    frames. The last one begins early enough to be full; a clip shorter than
    a window is filled with its last frame.

    Args:
        transformer: sizes that differ from CogVideoX1.5-5B's, arguments of
            diffusers' CogVideoXTransformer3DModel.
        autoencoder: config of the autoencoder; None for the published one.
        weights: transformer, autoencoder and prompt embedding: paths, or
            names of published files.
        timestep: at which the transformer is called.
        noise_step: timestep to which latents are noised before; 0 for no
            noise, as published.
        vae_tile: side, or height and width, of the autoencoder's tiles in
            pixels; 0 for none. The official mode has tiles of its own.
        chunk: frames of a piece, and frames that two share, in the official
            mode; 0 for whole clips, as published.
        noise: as for `DiffusionBaseline`, of the encoder's samples; 'none'
            takes their mean.
        restore_options: as for `DiffusionBaseline`.

    Raises:
        ValueError: a value is out of range.
    """

    parts = ('backbone.transformer', 'backbone.prompt', 'autoencoder')
    float32_parts = ()
    needs_noise = False
    counted_once = ('restore_tile',)
    autoencoder: CogVideoXVAE

    def __init__(
        self,
        transformer: Mapping[str, Any] | None = None,
        autoencoder: Mapping[str, object] | None = None,
        weights: Sequence[str | None] = WEIGHTS,
        timestep: int = 399,
        noise_step: int = 0,
        vae_tile: TileSize = (240, 360),
        chunk: tuple[int, int] = (0, 8),
        noise: str = 'per_frame',
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        recipe = Recipe(
            window=33,
            overlap=8,
            licence='CogVideoX LICENSE, not Apache (weights); Apache-2.0 '
            '(code)',
            source='Chen et al. 2025, arXiv 2505.16239, '
            'github.com/zhengchen1999/DOVE',
        )
        super().__init__(
            recipe, weights, {**OPTIONS, **(restore_options or {})}, noise
        )
        self.any_scale = True
        self.vae_tile, self.chunk = vae_tile, chunk
        self.backbone = OneStepTransformer(
            transformer or {}, timestep, noise_step
        )
        self.autoencoder = MODELS.build(
            {'type': 'CogVideoXVAE', **(autoencoder or {})}
        )
        self.autoencoder.vae.enable_tiling()  # of the official mode
        self.check_options(self.restore_options)
        self.requires_grad_(False)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        return super().options_used - {'steps'} | {'color_fix'}

    def segment_of(self, options: RestoreOptions) -> tuple[int, int]:
        """Return the frames of a window, and those that two share."""
        if options.compat == 'official':
            return _WHOLE, 0
        return options.window, options.overlap

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with."""
        super().check_options(options)
        if options.compat == 'official':
            check_official(options, self.restore_options)
            return
        if options.window % FRAMES != 1 or options.window == 1:
            raise ValueError(
                f'`window` must be a multiple of {FRAMES} and 1 more for '
                f'DOVE, such as 9, 17 or 33, got {options.window}'
            )
        least = shared_pixels(options) + MULTIPLE
        why = f'DOVE with `tile_overlap` {options.tile_overlap}'
        check_tile(options.tile, least, why)

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, noise and options, to be written as JSON."""
        return {
            **super().describe_options(options),
            'timestep': self.backbone.timestep,
            'noise_step': self.backbone.noise_step,
            'vae_tile': list(both_axes(self.vae_tile)),
            'chunk': list(self.chunk),
        }

    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the files of a release; nothing is held twice."""
        found = read_release(paths)
        for name in self.parts:  # they take the files' own tensors
            self.get_submodule(name).to('meta')
        return found

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; all weights take the dtype."""
        self.to(device, dtype)  # diffusers' own `to` warns of a dtype

    def pack_memory(self, memory: dict[int, Any]) -> dict[str, Tensor] | None:
        """Return the frames before the next window."""
        return {'before': memory[_BEFORE]} if memory else {}

    def unpack_memory(self, tensors: dict[str, Tensor]) -> dict[int, Any]:
        """Make the memory of what `pack_memory` returned."""
        return {_BEFORE: tensors['before']} if 'before' in tensors else {}

    def restore_windows(
        self,
        windows: Iterator[FrameWindow],
        options: RestoreOptions,
        memory: dict[int, Any],
        events: Events,
    ) -> Iterator[Restored]:
        """Restore the windows of one clip, in order.

        Args:
            windows: of the clip.
            options: of the restoration.
            memory: the frames before the next window; changed in place.
            events: receives notes, and the progress of 'denoise'.

        Yields:
            Restored windows, (t, 3, H, W) with values of the same range.

        Raises:
            ValueError: the networks have no weights.
        """
        begun: deque[tuple[int, Tensor]] = deque()
        size, overlap = self.segment_of(options)

        def full() -> Iterator[FrameWindow]:
            found = shift_back(windows, size, overlap, memory.get(_BEFORE))
            for window, more, before in found:
                begun.append((more, before))
                yield window

        restored = super().restore_windows(full(), options, memory, events)
        for out, last in restored:
            more, memory[_BEFORE] = begun.popleft()
            yield out[more:], last

    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore a window; see `DiffusionBaseline`."""
        options = job.options
        height, width = (
            round(side * options.scale) for side in clip.shape[-2:]
        )
        if options.compat == 'official':
            out = crop(self._restore_official(clip, job), height, width)
            fixed = self._fix_colors(out, clip, options)
            return truncate(fixed)
        frames = lengthen(clip, FRAMES)
        frames = upsample_clip(frames, (height, width), 'bilinear')
        multiple = (MULTIPLE, MULTIPLE)
        padding = pad_amount(height, width, multiple, (0, 0))
        out = self._restore_tiles(pad_reflect(frames, *padding), job)
        out = crop(out[: len(clip)], height, width)
        return self._fix_colors(out, clip, options)

    def _restore_official(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore a clip as the script does, its padding included."""
        options = job.options
        shared = options.tile_overlap
        plan = OfficialPlan(
            int(options.scale),
            self.chunk,
            both_axes(options.tile),
            (shared, shared),
        )
        frames, _, height, width = clip.shape
        for fault in find_faults((frames, height, width), plan):
            job.events.note(fault)
        networks = self.autoencoder, self.backbone
        draw = draw_in_turn(options.seed)
        return restore_official(clip, plan, networks, draw, job.progress)

    def _restore_tiles(self, frames: Tensor, job: WindowJob) -> Tensor:
        """Restore the tiles of padded frames, and put them together."""
        height, width = frames.shape[-2:]
        tiles = plan_pixel_tiles((height, width), job.options)

        def restored() -> Iterator[Tensor]:
            for i, tile in enumerate(tiles):
                draw = self._drawer(job.noise, frames, tile)
                out = self.restore_tile(cut_tile(frames, tile), draw)
                job.progress((i + 1) / len(tiles))
                yield out

        if len(tiles) == 1:
            return next(restored())
        return stitch_tiles(restored(), tiles)

    def restore_tile(self, x: Tensor, draw: Draw) -> Tensor:
        """Encode, restore and decode a tile of a window.

        Args:
            x: (t, 3, H, W) in [-1, 1], 8 k + 1 frames.
            draw: of noise.

        Returns:
            Of the shape of `x`, about [-1, 1].
        """
        coder, x = self.autoencoder, x.transpose(0, 1)[None]
        posterior = coder.posterior(x, self.vae_tile)
        noise = draw(POSTERIOR, posterior.mean)
        z = (posterior.mean + posterior.std * noise) * coder.scaling_factor
        z = self.backbone(z.to(self.backbone.dtype), draw)
        return coder.decode(z, self.vae_tile)[0].transpose(0, 1)

    def _drawer(self, noise: FrameNoise, frames: Tensor, tile: Tile) -> Draw:
        """Return what cuts a tile's noise out of the whole frames'."""
        side = self.autoencoder.downsample
        height, width = (length // side for length in frames.shape[-2:])

        def draw(number: int, z: Tensor) -> Tensor:
            shape = z.shape[1], height, width
            whole = draw_noise(noise, number, shape, z.shape[2])
            return cut_noise(whole, tile, side).to(z)

        return draw

    def _fix_colors(
        self, out: Tensor, clip: Tensor, options: RestoreOptions
    ) -> Tensor:
        """Give restored frames the colours of the enlarged ones."""
        if options.color_fix == 'none':
            return out
        size = (out.shape[-2], out.shape[-1])
        style = upsample_clip(clip, size, 'bilinear')
        return IMAGE_COLOR_FIXES[options.color_fix](out, style)
