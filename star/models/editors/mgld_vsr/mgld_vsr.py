"""MGLD-VSR, Yang et al., ECCV 2024: five frames, guided by their motion."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.diffusion.respaced import respace, sample_ancestral
from star.models.autoencoders.cfw_vae import KLEncoder, Posterior
from star.models.editors.diffusion_baseline import (
    DiffusionBaseline,
    WindowJob,
)
from star.models.editors.latent_diffusion_files import (
    DiffusionFile,
    check_files,
    read_decoder,
)
from star.models.editors.mgld_vsr.flows import LATENT, Motion, find_motion
from star.models.editors.mgld_vsr.motion_guidance import GUIDANCES, guide
from star.models.editors.mgld_vsr.tiles import PixelTile, plan_pixel_tiles
from star.models.editors.recipe import Recipe
from star.models.layers.raft import RAFTFlow, name_raft_tensors
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from star.utils.checks import check_choice
from star.video.canvas import plan_canvas
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.gaussian_tiles import plan_gaussian_tiles
from star.video.padding import crop
from star.video.tiling import check_tile, cut_tile, stitch_tiles

Draw = Callable[[int], Tensor]  # number of a draw -> noise of latents

WEIGHTS = ('mgldvsr_unet.ckpt', 'video_vae_cfw.ckpt')
# as published, but for the size of tiles: see configs/mgld_vsr
OPTIONS = {
    'steps': 50,
    'seed': 42,
    'color_fix': 'adain',
    'tile': (768, 704),
    'tile_overlap': 128,
}
_SCALE, _CHANNELS = 4, 4
_POSTERIOR, _START, _STEPS = 0, 1, 2  # numbers of the draws


@MODELS.register_module()
class MGLDVSR(DiffusionBaseline):
    """Restores five frames at a time with a guided latent diffusion.

    Frames are enlarged four times and cut into tiles. Each tile is encoded,
    denoised from its noised latents, and decoded with features of the
    enlarged frames. After each step latents are moved along the motion that
    RAFT finds, so that they agree with their neighbours. A short segment at
    the end of a clip is filled with its last frame.

    Args:
        unet: config of the denoiser; None for the published one.
        structure_encoder: config of what modulates it; None for the
            published one.
        video_autoencoder: config of the autoencoder with temporal layers;
            None for the published one. The latents of the low-quality frames
            come from an encoder of its sizes with weights of its own.
        text_encoder: config of the text encoder; None for the published one.
        weights: the authors' two files: diffusion and video autoencoder.
        fidelity: how much the decoder listens to the enlarged frames, from 0
            to 1 (`dec_w`).
        motion_guidance: 'published' or 'intended', see `motion_loss`, or
            'none', without a flow network.
        latent_tile: side of the tiles at each step, in latents, and what two
            of them share; frames are enlarged to at least one such tile.
        noise: as for `DiffusionBaseline`; that of the first frame of each
            segment is the same.
        restore_options: as for `DiffusionBaseline`.

    Raises:
        ValueError: a value is out of range, or two parts do not fit.
    """

    parts: tuple[str, ...] = (
        'unet',
        'structure_encoder',
        'first_stage',
        'video_autoencoder',
        'text_encoder',
    )
    float32_parts = ('text_encoder', 'flow')

    def __init__(
        self,
        unet: Mapping[str, object] | None = None,
        structure_encoder: Mapping[str, object] | None = None,
        video_autoencoder: Mapping[str, object] | None = None,
        text_encoder: Mapping[str, object] | None = None,
        weights: Sequence[str | None] = WEIGHTS,
        fidelity: float = 1.0,
        motion_guidance: str = 'published',
        latent_tile: tuple[int, int] = (64, 32),
        noise: str = 'per_frame',
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        check_choice('motion_guidance', motion_guidance, GUIDANCES)
        if not 0 <= fidelity <= 1:
            raise ValueError(
                f'`fidelity` must lie between 0 and 1, got {fidelity}'
            )
        self.latent_tile, self.fidelity = tuple(latent_tile), fidelity
        self.motion_guidance = motion_guidance
        video: dict[str, Any] = {
            'type': 'VideoCFWAutoencoder',
            **(video_autoencoder or {}),
        }
        denoiser: dict[str, Any] = {'type': 'SpadeVideoUNet', **(unet or {})}
        self.num_frames = denoiser.get('num_frames', 5)
        if video.get('num_frames', 5) != self.num_frames:
            raise ValueError(
                '`num_frames` must be the same for denoiser and autoencoder, '
                f'got {self.num_frames} and {video.get("num_frames", 5)}'
            )
        recipe = Recipe(
            scale=_SCALE,
            window=self.num_frames,
            licence='S-Lab-1.0 (non-commercial)',
            source='Yang et al., ECCV 2024; github.com/IanYeung/MGLD-VSR',
        )
        super().__init__(
            recipe, weights, {**OPTIONS, **(restore_options or {})}, noise
        )
        self.unet = MODELS.build(denoiser)
        self.structure_encoder = MODELS.build(
            {'type': 'StructureEncoder', **(structure_encoder or {})}
        )
        self.video_autoencoder = MODELS.build(video)
        sizes = {k: video[k] for k in ('channels', 'layers') if k in video}
        self.first_stage = KLEncoder(**sizes)
        self.text_encoder = MODELS.build(
            text_encoder or {'type': 'OpenCLIPTextEncoder'}
        )
        if motion_guidance != 'none':
            self.flow = RAFTFlow()
            self.parts += ('flow',)
        self.requires_grad_(False)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        # segments have the length with which the layers were trained
        return super().options_used - {'window'} | {'color_fix'}

    def segment_of(self, options: RestoreOptions) -> tuple[int, int]:
        """Return the frames of a segment; segments share none."""
        return self.num_frames, 0

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with."""
        super().check_options(options)
        check_tile(options.tile, self._least_side, type(self).__name__)
        if options.compat == 'official' and self.motion_guidance == 'intended':
            raise ValueError(
                "`compat` 'official' has `motion_guidance` 'published' or "
                "'none', got 'intended'"
            )

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, noise and options, to be written as JSON."""
        return {
            **super().describe_options(options),
            'decoder_fidelity': self.fidelity,
            'motion_guidance': self.motion_guidance,
            'latent_tile': list(self.latent_tile),
        }

    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the authors' two files.

        Raises:
            ValueError: a file cannot be read, lacks a part, or one is not
                given.
        """
        check_files('MGLD-VSR', WEIGHTS, paths)
        main, video = paths
        file = DiffusionFile(main)
        found = file.read_parts(self.unet, self.first_stage, self.text_encoder)
        if 'flow' in self.parts:
            found['flow'] = name_raft_tensors(file.take('flownet_model.'))
        decoder = read_decoder(video, self.video_autoencoder)
        return {
            **{name: (main, tensors) for name, tensors in found.items()},
            'video_autoencoder': (video, decoder),
        }

    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore a segment; see `DiffusionBaseline`."""
        length, options = len(clip), job.options
        official = options.compat == 'official'
        more = clip[-1:].expand(self.num_frames - length, -1, -1, -1)
        clip = torch.cat([clip, more])
        height, width = clip.shape[-2:]
        canvas = plan_canvas(
            (height, width), _SCALE, self._least_side, official
        )
        frames = canvas.prepare(clip)
        motion = self._find_motion(frames, official)
        tiles = plan_pixel_tiles(
            canvas.padded, options.tile, options.tile_overlap, official
        )
        restored = stitch_tiles(
            self._restore_tiles(frames, motion, tiles, job),
            [tile.pixels for tile in tiles],
        )
        if not official:  # which fixes the colours of each tile
            restored, frames = (
                crop(x, *canvas.enlarged) for x in (restored, frames)
            )
            restored = IMAGE_COLOR_FIXES[options.color_fix](restored, frames)
        return canvas.finish(restored)[:length]

    @property
    def _least_side(self) -> int:
        """Pixels of an enlarged frame's side, at least: one latent tile."""
        return LATENT * self.latent_tile[0]

    def _find_motion(self, frames: Tensor, official: bool) -> Motion | None:
        if self.motion_guidance == 'none':
            return None
        return find_motion(self.flow, frames, normalise=not official)

    def _restore_tiles(
        self,
        frames: Tensor,
        motion: Motion | None,
        tiles: list[PixelTile],
        job: WindowJob,
    ) -> Iterator[Tensor]:
        """Restore the tiles of a segment's enlarged frames."""
        text = self.embed([''], next(self.unet.parameters()))
        for i, tile in enumerate(tiles):
            x = cut_tile(frames, tile.pixels)
            guides = motion and motion.cut(tile.top, tile.left, *tile.size)
            part = _TilePart(x, guides, self._noise(frames, tile, job))

            def report(share: float, i: int = i) -> None:
                job.progress((i + share) / len(tiles))

            z = self._denoise(part, text, job.options.steps, report)
            features = self._features(x)
            out = self.video_autoencoder.decode(z, features, self.fidelity)
            if job.options.compat == 'official':
                out = IMAGE_COLOR_FIXES[job.options.color_fix](out, x)
            yield out

    def _features(self, x: Tensor) -> tuple[Tensor, ...]:
        """Compute the decoder's view of the enlarged frames."""
        found = map(self.video_autoencoder.features, x.split(1))
        return tuple(map(torch.cat, zip(*found, strict=True)))

    def _noise(self, frames: Tensor, tile: PixelTile, job: WindowJob) -> Draw:
        """Return what draws a tile's noise, the same in all segments.

        It is cut out of the noise of the whole frame, so that tiles agree
        where they overlap. In the official code it is the same in all tiles.
        """
        official = job.options.compat == 'official'
        noise = replace(job.noise, start=0)
        (height, width), top, left = tile.size, tile.top, tile.left
        shape = tuple(side // LATENT for side in frames.shape[-2:])
        if official:
            shape, top, left = (height, width), 0, 0

        def draw(number: int) -> Tensor:
            whole = noise.draw(number, len(frames), (_CHANNELS, *shape))
            return crop(whole, height, width, top, left).to(frames)

        return draw

    def _denoise(
        self,
        part: '_TilePart',
        text: Tensor,
        steps: int,
        report: Callable[[float], None],
    ) -> Tensor:
        """Sample the latents of a tile, (t, 4, h, w)."""
        schedule = respace(steps)
        posterior = _encode(self.first_stage, part.frames)
        lq = posterior.sample(part.draw(_POSTERIOR))
        tiles = plan_gaussian_tiles(*lq.shape[-2:], *self.latent_tile)

        def predict(z: Tensor, t: int) -> Tensor:
            pieces = (
                self._predict(cut_tile(z, tile), cut_tile(lq, tile), t, text)
                for tile in tiles
            )
            return stitch_tiles(pieces, tiles)

        def adjust(z: Tensor, i: int) -> Tensor:
            report(1 - i / steps)
            if part.motion is None:
                return z
            variance = schedule.log_variance(i)
            return guide(z, part.motion, variance, self.motion_guidance)

        return sample_ancestral(
            predict,
            schedule.start(lq, part.draw(_START)),
            schedule,
            lambda k: part.draw(_STEPS + k),
            adjust,
        )

    def _predict(self, z: Tensor, lq: Tensor, t: int, text: Tensor) -> Tensor:
        """Predict the noise of a latent tile."""
        time = torch.tensor([t], device=z.device)
        structure = self.structure_encoder(lq, time)
        return self.unet(z, time, text, structure)


@dataclass(frozen=True)
class _TilePart:
    """A tile of a segment, which is denoised at once.

    Args:
        frames: enlarged, (t, 3, H, W).
        motion: of its latents; None for no guidance.
        draw: draws noise like its latents.
    """

    frames: Tensor
    motion: Motion | None
    draw: Draw


def _encode(encoder: KLEncoder, frames: Tensor) -> Posterior:
    """Encode frames one by one, which takes less memory."""
    found = [encoder.encode(frame) for frame in frames.split(1)]
    means, variances, _ = zip(*found, strict=True)
    return Posterior(torch.cat(means), torch.cat(variances), ())
