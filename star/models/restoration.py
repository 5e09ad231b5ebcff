"""The one restore path: from a stream of frames to restored pieces.

A stream is cut into segments, so that memory does not grow with it; within a
segment windows in time and tiles in space are stitched at every step of the
sampler. A segment begins with the last frames of the one before it, and its
estimate of these is faded from the earlier result at every step.
"""

from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import TYPE_CHECKING

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
SEGMENT_BYTES = 128 * 2**20  # of the latents that a sampler holds
_SAMPLER_COPIES = 6  # x, x0, the last x0, noise, low quality, a temporary
_PRIME = 1_000_003


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
        start = round(START_TIMESTEP * options.strength)
        self.timesteps = (
            fast_timesteps(start)
            if options.mode == 'fast'
            else normal_timesteps(options.steps, start)
        )
        self.batched = True

    @torch.inference_mode()
    def run(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Restore all frames; see `STARModel.restore_stream`."""
        first = next(frames, None)
        if first is None:
            return
        self._measure(first)
        self.texts = self._encode_text()
        overlap = min(self.options.overlap, self.segment - 1)
        tail = None
        for start, lq, last in _segments(
            first, frames, self.segment, overlap
        ):
            z = self._sample(start, lq, tail)
            keep = len(lq) if last else len(lq) - overlap
            tail = None if last else z[:, :, keep:].clone()
            yield from self._decode(start, z[:, :, :keep], lq)

    def _measure(self, frame: Tensor) -> None:
        """Work out sizes from the first frame (C, h, w)."""
        height, width = frame.shape[-2:]
        scale = self.options.scale
        self.size = (round(height * scale), round(width * scale))
        if min(self.size) < 1:
            raise ValueError(
                f'`scale` {scale} makes {width}x{height} vanish'
            )
        side = self.model.autoencoder.downsample
        latent = [s // side for s in self._pad(frame.new_zeros(
            (1, 1, *self.size)
        ).float()).shape[-2:]]
        self.tiles = self._plan_tiles(latent[0], latent[1])
        channels = self.model.autoencoder.latent_channels
        per_frame = 4 * channels * latent[0] * latent[1] * _SAMPLER_COPIES
        self.segment = max(self.options.chunk, SEGMENT_BYTES // per_frame)
        if self.options.compat == 'official':
            self.segment = 2**31

    def _plan_tiles(self, height: int, width: int) -> list[Tile]:
        """Plan tiles of the latent."""
        if not self.options.tile:
            return [Tile(0, height, 0, width, torch.ones(height, width))]
        side = self.model.autoencoder.downsample
        backbone = self.model.backbone
        return plan_tiles(
            height,
            width,
            self.options.tile // side,
            self.options.tile_overlap // side,
            backbone.size_multiple,
            backbone.size_remainder,
        )

    def _pad(self, x: Tensor) -> Tensor:
        """Pad frames (..., H, W) to a size that the network accepts."""
        if self.options.compat == 'official':
            return pad_official(x)
        side = self.model.autoencoder.downsample
        backbone = self.model.backbone
        multiple = tuple(side * m for m in backbone.size_multiple)
        remainder = tuple(side * r for r in backbone.size_remainder)
        bottom, right = pad_amount(*x.shape[-2:], multiple, remainder)
        return pad_replicate(x, bottom, right)

    def _crop(self, x: Tensor) -> Tensor:
        top = left = 0
        if self.options.compat == 'official':
            left, _, top, _ = official_padding(*self.size)
        return crop(x, *self.size, top, left)

    def _enlarge(self, lq: Tensor) -> Tensor:
        """Bring frames (t, C, h, w) uint8 to the output size, on device."""
        clip = to_float(lq.to(self.device))
        return upsample_clip(clip, self.size, self.options.upsample)

    def _encode_text(self) -> dict[str, Tensor]:
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
            generator = _generator(self.options.seed, -1, start + i)
            z = autoencoder.encode(x, generator, tile=self.options.tile)
            latents.append(z.float().cpu())
            self.progress('encode', start + i + x.shape[2], None)
        return torch.cat(latents, dim=2)

    def _sample(self, start: int, lq: Tensor, tail: Tensor | None) -> Tensor:
        """Denoise one segment: (1, C, T, h, w) float32 on the CPU."""
        z_lq = self._encode(start, lq)
        schedule = self.model.schedule
        t = self.timesteps[0]
        alpha, sigma = schedule.at(t)

        def noise(step: int) -> Tensor:
            return _noise(self.options.seed, step, start, z_lq.shape)

        x = alpha * z_lq + sigma * noise(0)
        if self.options.compat == 'official':
            x = official_start(x, schedule, t)
        done = 0

        def denoise(x_t: Tensor, step_t: int) -> Tensor:
            nonlocal done
            x0 = self._denoise(x_t, z_lq, step_t)
            done += 1
            part = min(1.0, done / len(self.timesteps))
            self.progress('denoise', start + int(part * len(lq)), None)
            return x0 if tail is None else _fade(tail, x0)

        sample = SAMPLERS[self.options.sampler]
        return sample(
            denoise, x, self.timesteps, schedule, lambda i: noise(i + 1)
        )

    def _denoise(self, x_t: Tensor, z_lq: Tensor, t: int) -> Tensor:
        """Estimate x0 of a segment from all its windows and tiles."""
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

    def _windows(
        self, length: int
    ) -> list[tuple[tuple[int, int], Tensor]]:
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
        if self.options.guidance_scale == 1:
            return self._call(z_t, z_lq, t, 'cond')
        if self.batched:
            try:
                pair = [torch.cat([z, z]) for z in (z_t, z_lq)]
                cond, uncond = self._call(*pair, t, 'both').chunk(2)
            except torch.OutOfMemoryError:
                self.batched = False
        if not self.batched:
            cond = self._call(z_t, z_lq, t, 'cond')
            uncond = self._call(z_t, z_lq, t, 'uncond')
        options = self.options
        return guide(
            cond, uncond, options.guidance_scale, options.guidance_rescale
        )

    def _call(self, z_t: Tensor, z_lq: Tensor, t: int, which: str) -> Tensor:
        model = self.model
        steps = torch.full((len(z_t),), t, device=self.device)
        texts = self._projected(which)
        control = model.controlnet(z_t, steps, texts[0], z_lq)
        return model.backbone(z_t, steps, texts[1], control).float()

    def _projected(self, which: str) -> tuple:
        """Keys and values of a text, computed once per clip."""
        text = self.texts[which]
        if isinstance(text, Tensor):
            model = self.model
            text = tuple(
                net.project_text(text)
                for net in (model.controlnet, model.backbone)
            )
            self.texts[which] = text
        return text

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


def _segments(
    first: Tensor, frames: Iterator[Tensor], size: int, overlap: int
) -> Iterator[tuple[int, Tensor, bool]]:
    """Group frames; yield (index of the first, clip, whether the last)."""
    buffer, start, following = [], 0, first
    while following is not None:
        if following.shape != first.shape:
            raise ValueError(
                'all frames must have one shape, got '
                f'{tuple(first.shape)} and {tuple(following.shape)}'
            )
        buffer.append(following)
        following = next(frames, None)
        if len(buffer) == size and following is not None:
            yield start, torch.stack(buffer), False
            start += size - overlap
            buffer = buffer[size - overlap :]
    yield start, torch.stack(buffer), True


def _fade(tail: Tensor, x0: Tensor) -> Tensor:
    """Fade from an earlier result to the estimate of the same frames."""
    overlap = tail.shape[2]
    ramp = torch.linspace(0, 1, overlap + 2)[1:-1, None, None]
    x0 = x0.clone()
    x0[:, :, :overlap] = tail.lerp(x0[:, :, :overlap], ramp)
    return x0


def _noise(seed: int, step: int, start: int, shape: torch.Size) -> Tensor:
    """Draw noise frame by frame, so that windows do not change it."""
    _, channels, length, height, width = shape
    frames = [
        torch.randn(
            (1, channels, 1, height, width),
            generator=_generator(seed, step, start + i),
        )
        for i in range(length)
    ]
    return torch.cat(frames, dim=2)


def _generator(seed: int, step: int, frame: int) -> torch.Generator:
    mixed = ((seed * _PRIME + step) * _PRIME + frame) % 2**63
    return torch.Generator().manual_seed(mixed)


def _silent(stage: str, done: int, total: int | None) -> None:
    """Report nothing."""
