"""The one restore path: from a stream of frames to restored pieces."""

from collections.abc import Iterator
from dataclasses import replace

import torch
from torch import Tensor

from star.models.contracts import Events
from star.models.layers.offloading import device_of
from star.models.restoration.choose import check_fit
from star.models.restoration.events import EventRelay
from star.models.restoration.fidelity import with_fidelity
from star.models.restoration.frame_coder import FrameCoder
from star.models.restoration.frame_plan import FramePlan, plan_frames
from star.models.restoration.guided_velocity import GuidedVelocity
from star.models.restoration.local_strategy import LocalStrategy, is_local
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.models.restoration.resuming import Piece, ResumePoint
from star.models.restoration.segment_sampler import SegmentSampler, Watch
from star.models.restoration.strategies import (
    FrameStrategy,
    GroupStrategy,
    SegmentStrategy,
)
from star.utils.distributed import Team, spread_over

SEGMENT_BYTES = 64 * 2**20  # of the latents that a sampler holds, or
WEIGHT_SHARE = 0.05  # this share of the weights' size, if that is more
SAMPLER_COPIES = 10  # x, x0, v, noise, low quality, ... and temporaries


class Restoration:
    """Restores one clip with the parts of a model.

    Args:
        parts: in evaluation mode while `run` is used.
        options: of the restoration; checked here.
        events: receives progress and notes.
        watch: as for `SegmentSampler`.
        team: processes that share the work; None for none.

    Raises:
        ValueError: the parts cannot restore with these options.
    """

    def __init__(
        self,
        parts: ModelParts,
        options: RestoreOptions,
        events: Events | None = None,
        watch: Watch | None = None,
        team: Team | None = None,
    ) -> None:
        limits = parts.backbone.limits
        check_fit(options, parts.autoencoder, parts.schedule, limits)
        if options.compat == 'official':
            options = replace(options, blend='cut', upsample='bilinear')
        self.parts = parts
        self.options = options
        self.events = events or EventRelay()
        self.watch = watch
        self.team = team

    @torch.inference_mode()
    def run(
        self, frames: Iterator[Tensor], point: ResumePoint | None = None
    ) -> Iterator[Piece]:
        """Restore all frames.

        Args:
            frames: (3, h, w) uint8 or uint16 RGB each, all of one size.
            point: where an earlier run stopped; `frames` begins there.

        Yields:
            Consecutive pieces of the result.

        Raises:
            ValueError: a frame's shape is wrong.
        """
        device = device_of(self.parts.backbone)

        def restore(frames: Iterator[Tensor]) -> Iterator[Piece]:
            first = next(frames, None)
            if first is not None:
                yield from self._strategy(first).restore(first, frames, point)

        fidelity = self.options.fidelity
        yield from with_fidelity(restore, frames, fidelity, point, device)

    def _strategy(self, frame: Tensor) -> SegmentStrategy | LocalStrategy:
        """Build the strategy for a clip whose first frame this is."""
        parts, options, events = self.parts, self.options, self.events
        plan = plan_frames(frame, options, parts.autoencoder, parts.backbone)
        velocity = GuidedVelocity(parts, options, events)
        coder = FrameCoder(parts.autoencoder, options, plan, velocity.device)
        if is_local(parts, options) and self.watch is None:
            if self.team is not None:
                events.note('this model works in one process only')
            return LocalStrategy(parts, options, coder, events)
        if self.team is not None:
            self.team.tell('begin', options, frame)
            coder.share(self.team)
        sampler = SegmentSampler(
            parts.schedule,
            velocity,
            options,
            plan.tiles,
            events,
            self.watch,
            spread_over(self.team, 'velocity'),
        )
        size, overlap = options.window, options.overlap
        if parts.autoencoder.temporal_downsample > 1:
            return GroupStrategy(coder, sampler, size, overlap, events)
        size = segment_size(parts, options, plan)
        overlap = min(overlap, size - 1)
        return FrameStrategy(coder, sampler, size, overlap, events)


def segment_size(
    parts: ModelParts, options: RestoreOptions, plan: FramePlan
) -> int:
    """Choose how many frames are held in memory at once.

    Args:
        parts: of the restoration; a latent stands for one frame.
        options: of the restoration; a segment has at least one window.
        plan: sizes of the frames.
    """
    if options.compat == 'official':
        return 2**31  # the whole clip
    rows, columns = plan.latent_size
    channels = parts.autoencoder.latent_channels
    per_frame = 4 * channels * rows * columns * SAMPLER_COPIES
    weights = sum(p.nbytes for p in parts.backbone.parameters())
    budget = max(SEGMENT_BYTES, int(weights * WEIGHT_SHARE))
    return max(options.window, budget // per_frame)
