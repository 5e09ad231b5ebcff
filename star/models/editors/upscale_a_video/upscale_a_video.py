"""Upscale-A-Video, Zhou et al. 2024: the x4 upscaler with layers over time."""

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional as F

from star.diffusion.guidance import guide
from star.models.contracts import Events
from star.models.editors.diffusion_baseline import DiffusionBaseline, WindowJob
from star.models.editors.recipe import Recipe
from star.models.editors.upscale_a_video.decoding import decode_chunks
from star.models.editors.upscale_a_video.files import (
    TEXTS,
    choose_files,
    read_networks,
    read_schedulers,
    read_texts,
    take_vocabulary,
)
from star.models.editors.upscale_a_video.propagation import Propagation
from star.models.editors.upscale_a_video.sampling import (
    SCHEDULER,
    Change,
    add_noise,
    call_windows,
    plan_steps,
    sample,
    signal_shares,
)
from star.models.editors.upscale_a_video.tiles import (
    needs_tiles,
    plan_core_tiles,
)
from star.models.layers.raft import RAFTFlow
from star.models.restoration.options import RestoreOptions
from star.models.text_encoders.open_clip import join_prompts
from star.registry import MODELS
from star.utils.checks import check_least
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.tiling import Tile, both_axes, cut_tile, stitch_tiles

_SCALE = 4  # a latent is a pixel of the input
_LARGE = 1280  # the official script shrinks frames with such sides
_FLOW_UPDATES = 20
_WHOLE = 2**31  # frames of a segment that has no end
_OPTIONS = {  # as published
    'steps': 30,
    'guidance_scale': 6,
    'seed': 10,
    'prompt_suffix': 'best quality, extremely detailed',
    'negative_prompt': 'blur, worst quality',
    'color_fix': 'none',
    'tile': 1536,  # a core of 1024, and borders of 256
    'tile_overlap': 512,
}


@dataclass(frozen=True)
class _Part:
    """A segment of a clip, or a tile of it, which is denoised at once.

    Args:
        lq: low-quality clip, (1, 3, t, h, w) in [-1, 1].
        lq_noise: noise for it, of the same shape.
        noise: where latents begin, (1, 4, t, h, w).
        flows: of the frames, forward and backward, (t - 1, 2, h, w) each;
            empty without propagation.
        done: share of the segment that was denoised before, 0 to 1.
        share: of the segment that this is.
    """

    lq: Tensor
    lq_noise: Tensor
    noise: Tensor
    flows: Sequence[Tensor]
    done: float
    share: float


