"""Restoring with a network that sees only a little way.

Where one evaluation of such a network is the whole restoration, bands of a
few rows go from the input's pixels to the result's, and no frame's latents
are ever held. How the clip is cut changes neither a frame nor a pixel.
"""

import sys
from collections.abc import Iterator, Sequence
from functools import partial
from typing import cast

import torch
import torch.nn.functional as F
from torch import Tensor

from star.models.contracts import Events, LocalBackbone, PatchAutoencoder
from star.models.data_preprocessor import to_pixels
from star.models.layers.areas import Area, Surroundings
from star.models.layers.bands import (
    BandStream,
    ClipStrip,
    reach_of,
    rows_of_band,
)
from star.models.layers.same_conv import same_conv
from star.models.restoration.frame_coder import FrameCoder
from star.models.restoration.local_plan import (
    STRIDE,
    LocalLimits,
    LocalNetwork,
    LocalPlan,
    plan_local,
)
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.models.restoration.read_ahead import ReadAhead
from star.models.restoration.resuming import Piece, ResumePoint
from star.utils.scratch import ScratchFile
from star.video.frame_store import FrameStore
from star.video.tiling import both_axes

_TAPS = 2  # pixels on each side that an enlarged one depends on


def is_local(parts: ModelParts, options: RestoreOptions) -> bool:
    """Return whether one evaluation of a local network restores a clip."""
    scale = parts.backbone.limits.scale
    timesteps = parts.schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    return (
        hasattr(parts.backbone, 'stages')
        and hasattr(parts.autoencoder, 'encode_patches')
        and getattr(parts.controlnet, 'passes_latents', False)
        and scale == parts.autoencoder.downsample
        and len(timesteps) == 1
        and options.guidance_scale == 1
        and not options.guidance_exponent
        and options.noise == 'none'
        and options.compat == 'none'
    )


def local_plan(
    backbone: LocalBackbone,
    size: tuple[int, int],
    options: RestoreOptions,
    dtype: torch.dtype = torch.uint8,
    frames: int | None = None,
) -> LocalPlan:
    """Plan how a clip is cut.

    Args:
        backbone: a local network.
        size: height and width of the input.
        options: of the restoration.
        dtype: of the input.
        frames: of the clip; None if they are many or not known.
    """
    stages = backbone.stages
    weight = stages[0].layers[0].conv.weight
    mixes, layers = reach_of(stages)
    network = LocalNetwork(backbone.dim, layers, mixes, weight.dtype.itemsize)
    scale = backbone.limits.scale or 1
    kept = dtype if _keeps_pixels(options, scale) else torch.float32
    large = (round(size[0] * scale), round(size[1] * scale))
    columns = both_axes(options.tile)[1] / options.scale
    limits = LocalLimits(
        options.memory * 2**20,
        max(1, int(columns)) if columns else 0,
        options.window,
        frames,
        weight.device,
    )
    return plan_local(network, size, (large, kept), limits)


def plan_for(
    parts: ModelParts,
    options: RestoreOptions,
    clip: tuple[int | None, int, int],
) -> LocalPlan | None:
    """Return the plan for a clip; None if it is not restored locally.

    Args:
        parts: of the model.
        options: of the restoration.
        clip: frames (None if unknown), height and width of the input.
    """
    if not is_local(parts, options):
        return None
    frames, size = clip[0], clip[1:]
    backbone = cast(LocalBackbone, parts.backbone)
    plan = local_plan(backbone, size, options)
    if frames is not None and plan.segment is not None:
        reach, _ = reach_of(backbone.stages)
        if frames <= plan.segment + reach:  # its end is seen at once
            return local_plan(backbone, size, options, frames=frames)
    return plan


def _keeps_pixels(options: RestoreOptions, scale: float) -> bool:
    """Return whether areas of the result are final."""
    return options.color_fix == 'none' and options.scale == scale


