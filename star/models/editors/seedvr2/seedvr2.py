"""SeedVR2, Wang et al. 2025: clips are restored in one step."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.models.editors.diffusion_baseline import (
    DiffusionBaseline,
    WindowJob,
)
from star.models.editors.recipe import Recipe
from star.models.editors.seedvr2.dit import SeedVR2DiT
from star.models.editors.seedvr2.draws import (
    Draws,
    draw_latents,
    draw_official,
)
from star.models.editors.seedvr2.files import carries_texts, read_files
from star.models.editors.seedvr2.geometry import (
    MULTIPLE,
    Size,
    centre_crop,
    lengthen,
    resize,
)
from star.models.editors.seedvr2.memory import window_bytes
from star.models.editors.seedvr2.sampling import (
    STEPS,
    guide,
    make_condition,
    mix,
    sample,
    sample_posterior,
    shift_timestep,
)
from star.models.editors.seedvr2.tiles import plan_vae_tiles
from star.models.editors.seedvr2.vae import SCALING, SeedVR2VAE
from star.models.restoration.options import RestoreOptions, fit_overlap
from star.registry import MODELS
from star.utils.checks import check_share
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.padding import crop, pad_amount, pad_reflect
from star.video.tiling import check_tile, cut_tile, stitch_tiles

TEXT_LENGTHS = (58, 64)  # tokens of the published embeddings
_WHOLE = 2**31  # frames of a window that has no end
_LEAST_TILE = 32  # pixels
_OPTIONS = {  # as published, but for the tiles of larger frames
    'steps': 1,
    'guidance_scale': 1,
    'guidance_rescale': 0,
    'seed': 666,
    'color_fix': 'wavelet',
    'tile': 0,
    'tile_overlap': 128,
}
_ENCODED, _DENOISED = 0.3, 0.6  # shares of a window's time, for its progress


class Texts(nn.Module):
    """The embeddings that take the place of a text encoder.

    Args:
        lengths: tokens of the good and of the bad text.
        dim: channels of a token.
    """

    def __init__(self, lengths: Sequence[int], dim: int) -> None:
        super().__init__()
        good, bad = lengths
        self.positive = nn.Parameter(torch.zeros(good, dim))
        self.negative = nn.Parameter(torch.zeros(bad, dim))


@MODELS.register_module()
class SeedVR2(DiffusionBaseline):
    """Restores clips with a video transformer that needs one step.

    A clip is enlarged, encoded, restored from pure noise with the encoded
    clip beside it, and decoded. It is cut into windows of frames that are
    faded into one another, and only the autoencoder works in tiles: the
    transformer attends in windows of its own, so it sees the whole frame.

    Args:
        backbone: config of the transformer; None for that of 3 billion
            parameters.
        autoencoder: config of the autoencoder; None for the published one.
        text_lengths: tokens of the good and of the bad embedding.
        weights: files of transformer, autoencoder and both embeddings.
        condition_noise: share of noise in the low-quality latents, 0 to 1; 0
            as published, 0.1 for the first SeedVR.
        noise: as for `DiffusionBaseline`.
        restore_options: as for `DiffusionBaseline`.

    Raises:
        ValueError: a value is out of range.
    """

    parts = ('backbone', 'autoencoder', 'texts')
    float32_parts = ()

    def __init__(
        self,
        backbone: Mapping | None = None,
        autoencoder: Mapping | None = None,
        text_lengths: Sequence[int] = TEXT_LENGTHS,
        weights: Sequence[str | None] | None = None,
        condition_noise: float = 0.0,
        noise: str = 'per_frame',
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        check_share('condition_noise', condition_noise)
        recipe = Recipe(
            window=49,
            overlap=9,
            licence='Apache-2.0',
            source='Wang et al. 2025, arXiv 2506.05301, '
            'github.com/ByteDance-Seed/SeedVR',
        )
        options = {**_OPTIONS, **(restore_options or {})}
        super().__init__(recipe, weights or (None,) * 4, options, noise)
        self.any_scale = True
        self.condition_noise = condition_noise
        self.backbone: SeedVR2DiT = MODELS.build(
            {'type': 'SeedVR2DiT', **(backbone or {})}
        )
        self.autoencoder: SeedVR2VAE = MODELS.build(
            {'type': 'SeedVR2VAE', **(autoencoder or {})}
        )
        self.texts = Texts(text_lengths, self.backbone.text_dim)
        self.check_options(self.restore_options)
        self.requires_grad_(False)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        guidance = {'guidance_scale', 'guidance_rescale'}
        return super().options_used | guidance | {'color_fix'}

    def overlap_for(self, window: int) -> int:
        """Choose an overlap of whole latents, whose noise then agrees."""
        ratio = SeedVR2VAE.temporal_downsample
        return fit_overlap(self.recipe.overlap, window, ratio)

    def segment_of(self, options: RestoreOptions) -> tuple[int, int]:
        """Return the frames of a window, and those that two share."""
        if options.compat == 'official':
            return _WHOLE, 0
        return super().segment_of(options)

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with."""
        super().check_options(options)
        check_tile(options.tile, _LEAST_TILE, type(self).__name__)

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, noise and options, to be written as JSON."""
        return {
            **super().describe_options(options),
            'condition_noise': self.condition_noise,
        }

    def window_memory(
        self, options: RestoreOptions, clip: tuple[int | None, int, int]
    ) -> tuple[int, bool] | None:
        """Return the bytes of a window, and that frames are coded later.

        Args:
            options: of the restoration.
            clip: frames (None if unknown), height and width of the input.
        """
        if options.compat == 'official':  # without windows
            return None
        length = len(self.texts.positive)
        networks = self.backbone, self.autoencoder
        return window_bytes(*networks, options, clip, length), False

    def files_beside(self, path: str | Path) -> tuple[str | None, ...]:
        """Return the further files; some bring the embeddings with them."""
        if carries_texts(Path(path)):
            return self.weight_files[1:2]
        return super().files_beside(path)

    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the authors' files, or the community's copies."""
        return read_files(paths)

    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore a window; see DiffusionBaseline."""
        options = job.options
        height, width = (
            round(side * options.scale) for side in clip.shape[-2:]
        )
        large = _enlarge(clip, (height, width))
        if options.compat == 'official':
            # what the script cuts off keeps the enlarged input
            place = centre_crop((height, width))
            out, style = large, place.cut(large)
            restored = self.restore_large(lengthen(style), job)[: len(clip)]
            fixed = self._fix_colors(restored, style, options.color_fix)
            place.cut(out).copy_(fixed)
            return out
        multiple = (MULTIPLE, MULTIPLE)
        padding = pad_amount(height, width, multiple, (0, 0))
        padded = pad_reflect(lengthen(large), *padding)
        restored = self.restore_large(padded, job)[: len(clip)]
        return self._fix_colors(
            crop(restored, height, width), large, options.color_fix
        )

    def restore_large(
        self, clip: Tensor, job: WindowJob, draws: Draws | None = None
    ) -> Tensor:
        """Restore a clip that has its final size.

        Args:
            clip: (4 k + 1, 3, H, W) in [-1, 1], on any device; sides are
                multiples of 16.
            job: options, noise and events.
            draws: the noise; None to draw it.

        Returns:
            (4 k + 1, 3, H, W) float32 on the CPU, about [-1, 1].
        """
        moments = self._encode(clip.transpose(0, 1)[None], job.options)
        job.progress(_ENCODED)
        if draws is None:
            _, doubled, *sides = moments.shape
            draws = self._draw((doubled // 2, *sides), job)
        draws = Draws(*(x.to(moments) for x in draws))
        lq = SCALING * sample_posterior(moments, draws.posterior)
        z = self.sample(lq, draws, job)
        return self._decode(z / SCALING, job)

    def sample(self, lq: Tensor, draws: Draws, job: WindowJob) -> Tensor:
        """Restore latents.

        Args:
            lq: scaled low-quality latents, (1, C, T, h, w).
            draws: the noise.
            job: options and events.

        Returns:
            Scaled latents like `lq`.
        """
        options = job.options
        if self.condition_noise:
            size = lq.shape[2:]
            if options.compat == 'official':  # a slip that it was tuned with
                size = torch.Size([*size[1:], lq.shape[1]])
            t = shift_timestep(STEPS * self.condition_noise, size)
            lq = mix(lq, draws.condition, t)
        condition = make_condition(lq)

        def velocity(z: Tensor, t: float) -> Tensor:
            x = torch.cat([z, condition], 1)
            good = self.velocity(x, t, self.texts.positive)
            if options.guidance_scale == 1:
                return good
            bad = self.velocity(x, t, self.texts.negative)
            scales = options.guidance_scale, options.guidance_rescale
            return guide(good, bad, *scales)

        def tell(done: int) -> None:
            share = (_DENOISED - _ENCODED) * done / options.steps
            job.progress(_ENCODED + share)

        return sample(velocity, draws.start, options.steps, tell)

    def velocity(self, x: Tensor, t: float, text: Tensor) -> Tensor:
        """Predict noise - x0 of a clip, in float32.

        Args:
            x: latents and condition, (1, 2 C + 1, T, h, w).
            t: timestep, 0 to 1000.
            text: an embedding, (L, D).
        """
        like = self.backbone.txt_in.weight
        time = torch.tensor([t], device=like.device)
        return self.backbone(x.to(like), time, text[None].to(like)).float()

    def _encode(self, x: Tensor, options: RestoreOptions) -> Tensor:
        """Encode a clip, (1, 3, T, H, W), to moments, tile by tile."""
        vae = self.autoencoder
        side = vae.downsample
        height, width = x.shape[-2:]
        tiles, _ = plan_vae_tiles(
            (height // side, width // side),
            options.tile,
            options.tile_overlap,
            side,
        )
        pieces = (vae.encode(cut_tile(x, tile, up=side)) for tile in tiles)
        return next(pieces) if len(tiles) == 1 else stitch_tiles(pieces, tiles)

    def _decode(self, z: Tensor, job: WindowJob) -> Tensor:
        """Decode latents to (T, 3, H, W) on the CPU, tile by tile."""
        vae, options = self.autoencoder, job.options
        height, width = z.shape[-2:]
        latents, pixels = plan_vae_tiles(
            (height, width),
            options.tile,
            options.tile_overlap,
            vae.downsample,
        )

        def decode(index: int) -> Tensor:
            part = cut_tile(z, latents[index])
            frames = [x[0].cpu() for x in vae.decode_pieces(part)]
            done = (index + 1) / len(latents)
            job.progress(_DENOISED + (1 - _DENOISED) * done)
            return torch.cat(frames, 1).transpose(0, 1)

        if len(latents) == 1:
            return decode(0)
        return stitch_tiles(map(decode, range(len(latents))), pixels)

    def _draw(self, shape: tuple[int, ...], job: WindowJob) -> Draws:
        """Draw the noise of a window's latents, (C, T, h, w)."""
        channels, length, height, width = shape
        size = channels, length, height, width
        if job.options.compat == 'official':
            return draw_official(size, job.options.seed)
        return draw_latents(
            job.noise, size, self.autoencoder.temporal_downsample
        )

    def _fix_colors(self, out: Tensor, style: Tensor, name: str) -> Tensor:
        """Give each restored frame the colours of its input."""
        if name == 'none':
            return out
        device = self._device()
        pairs = zip(out.split(1), style.split(1), strict=True)
        return torch.cat(
            [
                IMAGE_COLOR_FIXES[name](x.to(device), y.to(device)).cpu()
                for x, y in pairs
            ]
        )


def _enlarge(clip: Tensor, size: Size) -> Tensor:
    """Resize frame by frame; the result lies on the CPU, which has room."""
    return torch.cat([resize(frame, size).cpu() for frame in clip.split(1)])
