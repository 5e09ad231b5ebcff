"""The one restore path: from a stream of frames to restored pieces.

A stream is cut into segments, so that memory does not grow with it; within a
segment windows in time and tiles in space are stitched at every step of the
sampler. A segment begins with the last frames of the one before it, and its
estimate of these is faded from the earlier result at every step.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor

from star.diffusion.guidance import guide
from star.diffusion.samplers import (
    SAMPLERS,
    fast_timesteps,
    normal_timesteps,
    official_start,
)
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from star.models.restore_options import check_options
from star.models.segments import (
    fade,
    frame_generator,
    frame_noise,
    segments,
)
from star.models.text_encoders import join_prompts
from star.structures import RestoreOptions
from star.video.chunking import (
    blend_weights,
    official_windows,
    plan_windows,
)
from star.video.color_fix import COLOR_FIXES
from star.video.padding import (
    crop,
    official_padding,
    pad_amount,
    pad_official,
    pad_replicate,
)
from star.video.tiling import Tile, plan_tiles

if TYPE_CHECKING:
    from star.models.star_model import STARModel

Progress = Callable[[str, int, int | None], None]

START_TIMESTEP = 899  # of the official code, at strength 1
SEGMENT_BYTES = 64 * 2**20  # of the latents that a sampler holds, or
WEIGHT_SHARE = 0.05  # this share of the weights' size, if that is more
_SAMPLER_COPIES = 10  # x, x0, v, noise, low quality, ... and temporaries


class Restoration:
    """Restores one clip; holds what its segments share.

    Args:
        model: the STARModel.
        options: how to restore; checked here.
        progress: see `STARModel.restore`.

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        model: 'STARModel',
        options: RestoreOptions,
        progress: Progress | None,
    ) -> None:
        check_options(options)
        if options.compat == 'official':
            options = replace(options, blend='cut', upsample='bilinear')
        self.model = model
        self.options = options
        self.progress = progress or _silent
        parameter = next(model.backbone.parameters())
        self.device, self.dtype = parameter.device, parameter.dtype
        self.timesteps = _timesteps(options)
        self.batched = True
        self.projected: dict[str, tuple[Any, Any]] = {}

    @torch.inference_mode()
    def run(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Restore all frames; see `STARModel.restore_stream`."""
        first = next(frames, None)
        if first is None:
            return
        self._measure(first)
        with _evaluating(self.model):
            self.texts = self._encode_text()
            yield from self._run(first, frames)

    def _run(
        self, first: Tensor, frames: Iterator[Tensor]
    ) -> Iterator[Tensor]:
        """Restore segment by segment."""
        overlap = min(self.options.overlap, self.segment - 1)
        tail = None
        for start, lq, last in segments(first, frames, self.segment, overlap):
            z = self._sample(start, lq, tail)
            keep = len(lq) if last else len(lq) - overlap
            tail = None if last else z[:, :, keep:].clone()
            yield from self._decode(start, z[:, :, :keep], lq)

    def _measure(self, frame: Tensor) -> None:
        """Work out sizes from the first frame (C, h, w)."""
        if frame.ndim != 3 or len(frame) != 3 or frame.dtype != torch.uint8:
            raise ValueError(
                'a frame must be (3, h, w) uint8, got '
                f'{tuple(frame.shape)} {frame.dtype}'
            )
        height, width = frame.shape[-2:]
        scale = self.options.scale
        self.size = (round(height * scale), round(width * scale))
        if min(self.size) < 1:
            raise ValueError(f'`scale` {scale} makes {width}x{height} vanish')
        self.padding = self._plan_padding()
        left, right, top, bottom = self.padding
        side = self.model.autoencoder.downsample
        rows = (self.size[0] + top + bottom) // side
        columns = (self.size[1] + left + right) // side
        self.tiles = self._plan_tiles(rows, columns)
        channels = self.model.autoencoder.latent_channels
        per_frame = 4 * channels * rows * columns * _SAMPLER_COPIES
        weights = sum(p.nbytes for p in self.model.backbone.parameters())
        budget = max(SEGMENT_BYTES, int(weights * WEIGHT_SHARE))
        self.segment = max(self.options.chunk, budget // per_frame)
        if self.options.compat == 'official':
            self.segment = 2**31

    def _plan_padding(self) -> tuple[int, int, int, int]:
        """Count the pixels to add: left, right, top, bottom."""
        if self.options.compat == 'official':
            return official_padding(*self.size)
        side = self.model.autoencoder.downsample
        backbone = self.model.backbone
        rows, columns = (side * m for m in backbone.size_multiple)
        more_rows, more_columns = (side * r for r in backbone.size_remainder)
        bottom, right = pad_amount(
            *self.size, (rows, columns), (more_rows, more_columns)
        )
        return 0, right, 0, bottom

    def _plan_tiles(self, height: int, width: int) -> list[Tile]:
        """Plan tiles of the latent."""
        tile, overlap = self.options.tile, self.options.tile_overlap
        if not tile:
            return [Tile(0, height, 0, width, torch.ones(height, width))]
        side = self.model.autoencoder.downsample
        backbone = self.model.backbone
        try:
            return plan_tiles(
                height,
                width,
                tile // side,
                overlap // side,
                backbone.size_multiple,
                backbone.size_remainder,
            )
        except ValueError as error:
            raise ValueError(
                f'`tile` {tile} does not fit `tile_overlap` {overlap} and the '
                f'network; in latents of {side} pixels: {error}'
            ) from error

    def _pad(self, x: Tensor) -> Tensor:
        """Pad frames (..., H, W) to a size that the network accepts."""
        if self.options.compat == 'official':
            return pad_official(x)
        _, right, _, bottom = self.padding
        return pad_replicate(x, bottom, right)

    def _crop(self, x: Tensor) -> Tensor:
        """Cut the padding off again."""
        left, _, top, _ = self.padding
        return crop(x, *self.size, top, left)

    def _enlarge(self, lq: Tensor) -> Tensor:
        """Bring frames (t, C, h, w) uint8 to the output size, on device."""
        clip = to_float(lq.to(self.device))
        return upsample_clip(clip, self.size, self.options.upsample)

    def _encode_text(self) -> dict[str, Tensor]:
        """Encode prompt and negative prompt, apart and as one batch."""
        prompts = self.model.prompts
        prompt, negative = self.options.prompt, self.options.negative_prompt
        prompt = prompts['prompt'] if prompt is None else prompt
        negative = prompts['negative'] if negative is None else negative
        positive = join_prompts(prompt, prompts['suffix'])
        for text in (positive, negative):
            lost = self.model.text_encoder.count_overflow(text)
            if lost:
                self.progress(f'note: {lost} tokens too many in: {text}', 0, 0)
        both = self.model.text_encoder([positive, negative])
        both = both.to(self.device, self.dtype)
        return {'cond': both[:1], 'uncond': both[1:], 'both': both}

    def _encode(self, start: int, lq: Tensor) -> Tensor:
        """Encode the low-quality clip: (1, C, T, h, w) float32 on the CPU."""
        autoencoder = self.model.autoencoder
        latents = []
        for i in range(0, len(lq), autoencoder.encode_batch):
            clip = self._enlarge(lq[i : i + autoencoder.encode_batch])
            x = self._pad(clip).transpose(0, 1)[None]
            generator = frame_generator(self.options.seed, -1, start + i)
            z = autoencoder.encode(x, generator, tile=self.options.tile)
            latents.append(z.float().cpu())
            self.progress('encode', start + i + x.shape[2], None)
        return torch.cat(latents, dim=2)

    def _sample(self, start: int, lq: Tensor, tail: Tensor | None) -> Tensor:
        """Denoise one segment: (1, C, T, h, w) float32 on the CPU."""
        z_lq = self._encode(start, lq)
        evaluations = count(1)

        def noise(draw: int) -> Tensor:
            return frame_noise(self.options.seed, draw, start, z_lq.shape)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            x0 = self._denoise(x_t, z_lq, t)
            part = min(1.0, next(evaluations) / len(self.timesteps))
            self.progress('denoise', start + int(part * len(lq)), None)
            return x0 if tail is None else fade(tail, x0)

        sample = SAMPLERS[self.options.sampler]
        return sample(
            denoise,
            self._start(z_lq, noise(0)),
            self.timesteps,
            self.model.schedule,
            lambda step: noise(step + 1),
        )

    def _start(self, z_lq: Tensor, noise: Tensor) -> Tensor:
        """Noise the low-quality latent to the first timestep."""
        t, schedule = self.timesteps[0], self.model.schedule
        alpha, sigma = schedule.at(t)
        x = alpha * z_lq + sigma * noise
        if self.options.compat == 'official':
            x = official_start(x, schedule, t)
        return x

    def _denoise(self, x_t: Tensor, z_lq: Tensor, t: int) -> Tensor:
        """Estimate x0 of a segment, stitched from its windows and tiles."""
        alpha, sigma = self.model.schedule.at(t)
        v = torch.zeros_like(x_t)
        for (start, end), weight in self._windows(x_t.shape[2]):
            for tile in self.tiles:
                where = (
                    ...,
                    slice(start, end),
                    slice(tile.top, tile.bottom),
                    slice(tile.left, tile.right),
                )
                part = self._velocity(x_t[where], z_lq[where], t).cpu()
                v[where] += weight[:, None, None] * tile.weight * part
        return alpha * x_t - sigma * v

    def _windows(self, length: int) -> list[tuple[tuple[int, int], Tensor]]:
        """List a segment's windows in time with their weights."""
        size, overlap = self.options.chunk, self.options.overlap
        if self.options.compat == 'official':
            windows = official_windows(length, size)
        else:
            windows = plan_windows(length, size, overlap)
        weights = blend_weights(length, windows, self.options.blend)
        return list(zip(windows, weights, strict=True))

    def _velocity(self, z_t: Tensor, z_lq: Tensor, t: int) -> Tensor:
        """Predict the guided velocity of one window's tile, float32."""
        z_t = z_t.to(self.device, self.dtype)
        z_lq = z_lq.to(self.device, self.dtype)
        options = self.options
        if options.guidance_scale == 1:
            return self._call(z_t, z_lq, t, 'cond')
        cond, uncond = self._call_twice(z_t, z_lq, t)
        return guide(
            cond, uncond, options.guidance_scale, options.guidance_rescale
        )

    def _call_twice(
        self, z_t: Tensor, z_lq: Tensor, t: int
    ) -> tuple[Tensor, Tensor]:
        """Predict with and without prompt: one batch, if it fits in memory."""
        if self.batched:
            try:
                z_t_both, z_lq_both = (
                    torch.cat([z_t] * 2),
                    torch.cat([z_lq] * 2),
                )
                both = self._call(z_t_both, z_lq_both, t, 'both')
                return both[:1], both[1:]
            except torch.OutOfMemoryError:
                self.batched = False
        return (
            self._call(z_t, z_lq, t, 'cond'),
            self._call(z_t, z_lq, t, 'uncond'),
        )

    def _call(self, z_t: Tensor, z_lq: Tensor, t: int, which: str) -> Tensor:
        """Predict the velocity with one of the texts."""
        model = self.model
        steps = torch.full((len(z_t),), t, device=self.device)
        texts = self._project(which)
        return model.velocity(z_t, steps, texts, z_lq).float()

    def _project(self, which: str) -> tuple[Any, Any]:
        """Keys and values of a text for both nets, computed once per clip."""
        if which not in self.projected:
            text, model = self.texts[which], self.model
            self.projected[which] = (
                model.controlnet.project_text(text),
                model.backbone.project_text(text),
            )
        return self.projected[which]

    def _decode(self, start: int, z: Tensor, lq: Tensor) -> Iterator[Tensor]:
        """Decode a segment's latents to uint8 pieces on the CPU."""
        fix = COLOR_FIXES[self.options.color_fix]
        done = 0
        chunks = self.model.autoencoder.decode_chunks(
            z, tile=self.options.tile
        )
        for piece in chunks:
            clip = self._crop(piece[0].transpose(0, 1).float())
            end = done + len(clip)
            clip = fix(clip, self._enlarge(lq[done:end]))
            done = end
            self.progress('decode', start + done, None)
            yield to_uint8(clip).cpu()


def _timesteps(options: RestoreOptions) -> list[float]:
    """List the sampler's timesteps, at most one of 'normal' per timestep."""
    start = round(START_TIMESTEP * options.strength)
    if options.mode == 'fast':
        return fast_timesteps(start)
    return normal_timesteps(min(options.steps, start + 1), start)


@contextmanager
def _evaluating(model: 'STARModel') -> Iterator[None]:
    """Switch dropout off for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)


def _silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""