class LocalStrategy:
    """Restores a clip band by band; see `SegmentStrategy`.

    Args:
        parts: of the model, for which `is_local` holds.
        options: of the restoration.
        coder: finishes frames.
        events: receives the progress of the stage 'decode'.
    """

    def __init__(
        self,
        parts: ModelParts,
        options: RestoreOptions,
        coder: FrameCoder,
        events: Events,
    ) -> None:
        self.parts, self.options = parts, options
        self.coder, self.events = coder, events
        self.backbone = cast(LocalBackbone, parts.backbone)
        self.reach = reach_of(self.backbone.stages)[0]  # in frames

    def restore(
        self,
        first: Tensor,
        frames: Iterator[Tensor],
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore all frames; see `SegmentStrategy`."""
        point = point or ResumePoint(0, 0)
        size = (first.shape[1], first.shape[2])
        make = partial(
            local_plan, self.backbone, size, self.options, first.dtype
        )
        plan = make()
        most = (plan.segment or 1) + 2 * self.reach + 2
        clip = ReadAhead(first, frames, point.frame, most)
        if plan.segment is not None:
            clip.read(point.done + plan.segment + self.reach)
            if clip.ended:
                plan = make(frames=clip.stop - point.done)
        if plan.segment is None:
            yield from self._endless(clip, plan, point.done)
        else:
            yield from self._by_segments(clip, plan, point.done)

    def _endless(
        self, clip: ReadAhead, plan: LocalPlan, begin: int
    ) -> Iterator[Piece]:
        """Restore frame after frame, each stage keeping two of them."""
        (columns,), stop = plan.strips, clip.begin
        work = _Bands(self.parts, self.options, self.coder, clip, 1)
        wanted = range(begin, sys.maxsize)
        stream = work.open(columns, clip.begin, wanted)
        while not clip.ended or stop < clip.stop:
            stop += 1
            clip.read(stop)
            for frame in stream.advance(stop, clip.ended_at(stop)):
                yield self._piece(work, clip, frame)
            clip.forget(stop - self.reach - 1)

    def _by_segments(
        self, clip: ReadAhead, plan: LocalPlan, begin: int
    ) -> Iterator[Piece]:
        """Restore some frames at a time, strip by strip.

        The last segment may be longer by the frames that the network sees.
        """
        assert plan.segment is not None
        most = plan.segment + self.reach
        work = _Bands(self.parts, self.options, self.coder, clip, most)
        wanted, file = range(begin, sys.maxsize), ScratchFile()
        streams = [
            work.open(columns, clip.begin, wanted, most, file)
            for columns in plan.strips
        ]
        while not clip.ended or begin < clip.stop:
            stop = begin + plan.segment
            clip.read(stop + self.reach)
            if clip.stop <= stop + self.reach:  # it has ended
                stop = clip.stop
            clip.forget(begin - self.reach)
            self._restore(streams, clip, range(begin, stop))
            for frame in range(begin, stop):
                yield self._piece(work, clip, frame)
            begin = stop

    def _restore(
        self, streams: Sequence[BandStream], clip: ReadAhead, wanted: range
    ) -> None:
        """Restore the frames of a segment."""
        stop = min(clip.stop, wanted.stop + self.reach)
        for index, stream in enumerate(streams):

            def report(share: float, before: int = index) -> None:
                part = (before + share) / len(streams)
                done = wanted.start + int(len(wanted) * part)
                self.events.progress('denoise', done, None)

            stream.advance(stop, clip.ended_at(stop), report)
            stream.rest()

    def _piece(self, work: '_Bands', clip: ReadAhead, frame: int) -> Piece:
        """Return a frame, with a place after it at the same ones in any cut.

        A result is coded in pieces that end at places. The encoder is then
        emptied, before the next segment needs the memory.
        """
        out = work.finish(frame)
        done = frame + 1
        self.events.progress('decode', done, None)
        after = partial(ResumePoint, max(0, done - self.reach), done)
        goes_on = done % STRIDE == 0 and not clip.ended_at(done)
        return Piece(out, after if goes_on else None)


class _Bands:
    """Brings bands of a clip to the network and from it to the result.

    Args:
        parts: of the model.
        options: of the restoration.
        coder: finishes frames.
        clip: of the input.
        most: frames that are restored at once.
    """

    def __init__(
        self,
        parts: ModelParts,
        options: RestoreOptions,
        coder: FrameCoder,
        clip: ReadAhead,
        most: int,
    ) -> None:
        self.parts, self.coder, self.clip = parts, coder, clip
        self.backbone = cast(LocalBackbone, parts.backbone)
        self.autoencoder = cast(PatchAutoencoder, parts.autoencoder)
        self.scale = self.autoencoder.downsample
        (timestep,) = parts.schedule.list_timesteps(
            options.mode, options.steps, options.strength
        )
        levels = parts.schedule
        self.alpha, _ = levels.at(timestep)  # of the noised latents
        t = round(timestep)
        self.t = torch.tensor([t], device=coder.device)
        self.level = levels.at(t)  # of the network
        self.device = next(self.backbone.parameters()).device
        self.taps = _enlarging_taps(self.scale, options.upsample)
        self.taps = self.taps.to(self.device)
        self.final = _keeps_pixels(options, self.scale)
        kept = clip.dtype if self.final else torch.float32
        large = (clip.size[0] * self.scale, clip.size[1] * self.scale)
        self.store = FrameStore(large, kept, most)

    def open(
        self,
        columns: range,
        first: int,
        wanted: range,
        at_once: int = 1,
        file: ScratchFile | None = None,
    ) -> BandStream:
        """Begin a strip.

        Args:
            columns: of the input.
            first: number of the first frame that there is.
            wanted: frames.
            at_once: frames that pass a stage at a time.
            file: see `BandStream`.
        """
        size = self.clip.size
        width = min(size[1], len(columns) + 64)
        rows = rows_of_band(width, self.device, at_once)
        strip = ClipStrip(size, columns, first, rows)
        stages = self.backbone.stages
        sink = partial(self._leave, columns)
        return BandStream(stages, self._enter, sink, strip, wanted, file)

    def finish(self, frame: int) -> Tensor:
        """Take a restored frame, (1, 3, H, W) of the type of the input."""
        x = self.store.take(frame)
        if self.final:
            return x[None]
        lq = self.clip.frame(frame)
        return self.coder.finish(x[None, :, None].to(self.device), lq)

    def _latents(self, frame: int, area: Area) -> Tensor:
        """Encode an area of an enlarged frame, (1, C, rows, columns)."""
        place = Surroundings(area, self.clip.size, _TAPS)
        rows, columns = place.wide
        pixels = self.clip.rows(frame, rows)
        pixels = pixels[..., columns.start : columns.stop].to(self.device)
        edges = (
            columns.start + _TAPS - area.columns.start,
            area.columns.stop + _TAPS - columns.stop,
            rows.start + _TAPS - area.rows.start,
            area.rows.stop + _TAPS - rows.stop,
        )
        pixels = F.pad(pixels, edges, 'replicate')
        # the sums of other layouts depend on the size
        pixels = pixels.contiguous(memory_format=torch.channels_last)
        patches = same_conv(pixels, self.taps, None, groups=3)
        return self.autoencoder.encode_patches(patches.clamp_(-1, 1))

    def _enter(self, frame: int, area: Area) -> Tensor:
        """Make the network's first features."""
        context = self.backbone.enter_context
        place = Surroundings(area, self.clip.size, context)
        lq = self._latents(frame, place.wide)
        lq = lq.contiguous(memory_format=torch.channels_last)
        return self.backbone.enter(self.alpha * lq, lq, self.t, place)

    def _leave(self, wanted: range, frame: int, area: Area, x: Tensor) -> None:
        """Make pixels of the network's last features."""
        start = max(area.columns.start, wanted.start)
        columns = range(start, min(area.columns.stop, wanted.stop))
        x = x[..., columns.start - area.columns.start :][..., : len(columns)]
        area = Area(area.rows, columns)
        place = Surroundings(area, self.clip.size, self.backbone.leave_context)
        wide = self._latents(frame, place.wide)
        v = self.backbone.leave(x, wide, place)
        lq = place.crop(place.lose(wide))
        z_t, (alpha, sigma) = self.alpha * lq, self.level
        v, z_t, lq = (each[:, :, None] for each in (v, z_t, lq))
        v = self.parts.complete(v, z_t, self.t, lq)
        patches = self.autoencoder.decode_patches(
            (alpha * z_t - sigma * v)[:, :, 0]
        )
        if self.final:
            patches = to_pixels(patches, self.clip.dtype)
        out = _shuffle(patches[0], self.scale).cpu()
        top, left = (side.start * self.scale for side in area)
        self.store.put(frame, top, left, out)


def _enlarging_taps(scale: int, mode: str) -> Tensor:
    """Return what each pixel adds to those of an enlarged patch.

    Args:
        scale: pixels of a patch's side.
        mode: 'bicubic' or 'bilinear'.

    Returns:
        Kernels of a grouped convolution of three colours, (3 scale scale, 1,
        5, 5): it gives the patches of the enlarged picture.
    """
    side = 2 * _TAPS + 1
    points = torch.eye(side * side).view(side * side, 1, side, side)
    size = (side * scale, side * scale)
    large = F.interpolate(points, size=size, mode=mode, align_corners=False)
    middle = slice(_TAPS * scale, (_TAPS + 1) * scale)
    taps = large[:, 0, middle, middle].flatten(1).T
    return taps.reshape(-1, 1, side, side).repeat(3, 1, 1, 1)


def _shuffle(patches: Tensor, scale: int) -> Tensor:
    """Turn patches (3 scale scale, h, w) of any type into (3, H, W)."""
    x = patches.unflatten(0, (3, scale, scale)).permute(0, 3, 1, 4, 2)
    return x.flatten(1, 2).flatten(2, 3)
