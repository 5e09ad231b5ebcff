"""Two ways through a clip: a latent stands for one frame, or for several."""

from abc import ABC, abstractmethod
from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor

from star.models.contracts import Events
from star.models.restoration.frame_coder import FrameCoder
from star.models.restoration.resuming import Piece, ResumePoint
from star.models.restoration.segment_sampler import SegmentSampler
from star.models.restoration.segments import lengthen, segments
from star.video.blending import fade_pieces

_POSTERIOR, _EARLIER = -1, -2  # numbers of draws; the sampler's are >= 0
_HELD = 'earlier'  # of the segment before, from which the next is faded


class SegmentStrategy(ABC):
    """Restores a clip segment by segment and joins the results.

    Args:
        coder: turns frames into latents and latents into output.
        sampler: denoises a segment.
        size: frames of a segment.
        overlap: frames that neighbouring segments share, < `size`.
        events: receives the progress of the stages 'encode' and 'decode'.
    """

    def __init__(
        self,
        coder: FrameCoder,
        sampler: SegmentSampler,
        size: int,
        overlap: int,
        events: Events,
    ) -> None:
        self.coder = coder
        self.sampler = sampler
        self.size = size
        self.overlap = overlap
        self.events = events

    @abstractmethod
    def restore(
        self,
        first: Tensor,
        frames: Iterator[Tensor],
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore all frames.

        Args:
            first: the first frame, (3, h, w) uint8 or uint16.
            frames: the frames that follow.
            point: where an earlier run stopped, and `first` is read.

        Yields:
            Consecutive pieces of the result; the last of each segment but
            the last one has a point.
        """

    def _segments(
        self, first: Tensor, frames: Iterator[Tensor], frame: int
    ) -> Iterator[tuple[int, Tensor, bool]]:
        return segments(first, frames, self.size, self.overlap, frame)

    def _point(self, frame: int, earlier: Tensor | None) -> ResumePoint:
        """Describe the place before a frame, all before it being restored."""
        if earlier is None:
            return ResumePoint(frame, frame)
        return ResumePoint(frame, frame, {_HELD: earlier})

    def _finish(
        self, piece: Tensor, lq: Tensor, start: int, done: int
    ) -> Tensor:
        """Make a decoded piece output; `done` frames of the segment precede.

        Args:
            piece: (1, 3, t, H, W).
            lq: the segment's frames.
            start: the segment's first frame within the clip.
            done: the piece's first frame within the segment.
        """
        end = done + piece.shape[2]
        out = self.coder.finish(piece, lq[done:end])
        self.events.progress('decode', start + end, None)
        return out


class FrameStrategy(SegmentStrategy):
    """For latents of one frame each.

    Within a segment, windows and tiles are stitched at every evaluation. A
    segment begins with the last frames of the one before it; at every
    evaluation its x0 of these is faded from the earlier latents.
    """

    def restore(
        self,
        first: Tensor,
        frames: Iterator[Tensor],
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore all frames; see `SegmentStrategy`."""
        point = point or ResumePoint(0, 0)
        earlier = point.tensors.get(_HELD)
        for start, lq, last in self._segments(first, frames, point.frame):
            here = range(start, start + len(lq))
            z = self.sampler.sample(self._encode(start, lq), here, 1, earlier)
            keep = len(lq) if last else len(lq) - self.overlap
            earlier = None if last else z[:, :, keep:].clone()
            done = 0
            for piece in self.coder.decode(z[:, :, :keep]):
                out = self._finish(piece, lq, start, done)
                done += piece.shape[2]
                after = partial(self._point, start + keep, earlier)
                yield Piece(out, None if last or done < keep else after)

    def _encode(self, start: int, lq: Tensor) -> Tensor:
        """Encode frame by frame: (1, C, T, h, w) float32 on the CPU."""
        latents = []
        found = self.coder.encode_frames(lq, _POSTERIOR, start)
        for i, latent in enumerate(found, start):
            latents.append(latent)
            self.events.progress('encode', i + 1, None)
        return torch.cat(latents, dim=2)


class GroupStrategy(SegmentStrategy):
    """For latents of several frames each; a segment is one window.

    A window's first latent stands for one frame, as in training, so that
    windows of the latents of a whole clip would not do. The frames shared
    with the window before are encoded anew from their restored version: x0
    is faded from these latents at every evaluation, and the decoded frames
    are cross-faded.
    """

    def restore(
        self,
        first: Tensor,
        frames: Iterator[Tensor],
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore all frames; see `SegmentStrategy`."""
        ratio = self.coder.autoencoder.temporal_downsample
        point = point or ResumePoint(0, 0)
        # decoded frames that the window before holds back
        earlier = point.tensors.get(_HELD)
        for start, lq, last in self._segments(first, frames, point.frame):
            here = range(start, start + len(lq))
            z_earlier = self._encode_earlier(start, earlier)
            z_lq = self._encode(start, lq, ratio)
            z = self.sampler.sample(z_lq, here, ratio, z_earlier)
            keep = len(lq) if last else len(lq) - self.overlap
            done, held = 0, []
            out = None  # the last one waits for the frames that are held
            for piece in fade_pieces(earlier, self.coder.decode(z), len(lq)):
                now, later = piece.tensor_split([max(0, keep - done)], dim=2)
                if now.shape[2]:
                    if out is not None:
                        yield Piece(out)
                    out = self._finish(now, lq, start, done)
                if later.shape[2]:
                    held.append(later.float().cpu())
                done += piece.shape[2]
            earlier = torch.cat(held, dim=2) if held else None
            assert out is not None
            after = partial(self._point, start + keep, earlier)
            yield Piece(out, None if last else after)

    def _encode(self, start: int, lq: Tensor, ratio: int) -> Tensor:
        """Encode a window; its last frame stays until latents are whole."""
        frames = lengthen(lq, ratio).split(1)
        clip = torch.cat([self.coder.enlarge(f).cpu() for f in frames])
        z = self.coder.encode(clip, _POSTERIOR, start)
        self.events.progress('encode', start + len(lq), None)
        return z

    def _encode_earlier(
        self, start: int, earlier: Tensor | None
    ) -> Tensor | None:
        """Encode restored frames as the first of the window at `start`."""
        if earlier is None:
            return None
        clip = earlier[0].transpose(0, 1).clamp(-1, 1)
        return self.coder.encode(clip, _EARLIER, start)