@MODELS.register_module()
class UpscaleAVideo(DiffusionBaseline):
    """Restores clips with Stable Diffusion's x4 upscaler, made for video.

    The denoiser sees windows of `window` frames, which are blended at every
    step within a segment; segments are restored one after another and share
    `window` frames, which are faded. So memory does not grow with the clip,
    and a clip of one segment is restored as by the official code.

    Args:
        unet: config of the denoiser, a UAVUNet.
        vae: config of the autoencoder, a UAVVAE.
        text_encoder: config of the text encoder.
        weights: files of denoiser and autoencoder, then those of the text
            encoder and, with `propagation_steps`, of the flow network; None
            for those of a release, whose schedulers and tokenizer are read
            from the folders beside.
        noise_level: timestep of the noise that the low-quality clip gets,
            0 to 349; more lets the denoiser invent more.
        propagation_steps: indices of the steps at which x0 is passed along
            the motion; none as published.
        segment: windows of a segment, at least 2.
        noise: as for DiffusionBaseline.
        restore_options: as for DiffusionBaseline.

    Raises:
        ValueError: a value is out of range.
    """

    def __init__(
        self,
        unet: Mapping[str, Any] | None = None,
        vae: Mapping[str, Any] | None = None,
        text_encoder: Mapping[str, object] | None = None,
        weights: Sequence[str | None] | None = None,
        noise_level: int = 120,
        propagation_steps: Sequence[int] = (),
        segment: int = 8,
        noise: str = 'per_frame',
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        recipe = Recipe(
            scale=_SCALE,
            window=8,
            overlap=2,
            licence='S-Lab-1.0 (non-commercial)',
            source='Zhou et al. 2024, github.com/sczhou/Upscale-A-Video',
        )
        _check(noise_level, propagation_steps, segment)
        self._level, self._segment = noise_level, segment
        self._propagated: tuple[int, ...] = ()
        vae = vae or {'type': 'UAVVAE'}
        text_encoder = text_encoder or {'type': 'OpenCLIPTextEncoder'}
        if weights is None:
            weights = choose_files(vae, text_encoder, bool(propagation_steps))
        super().__init__(
            recipe, weights, {**_OPTIONS, **(restore_options or {})}, noise
        )
        self._propagated = tuple(propagation_steps)
        self.check_options(self.restore_options)
        self.unet = MODELS.build(unet or {'type': 'UAVUNet'})
        self.vae = MODELS.build(vae)
        self.text_encoder = MODELS.build(text_encoder)
        self.scheduler = self.lq_scheduler = dict(SCHEDULER)
        self._texts: dict[str, str] = {}  # of the release that is loaded
        self.parts = ('unet', 'vae', 'text_encoder')
        if self._propagated:
            self.raft = RAFTFlow()
            self.parts += ('raft',)
        self.float32_parts = ('vae', 'text_encoder', 'raft')
        self.requires_grad_(False)

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        texts = {'prompt', 'negative_prompt', 'prompt_suffix'}
        return super().options_used | texts | {'guidance_scale', 'color_fix'}

    def segment_of(self, options: RestoreOptions) -> tuple[int, int]:
        """Return the frames of a segment, and those that two share.

        A segment begins where a window of the one before begins, so that
        the windows are those of the whole clip.
        """
        if options.compat == 'official':
            return _WHOLE, 0
        stride = options.window - options.overlap
        return options.overlap + self._segment * stride, options.window

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with."""
        super().check_options(options)
        plan_steps(options.steps)
        late = [step for step in self._propagated if step >= options.steps]
        if late:
            raise ValueError(
                f'`steps` must be more than {max(late)}, a step of '
                f'`propagation_steps`, got {options.steps}'
            )

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe, noise and options, to be written as JSON."""
        return {
            **super().describe_options(options),
            'noise_level': self._level,
            'propagation_steps': list(self._propagated),
            'segment': self._segment,
        }

    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the authors' files, and the texts of the folders beside."""
        texts = read_texts(paths[0], self.text_encoder)
        parts = read_networks(
            paths, self.vae, self.text_encoder, bool(self._propagated)
        )
        self.take_notes(texts)
        return parts

    def make_notes(self) -> dict[str, str]:
        """Return the texts of a converted file: schedulers, tokenizer."""
        return {**super().make_notes(), **self._texts}

    def take_notes(self, notes: Mapping[str, str]) -> None:
        """Take schedulers and tokenizer from texts, where they are there."""
        self._texts = {key: notes[key] for key in TEXTS if key in notes}
        self.scheduler, self.lq_scheduler = read_schedulers(notes)
        take_vocabulary(self.text_encoder, notes)

    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore a segment; see DiffusionBaseline."""
        height, width = clip.shape[-2:]
        shrunk = (
            job.options.compat == 'official' and min(height, width) >= _LARGE
        )
        if shrunk:  # the script writes the result of this
            size = (height // _SCALE, width // _SCALE)
            clip = F.interpolate(clip, size, mode='area')
        out = self._restore_tiles(clip, job)
        out = _fix_colors(out, clip, job.options.color_fix)
        if shrunk:
            size = (height * _SCALE, width * _SCALE)
            out = F.interpolate(out, size, mode='bicubic')
        return out

    def _restore_tiles(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore the tiles of a segment, and put them together."""
        texts = self._encode_texts(job.options, job.events)
        tiles = _plan_tiles(clip, job.options)
        pieces = (
            self._restore_part(part, texts, job)
            for part in self._cut(clip, tiles, job)
        )
        if len(tiles) == 1:
            return next(pieces)
        return stitch_tiles(pieces, tiles)

    def _cut(
        self, clip: Tensor, tiles: list[Tile], job: WindowJob
    ) -> Iterator[_Part]:
        """Cut clip, noise and flows into the parts of the tiles."""
        flows: Sequence[Tensor] = ()
        if self._propagated and len(clip) > 1:
            flows = self.raft.both_ways(clip, _FLOW_UPDATES)
        share = 1 / len(tiles)
        noises = _draw_noises(job, clip, tiles)
        for i, (tile, pair) in enumerate(zip(tiles, noises, strict=True)):
            lq, lq_noise, noise = (
                x.to(clip).transpose(0, 1)[None]
                for x in (cut_tile(clip, tile, down=_SCALE), *pair)
            )
            moved = [cut_tile(flow, tile, down=_SCALE) for flow in flows]
            yield _Part(lq, lq_noise, noise, moved, i * share, share)

    def _restore_part(
        self, part: _Part, texts: Tensor, job: WindowJob
    ) -> Tensor:
        """Denoise and decode a tile of a segment.

        Returns:
            (t, 3, H, W) float32 on the CPU, where a segment has room.
        """
        z = self._denoise(part, texts, job)
        decoded = decode_chunks(self.vae.decode, z, part.lq)
        return torch.cat([x[0].transpose(0, 1).cpu() for x in decoded])

    def _denoise(self, part: _Part, texts: Tensor, job: WindowJob) -> Tensor:
        """Denoise the latents of a tile, (1, 4, t, h, w)."""
        options = job.options
        signal = signal_shares(self.lq_scheduler)[self._level]
        lq = add_noise(part.lq, part.lq_noise, signal)

        def velocity(x: Tensor, t: int) -> Tensor:
            def call(here: slice) -> Tensor:
                both = torch.cat([x[:, :, here], lq[:, :, here]], 1)
                return self._predict(both, t, texts, options.guidance_scale)

            return call_windows(call, x, options.window, options.overlap)

        def tell(i: int, *_: Tensor) -> None:
            share = part.share * (i + 1) / options.steps
            job.progress(part.done + share)

        steps = plan_steps(options.steps, self.scheduler)
        return sample(part.noise, steps, velocity, self._changes(part), tell)

    def _predict(
        self, x: Tensor, t: int, texts: Tensor, guidance: float
    ) -> Tensor:
        """Predict a window's velocity, one text after the other."""
        x = x.to(texts)
        step, label = (
            torch.tensor([n], device=x.device) for n in (t, self._level)
        )
        found = [
            self.unet(x, step, text[None], label).float() for text in texts
        ]
        return guide(found[0], found[-1], guidance, 0)

    def _changes(self, part: _Part) -> dict[int, Change]:
        """Return what happens to x0 at each step of `propagation_steps`."""
        if not part.flows:
            return {}
        forward, backward = part.flows
        height, width = part.noise.shape[-2:]
        propagation = Propagation(forward, backward, (height, width))
        return dict.fromkeys(self._propagated, propagation)

    def _encode_texts(self, options: RestoreOptions, events: Events) -> Tensor:
        """Encode the prompt, then the negative one if there is guidance.

        Returns:
            (1 or 2, L, D) of the denoiser's dtype, on its device.
        """
        prompt, suffix = options.prompt, options.prompt_suffix
        if options.compat == 'official':
            texts = [prompt + suffix]
        else:
            texts = [join_prompts(prompt, suffix)]
        if options.guidance_scale > 1:
            texts.append(options.negative_prompt)
        for text in texts:
            lost = self.text_encoder.count_overflow(text)
            if lost:
                events.note(f'{lost} tokens too many in: {text}')
        return self.embed(texts, next(self.unet.parameters()))


def _plan_tiles(clip: Tensor, options: RestoreOptions) -> list[Tile]:
    """Plan tiles in output pixels; one for the whole frame if it is small."""
    height, width = clip.shape[-2:]
    rows, columns = (max(x // _SCALE, 1) for x in both_axes(options.tile))
    widest = (min(rows, columns) - 1) // 3
    border = min(options.tile_overlap // (2 * _SCALE), widest)
    if not options.tile or not needs_tiles(height, width, (rows, columns)):
        rows, columns, border = height, width, 0
    height, width, rows, columns, border = (
        _SCALE * x for x in (height, width, rows, columns, border)
    )
    paste = options.compat == 'official'
    return plan_core_tiles(height, width, (rows, columns), 2 * border, paste)


def _draw_noises(
    job: WindowJob, clip: Tensor, tiles: list[Tile]
) -> Iterator[tuple[Tensor, ...]]:
    """Draw each tile's noise for the low-quality clip and for the latents.

    Tiles cut it out of the whole frame's, so that neighbours resemble each
    other; in the official code each has its own.

    Yields:
        (t, 3, h, w) and (t, 4, h, w).
    """
    own = job.options.compat == 'official'
    whole: list[Tensor] = []
    for i, tile in enumerate(tiles):
        if own or not whole:
            seen = cut_tile(clip, tile, down=_SCALE) if own else clip
            size = tuple(seen.shape[-2:])
            whole = [
                job.noise.draw(2 * i + k, len(clip), (channels, *size))
                for k, channels in enumerate((3, 4))
            ]
        if own:
            yield tuple(whole)
        else:
            yield tuple(cut_tile(x, tile, down=_SCALE) for x in whole)


def _fix_colors(out: Tensor, clip: Tensor, name: str) -> Tensor:
    """Give each restored frame colours of its own input."""
    if name == 'none':
        return out
    size = tuple(out.shape[-2:])
    fixed = []
    for frame, lq in zip(out.split(1), clip.split(1), strict=True):
        style = F.interpolate(lq, size, mode='bicubic')
        fixed.append(IMAGE_COLOR_FIXES[name](frame.to(clip), style).cpu())
    return torch.cat(fixed)


def _check(level: int, propagated: Sequence[int], segment: int) -> None:
    if not 0 <= level < 350:
        raise ValueError(f'`noise_level` must lie in [0, 349], got {level}')
    if any(step < 0 for step in propagated):
        raise ValueError(
            f'`propagation_steps` must be at least 0, got {list(propagated)}'
        )
    check_least('segment', segment, 2)
