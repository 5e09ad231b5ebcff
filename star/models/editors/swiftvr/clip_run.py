"""The restoration of one clip with SwiftVR: frames in, pixels out."""

from collections.abc import Callable, Iterator
from itertools import islice

import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.contracts import Events
from star.models.data_preprocessor import PEAKS, round_pixels
from star.models.editors.swiftvr.chunks import Chunking, read_chunks
from star.models.editors.swiftvr.latent_stream import (
    Networks,
    StreamState,
    keep_newest,
)
from star.models.editors.swiftvr.reae import DOWNSAMPLE, GROUP, LAG, REACH
from star.models.restoration.options import RestoreOptions
from star.models.restoration.resuming import Piece, ResumePoint
from star.video.color_fix import IMAGE_COLOR_FIXES
from star.video.padding import crop, pad_amount, pad_replicate
from star.video.tiling import Tile, cut_tile, plan_tiles, stitch_tiles

TOKEN = 2 * DOWNSAMPLE  # pixels of a token's side
_WHITE = 255.0


class ClipRun:
    """Restores the frames of a clip as they come.

    Args:
        networks: with weights.
        first: a frame of the clip, (3, h, w) uint8 or uint16.
        options: of the restoration.
        chunking: how the clip is cut.
        size: output height and width; None for those of `options.scale`.
    """

    def __init__(
        self,
        networks: Networks,
        first: Tensor,
        options: RestoreOptions,
        chunking: Chunking,
        size: tuple[int, int] | None = None,
    ) -> None:
        self.networks, self.options = networks, options
        self.chunking = chunking
        self.like = networks.text
        self.dtype, self.official = first.dtype, options.compat == 'official'
        self.size = size or _output_size(first, options)
        bottom, right = pad_amount(*self.size, (TOKEN, TOKEN), (0, 0))
        self.padding = bottom, right
        padded = self.size[0] + bottom, self.size[1] + right
        self.tiles = _plan_tiles(padded, options)
        self.states = [StreamState() for _ in self.tiles]
        self.waiting: list[Tensor] = []  # frames that are not restored yet
        self.done = 0

    def pieces(
        self,
        frames: Iterator[Tensor],
        events: Events,
        point: ResumePoint | None,
    ) -> Iterator[Piece]:
        """Restore the frames, from a point on if there is one.

        Args:
            frames: of the clip, or those from the point's on.
            events: receives the progress of the stage 'decode'.
            point: where an earlier run stopped.
        """
        if point is not None:
            self._take_up(frames, point)
        chunks = read_chunks(frames, self.chunking.length, point is None)
        for chunk, found in chunks:
            self.waiting += found
            more = GROUP * chunk.groups - chunk.frames
            clip = torch.stack([*found, *self.waiting[-1:] * more])
            out = self.restore(clip, self.chunking.context_of(chunk))
            pixels = self.finish(out[: len(self.waiting)])
            self.done += len(pixels)
            del self.waiting[: len(pixels)]
            events.progress('decode', self.done, None)
            yield Piece(pixels, None if chunk.last else self._point)

    def restore(self, clip: Tensor, context: int) -> Tensor:
        """Restore the next frames, tile by tile.

        Args:
            clip: (4 k, 3, h, w) pixels.
            context: latents before them that the transformer sees; at the
                beginning of a clip there are zeros instead.

        Returns:
            (t, 3, H, W) float32 in [0, 1]; t is 4 k, less 3 at the beginning.
        """
        pieces = (
            self._restore_tile(clip, tile, state, context)
            for tile, state in zip(self.tiles, self.states, strict=True)
        )
        if len(self.tiles) == 1:
            whole = next(pieces).float()
        else:
            whole = stitch_tiles(pieces, self.tiles)
        return crop(whole, *self.size)

    def _restore_tile(
        self, clip: Tensor, tile: Tile, state: StreamState, context: int
    ) -> Tensor:
        networks = self.networks
        groups = (
            networks.encode(self._prepare(group, tile), state)
            for group in clip.split(GROUP)
        )
        z = torch.cat(list(groups))
        before = None
        if context and state.lq is None:
            before = z.new_zeros(context, *z.shape[1:])
        elif context and state.lq is not None:
            before = state.lq[-context:]
        x0 = networks.denoise(z, before)
        state.lq = keep_newest(state.lq, z, self.chunking.most_context)
        state.x0 = keep_newest(state.x0, x0, REACH)
        return torch.cat(networks.decode(x0, state))

    def _prepare(self, clip: Tensor, tile: Tile) -> Tensor:
        """Enlarge pixels to a tile in [0, 1] of the networks' dtype."""
        kind = self.like.dtype if self.official else torch.float32
        x = clip.to(self.like.device).float() * (_WHITE / PEAKS[clip.dtype])
        x = _enlarge(x.to(kind), self.size) / _WHITE
        bottom, right = self.padding
        if self.official:
            x = F.pad(x, (0, right, 0, bottom))
        else:
            x = pad_replicate(x, bottom, right)
        return cut_tile(x, tile).to(self.like.dtype)

    def finish(self, out: Tensor) -> Tensor:
        """Fix the colours of restored frames and make pixels, on the CPU.

        Args:
            out: (t, 3, H, W) in [0, 1], of the first frames in `waiting`.
        """
        fix: Callable[..., Tensor] = IMAGE_COLOR_FIXES[self.options.color_fix]
        if self.options.color_fix != 'none':
            clip = torch.stack(self.waiting[: len(out)]).to(out.device)
            lq = _enlarge(clip.float() / PEAKS[clip.dtype], self.size)
            out = (fix(2 * out - 1, 2 * lq - 1) + 1) / 2
        out = out * PEAKS[self.dtype]
        if self.official:
            out = out.floor()
        return round_pixels(out, self.dtype).cpu()

    def _point(self) -> ResumePoint:
        """Describe this place.

        The memories of the coders are large and depend on the last frames
        only: these are read and encoded again.
        """
        tensors: dict[str, Tensor] = {}
        for i, state in enumerate(self.states):
            assert state.lq is not None and state.x0 is not None
            tensors |= {f'{i}.lq': state.lq.cpu(), f'{i}.x0': state.x0.cpu()}
        frame = max(0, self.done + LAG - GROUP * REACH)
        return ResumePoint(frame, self.done, tensors)

    def _take_up(self, frames: Iterator[Tensor], point: ResumePoint) -> None:
        """Make the states of a point, and read up to it."""
        self.done = point.done
        count = point.done + LAG - point.frame
        found = list(islice(frames, count))
        self.waiting = found[point.done - point.frame :]
        more = found[-1:] * (count - len(found))
        clip = torch.stack([*found, *more])
        for i, (tile, state) in enumerate(
            zip(self.tiles, self.states, strict=True)
        ):
            state.lq = point.tensors[f'{i}.lq'].to(self.like)
            state.x0 = point.tensors[f'{i}.x0'].to(self.like)
            for group in clip.split(GROUP):
                self.networks.encode(self._prepare(group, tile), state)
            self.networks.take_up(state)


def _output_size(frame: Tensor, options: RestoreOptions) -> tuple[int, int]:
    height, width = (round(side * options.scale) for side in frame.shape[-2:])
    return height, width


def _plan_tiles(size: tuple[int, int], options: RestoreOptions) -> list[Tile]:
    tile = options.tile or max(size)
    overlap = options.tile_overlap if options.tile else 0
    return plan_tiles(*size, tile, overlap, (TOKEN, TOKEN))


def _enlarge(x: Tensor, size: tuple[int, int]) -> Tensor:
    return F.interpolate(x, size=size, mode='bilinear', align_corners=False)
