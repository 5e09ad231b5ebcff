"""StableSR, Wang et al., IJCV 2024: each frame by itself, with a prior."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.diffusion.respaced import respace, sample_ancestral
from star.models.autoencoders.cfw_vae import CFWAutoencoder, KLEncoder
from star.models.backbones.stable_diffusion.spade_unet import SpadeUNet
from star.models.editors.diffusion_baseline import (
    DiffusionBaseline,
    WindowJob,
)
from star.models.editors.latent_diffusion_files import (
    DiffusionFile,
    check_files,
    read_decoder,
)
from star.models.editors.recipe import Recipe
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from star.utils.checks import check_share
from star.video.canvas import MULTIPLE, plan_canvas
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.gaussian_tiles import plan_gaussian_tiles
from star.video.padding import crop
from star.video.tiling import Tile, check_tile, cut_tile, stitch_tiles

Draw = Callable[[int], Tensor]  # number of a draw -> noise of latents
Report = Callable[[float], None]

WEIGHTS = ('stablesr_000117.ckpt', 'vqgan_cfw_00011.ckpt')
OPTIONS = {
    'steps': 200,
    'seed': 42,
    'color_fix': 'adain',
    'tile': 1280,
    'tile_overlap': 280,
}
_SCALE = 4
_LATENT = 8  # pixels of a latent's side
_CHANNELS = 4  # of a latent
_POSTERIOR, _START, _STEPS = 0, 1, 2  # numbers of the draws
_BATCH = 8  # latent tiles that are denoised together


@MODELS.register_module()
class StableSR(DiffusionBaseline):
    """Restores each frame with Stable Diffusion that sees its structure.

    A frame is enlarged four times, encoded, noised, denoised in ancestral
    steps, and decoded with features of the enlarged frame. At every step the
    noise is predicted in overlapping tiles of latents. A frame with a side
    above `tile` is further cut into tiles of pixels, each restored by itself.

    Args:
        backbone: config of the denoiser; None for the published one.
        structure_encoder: config of what modulates it; None for the
            published one.
        autoencoder: config of the autoencoder whose decoder sees the frame;
            None for the published one. Latents of the low-quality frame come
            from an encoder of its sizes with weights of its own.
        text_encoder: config of the text encoder, which embeds the empty
            prompt; None for the published one.
        weights: the authors' two files: diffusion and CFW.
        fidelity: how much the decoder listens to the frame, 0 to 1
            (`dec_w`).
        latent_tile: side of the tiles at each step, in latents, and what two
            of them share; frames are enlarged to at least one such tile.
        noise: as for `DiffusionBaseline`.
        restore_options: as for `DiffusionBaseline`.

    Raises:
        ValueError: a value is out of range.
    """

    parts = (
        'backbone',
        'structure_encoder',
        'first_stage',
        'autoencoder',
        'text_encoder',
    )

    def __init__(
        self,
        backbone: Mapping | None = None,
        structure_encoder: Mapping | None = None,
        autoencoder: Mapping | None = None,
        text_encoder: Mapping | None = None,
        weights: Sequence[str | None] | None = WEIGHTS,
        fidelity: float = 0.5,
        latent_tile: Sequence[int] = (64, 32),
        noise: str = 'per_frame',
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        _check(fidelity, latent_tile)
        self.fidelity = fidelity
        self.latent_tile, self.latent_overlap = latent_tile
        recipe = Recipe(
            scale=_SCALE,
            licence='S-Lab-1.0 (non-commercial)',
            source='Wang et al. 2024, arXiv 2305.07015, '
            'github.com/IceClear/StableSR',
        )
        super().__init__(
            recipe,
            weights or (None, None),
            {**OPTIONS, **(restore_options or {})},
            noise,
        )
        self.backbone: SpadeUNet = MODELS.build(
            {'type': 'SpadeUNet', **(backbone or {})}
        )
        self.structure_encoder = MODELS.build(
            {'type': 'StructureEncoder', **(structure_encoder or {})}
        )
        decoder = {'type': 'CFWAutoencoder', **(autoencoder or {})}
        self.autoencoder: CFWAutoencoder = MODELS.build(decoder)
        sizes = ('channels', 'layers')
        self.first_stage = KLEncoder(
            **{k: decoder[k] for k in sizes if k in decoder}
        )
        self.text_encoder = MODELS.build(
            text_encoder or {'type': 'OpenCLIPTextEncoder'}
        )
        self.check_options(self.restore_options)
        self.requires_grad_(False)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        return super().options_used | {'color_fix'}

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with."""
        super().check_options(options)
        least = _LATENT * self.latent_tile
        check_tile(options.tile, least, type(self).__name__)

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, noise and options, to be written as JSON."""
        return {
            **super().describe_options(options),
            'decoder_fidelity': self.fidelity,
            'latent_tile': [self.latent_tile, self.latent_overlap],
        }

    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the authors' two files.

        Raises:
            ValueError: a file cannot be read, lacks a part, or one is not
                given.
        """
        check_files('StableSR', WEIGHTS, paths)
        main, cfw = paths
        found = DiffusionFile(main).read_parts(
            self.backbone, self.first_stage, self.text_encoder
        )
        found['backbone'] = found.pop('unet')
        decoder = read_decoder(cfw, self.autoencoder)
        return {
            **{name: (main, tensors) for name, tensors in found.items()},
            'autoencoder': (cfw, decoder),
        }

    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore frames one by one: (t, 3, h, w) to (t, 3, 4 h, 4 w)."""
        text = self.embed([''], clip)
        restored = []
        for i, frame in enumerate(clip.split(1)):
            noise = replace(job.noise, start=job.noise.start + i)
            here = replace(job, noise=noise)

            def report(share: float, i: int = i) -> None:
                job.progress((i + share) / len(clip))

            restored.append(self._restore_frame(frame, text, here, report))
        return torch.cat(restored)

    def sample(
        self,
        frame: Tensor,
        text: Tensor,
        steps: int,
        draw: Draw,
        report: Report,
    ) -> Tensor:
        """Restore an enlarged frame, or a tile of it.

        Args:
            frame: (1, 3, H, W) in [-1, 1], sides multiples of 32.
            text: embedded prompt, (1, L, D).
            steps: of the sampler.
            draw: number -> noise like the latents: 0 of the posterior, 1 of
                the start, then one for each step but the last.
            report: called with the share of the steps that is done.

        Returns:
            (1, 3, H, W) about [-1, 1].
        """
        lq = self.first_stage.encode(frame).sample(draw(_POSTERIOR))
        schedule = respace(steps)
        height, width = lq.shape[-2:]
        tiles = plan_gaussian_tiles(
            height, width, self.latent_tile, self.latent_overlap
        )

        def adjust(z: Tensor, i: int) -> Tensor:
            report(1 - i / steps)
            return z

        z = sample_ancestral(
            lambda z, t: self._predict(z, lq, t, text, tiles),
            schedule.start(lq, draw(_START)),
            schedule,
            lambda k: draw(_STEPS + k),
            adjust,
        )
        features = self.autoencoder.features(frame)
        return self.autoencoder.decode(z, features, self.fidelity)

    def _restore_frame(
        self, frame: Tensor, text: Tensor, job: WindowJob, report: Report
    ) -> Tensor:
        """Restore a frame (1, 3, h, w), tile by tile."""
        options = job.options
        official = options.compat == 'official'
        fix = IMAGE_COLOR_FIXES[options.color_fix]
        least = _LATENT * self.latent_tile
        height, width = frame.shape[-2:]
        canvas = plan_canvas((height, width), _SCALE, least, official)
        frame = canvas.prepare(frame)
        tiles = _plan_tiles(canvas.padded, options)

        def restore(index: int, tile: Tile) -> Tensor:
            piece = cut_tile(frame, tile)
            out = self.sample(
                piece,
                text,
                options.steps,
                _drawer(job, tile, canvas.padded, frame.device),
                lambda share: report((index + share) / len(tiles)),
            )
            return fix(out, piece) if official else out

        out = stitch_tiles(
            (restore(i, tile) for i, tile in enumerate(tiles)), tiles
        )
        if official:  # which fixes the colours of each tile, padding included
            return truncate(canvas.finish(out))
        out, frame = (crop(x, *canvas.enlarged) for x in (out, frame))
        return canvas.finish(fix(out, frame))

    def _predict(
        self, z: Tensor, lq: Tensor, t: int, text: Tensor, tiles: list[Tile]
    ) -> Tensor:
        """Predict the noise of latents, tile by tile."""
        time = torch.tensor([t], device=z.device)
        pieces: list[Tensor] = []
        for begin in range(0, len(tiles), _BATCH):
            group = tiles[begin : begin + _BATCH]
            noisy, clean = (
                torch.cat([cut_tile(x, tile) for tile in group])
                for x in (z, lq)
            )
            structure = self.structure_encoder(clean, time)
            predicted = self.backbone(noisy, time, text, structure)
            pieces += predicted.split(1)
        return stitch_tiles(pieces, tiles)


def truncate(x: Tensor) -> Tensor:
    """Round [-1, 1] down to 8 bits, as the official script does."""
    return ((x.clamp(-1, 1) + 1) * 127.5).floor() / 127.5 - 1


def _plan_tiles(size: tuple[int, int], options: RestoreOptions) -> list[Tile]:
    """Plan the tiles of pixels; one where `tile` is 0."""
    return plan_gaussian_tiles(
        *size,
        options.tile or max(size),
        options.tile_overlap if options.tile else 0,
        (MULTIPLE, MULTIPLE),
    )


def _drawer(
    job: WindowJob, tile: Tile, size: tuple[int, int], device: torch.device
) -> Draw:
    """Choose the noise of a tile: its part of the frame's.

    The official script seeds anew for each tile, so that all have the same.
    """
    official = job.options.compat == 'official'
    sides = (tile.bottom - tile.top, tile.right - tile.left)
    height, width = (side // _LATENT for side in (sides if official else size))
    top, left = tile.top // _LATENT, tile.left // _LATENT

    def draw(number: int) -> Tensor:
        noise = job.noise.draw(number, 1, (_CHANNELS, height, width))
        if not official:
            noise = crop(
                noise, sides[0] // _LATENT, sides[1] // _LATENT, top, left
            )
        return noise.to(device)

    return draw


def _check(fidelity: float, latent_tile: Sequence[int]) -> None:
    check_share('fidelity', fidelity)
    if len(latent_tile) != 2 or not 0 <= latent_tile[1] < latent_tile[0]:
        raise ValueError(
            '`latent_tile` must be a side and a smaller overlap, got '
            f'{tuple(latent_tile)}'
        )
    if latent_tile[0] % (MULTIPLE // _LATENT):
        raise ValueError(
            f'the side of `latent_tile` must be a multiple of '
            f'{MULTIPLE // _LATENT}, got {latent_tile[0]}'
        )
