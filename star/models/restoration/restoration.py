"""The one restore path: from a stream of frames to restored pieces.

A stream is cut into segments, so that memory does not grow with it. Where a
latent stands for one frame, windows in time and tiles in space are stitched
at every step of the sampler within a segment; a segment begins with the last
frames of the one before it, and its estimate of these is faded from the
earlier result at every step.

Where a latent stands for several frames, a segment is one window: its first
latent stands for one frame, as in training, so windows of one clip's latents
would not do. The frames it shares with the one before are encoded anew from
what that one restored; their estimate is faded from these latents at every
step, and the decoded frames are cross-faded.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import count
from typing import TYPE_CHECKING

import torch
import torch.nn.functional as F
from torch import Tensor

from star.diffusion.samplers import SAMPLERS, official_start
from star.models.contracts import Events
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from star.models.restoration.events import EventRelay
from star.models.restoration.frame_plan import output_size, plan_frames
from star.models.restoration.guided_velocity import GuidedVelocity
from star.models.restoration.limits import limits_of
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import (
    fade,
    fade_pieces,
    frame_generator,
    frame_noise,
    lengthen,
    segments,
)
from star.video.color_fix import COLOR_FIXES
from star.video.windows import (
    blend_weights,
    official_windows,
    plan_windows,
)

if TYPE_CHECKING:
    from star.models.editors.star.star_model import STARModel

Watch = Callable[[int, int, Tensor], None]

SEGMENT_BYTES = 64 * 2**20  # of the latents that a sampler holds, or
WEIGHT_SHARE = 0.05  # this share of the weights' size, if that is more
_SAMPLER_COPIES = 10  # x, x0, v, noise, low quality, ... and temporaries
_POSTERIOR, _TAIL = -1, -2  # draws besides those of the sampler


class Restoration:
    """Restores one clip; holds what its segments share.

    Args:
        model: the STARModel.
        options: how to restore; checked here.
        events: receives progress and notes.
        watch: called after each evaluation of the networks with the first
            frame of the segment, the timestep and x0, (1, C, T, h, w).

    Raises:
        ValueError: an option is out of range.
    """

    def __init__(
        self,
        model: 'STARModel',
        options: RestoreOptions,
        events: Events | None = None,
        watch: Watch | None = None,
    ) -> None:
        model.check_options(options)
        if options.compat == 'official':
            options = replace(options, blend='cut', upsample='bilinear')
        self.model = model
        self.options = options
        self.events = events or EventRelay()
        self.watch = watch
        self.size: tuple[int, int] | None = None  # where not the plan's
        self.device = next(model.backbone.parameters()).device
        self.ratio = model.autoencoder.temporal_downsample
        self.timesteps = model.schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        self.levels = model.schedule  # where the denoiser looks up its own
        if options.sampler == 'cogvideox_dpmpp_2m':
            self.levels = model.schedule.for_timesteps(self.timesteps)[1]

    @torch.inference_mode()
    def run(self, frames: Iterator[Tensor]) -> Iterator[Tensor]:
        """Restore all frames; see `STARModel.restore_stream`."""
        first = next(frames, None)
        if first is None:
            return
        self._measure(first)
        with _evaluating(self.model):
            self.velocity = GuidedVelocity(
                self.model, self.options, len(self.timesteps), self.events.note
            )
            whole = self._run_frames if self.ratio == 1 else self._run_windows
            yield from whole(first, frames)

    def _run_frames(
        self, first: Tensor, frames: Iterator[Tensor]
    ) -> Iterator[Tensor]:
        """Restore segment by segment; a latent stands for a frame."""
        overlap = min(self.options.overlap, self.segment - 1)
        tail = None
        for start, lq, last in segments(first, frames, self.segment, overlap):
            z = self._sample(start, lq, tail)
            keep = len(lq) if last else len(lq) - overlap
            tail = None if last else z[:, :, keep:].clone()
            yield from self._decode(start, z[:, :, :keep], lq)

    def _run_windows(
        self, first: Tensor, frames: Iterator[Tensor]
    ) -> Iterator[Tensor]:
        """Restore window by window; a latent stands for several frames."""
        size, overlap = self.options.window, self.options.overlap
        tail = None  # decoded frames that the window before holds back
        for start, lq, last in segments(first, frames, size, overlap):
            z = self._sample(start, lq, self._encode_tail(start, tail))
            keep = len(lq) if last else len(lq) - overlap
            pieces = fade_pieces(tail, self._decode_pieces(z), len(lq))
            done, held = 0, []
            for piece in pieces:
                now, later = piece.tensor_split([max(0, keep - done)], dim=2)
                if now.shape[2]:
                    yield self._finish(start, done, now, lq)
                if later.shape[2]:
                    held.append(later.float().cpu())
                done += piece.shape[2]
            tail = torch.cat(held, dim=2) if held else None

    def _measure(self, frame: Tensor) -> None:
        """Work out sizes from the first frame (C, h, w)."""
        model = self.model
        options, scale = self.options, limits_of(model.backbone).scale
        if scale is not None and scale != options.scale:
            self.size = output_size(frame, options.scale)
            options = replace(options, scale=scale)
        self.plan = plan_frames(
            frame, options, model.autoencoder, model.backbone
        )
        rows, columns = self.plan.latent_size
        channels = model.autoencoder.latent_channels
        per_frame = 4 * channels * rows * columns * _SAMPLER_COPIES
        weights = sum(p.nbytes for p in model.backbone.parameters())
        budget = max(SEGMENT_BYTES, int(weights * WEIGHT_SHARE))
        self.segment = max(self.options.window, budget // per_frame)
        if self.options.compat == 'official':
            self.segment = 2**31

    def _enlarge(self, lq: Tensor) -> Tensor:
        """Bring frames (t, C, h, w) uint8 to the output size, on device."""
        clip = to_float(lq.to(self.device))
        return upsample_clip(clip, self.plan.size, self.options.upsample)

    def _encode(self, start: int, lq: Tensor) -> Tensor:
        """Encode the low-quality clip: (1, C, T, h, w) float32 on the CPU."""
        if self.ratio > 1:
            return self._encode_window(start, lq)
        autoencoder = self.model.autoencoder
        latents = []
        for i in range(0, len(lq), autoencoder.encode_batch):
            clip = self._enlarge(lq[i : i + autoencoder.encode_batch])
            x = self.plan.pad(clip).transpose(0, 1)[None]
            latents.append(self._encode_clip(x, _POSTERIOR, start + i))
            self.events.progress('encode', start + i + x.shape[2], None)
        return torch.cat(latents, dim=2)

    def _encode_window(self, start: int, lq: Tensor) -> Tensor:
        """Encode a window; its last frame stays until latents are whole."""
        frames = lengthen(lq, self.ratio).split(1)
        clip = torch.cat(
            [self.plan.pad(self._enlarge(f)).cpu() for f in frames]
        )
        z = self._encode_clip(clip.transpose(0, 1)[None], _POSTERIOR, start)
        self.events.progress('encode', start + len(lq), None)
        return z

    def _encode_tail(self, start: int, tail: Tensor | None) -> Tensor | None:
        """Encode restored frames as the first of the window at `start`."""
        if tail is None:
            return None
        return self._encode_clip(tail.clamp(-1, 1), _TAIL, start)

    def _encode_clip(self, x: Tensor, draw: int, start: int) -> Tensor:
        """Encode (1, C, T, H, W): float32 on the CPU."""
        generator = frame_generator(self.options.seed, draw, start)
        z = self.model.autoencoder.encode(x, generator, tile=self.options.tile)
        return z.float().cpu()

    def _sample(self, start: int, lq: Tensor, tail: Tensor | None) -> Tensor:
        """Denoise one segment: (1, C, T, h, w) float32 on the CPU."""
        z_lq = self._encode(start, lq)
        evaluations = count(1)

        def noise(draw: int) -> Tensor:
            seed, shape = self.options.seed, z_lq.shape
            return frame_noise(seed, draw, start, shape, self.ratio)

        def denoise(x_t: Tensor, t: int) -> Tensor:
            x0 = self._denoise(x_t, z_lq, t)
            part = min(1.0, next(evaluations) / len(self.timesteps))
            self.events.progress('denoise', start + int(part * len(lq)), None)
            if self.watch:
                self.watch(start, t, x0)
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
        t = self.timesteps[0]
        alpha, sigma = self.levels.at(t)
        x = alpha * z_lq + sigma * noise
        if self.options.compat == 'official':
            x = official_start(x, self.model.schedule, t)
        return x

    def _denoise(self, x_t: Tensor, z_lq: Tensor, t: int) -> Tensor:
        """Estimate x0 of a segment, stitched from its windows and tiles."""
        alpha, sigma = self.levels.at(t)
        v = torch.zeros_like(x_t)
        for (start, end), weight in self._windows(x_t.shape[2]):
            for tile in self.plan.tiles:
                where = (
                    ...,
                    slice(start, end),
                    slice(tile.top, tile.bottom),
                    slice(tile.left, tile.right),
                )
                part = self.velocity(x_t[where], z_lq[where], t).cpu()
                v[where] += weight[:, None, None] * tile.weight * part
        return alpha * x_t - sigma * v

    def _windows(self, length: int) -> list[tuple[tuple[int, int], Tensor]]:
        """List a segment's windows in time with their weights."""
        size, overlap = self.options.window, self.options.overlap
        if self.options.compat == 'official':
            windows = official_windows(length, size)
        else:
            windows = plan_windows(length, size, overlap)
        weights = blend_weights(length, windows, self.options.blend)
        return list(zip(windows, weights, strict=True))

    def _decode(self, start: int, z: Tensor, lq: Tensor) -> Iterator[Tensor]:
        """Decode a segment's latents to uint8 pieces on the CPU."""
        done = 0
        for piece in self._decode_pieces(z):
            yield self._finish(start, done, piece, lq)
            done += piece.shape[2]

    def _decode_pieces(self, z: Tensor) -> Iterator[Tensor]:
        """Decode to pieces (1, C, t, H, W), padded, about [-1, 1]."""
        return self.model.autoencoder.decode_chunks(z, tile=self.options.tile)

    def _finish(
        self, start: int, done: int, piece: Tensor, lq: Tensor
    ) -> Tensor:
        """Make decoded frames output; `done` of the segment's came before."""
        clip = self.plan.crop(piece[0].transpose(0, 1).float())
        end = done + len(clip)
        fix = COLOR_FIXES[self.options.color_fix]
        clip = fix(clip, self._enlarge(lq[done:end]))
        if self.size is not None:
            clip = F.interpolate(
                clip.clamp(-1, 1),
                size=self.size,
                mode='bicubic',
                antialias=True,
            )
        self.events.progress('decode', start + end, None)
        return to_uint8(clip).cpu()


@contextmanager
def _evaluating(model: 'STARModel') -> Iterator[None]:
    """Switch dropout off for a while."""
    training = model.training
    model.eval()
    try:
        yield
    finally:
        model.train(training)
