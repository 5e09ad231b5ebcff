"""The borders between the parts of a result: segments, windows, tiles."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

import torch

from star.apis.inference.planning import is_exact
from star.models.contracts import Restorer
from star.models.editors.base import Baseline
from star.models.editors.network_baseline import NetworkBaseline
from star.models.editors.star.star_model import STARModel
from star.models.restoration.frame_plan import FramePlan, plan_frames
from star.models.restoration.options import RestoreOptions
from star.models.restoration.restoration import segment_size
from star.video.windows import official_windows, plan_windows

Span = tuple[int, int]  # [start, end)


@dataclass(frozen=True)
class Borders:
    """Middles of the overlaps between neighbouring parts.

    Args:
        segments: indices of frames.
        windows: indices of frames, other than those of segments.
        rows: of the output, between tiles.
        columns: of the output, between tiles.
    """

    segments: tuple[int, ...] = ()
    windows: tuple[int, ...] = ()
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()


def find_borders(
    restorer: Restorer,
    options: RestoreOptions,
    size: tuple[int, int],
    scenes: Sequence[int],
    frames: int,
) -> Borders:
    """Work out where the parts of a restored clip meet.

    Args:
        restorer: of the clip; one from outside has no known borders.
        options: of the restoration.
        size: width and height of the input.
        scenes: first frame of each scene, or nothing.
        frames: of the clip.
    """
    if is_exact(restorer, options):
        return Borders()
    spans = list(pairwise([*sorted({0, *scenes}), frames]))
    if isinstance(restorer, STARModel):
        parts = restorer.parts
        frame = torch.empty((3, size[1], size[0]), dtype=torch.uint8)
        plan = plan_frames(frame, options, parts.autoencoder, parts.backbone)
        length = options.window
        if parts.autoencoder.temporal_downsample == 1:
            length = segment_size(parts, options, plan)
        return Borders(
            *_in_time(options, spans, length),
            *_between_tiles(plan, parts.autoencoder.downsample),
        )
    if not isinstance(restorer, Baseline):
        return Borders()
    segments: list[int] = []
    if restorer.recipe.overlap:  # others look at one frame, or remember
        for start, end in spans:
            chain = _chain(end - start, options.window, options.overlap)
            segments += [start + middle for middle in _middles(chain)]
    rows: tuple[int, ...] = ()
    columns: tuple[int, ...] = ()
    if isinstance(restorer, NetworkBaseline) and options.tile:
        output = [round(side * options.scale) for side in reversed(size)]
        tiles = restorer.plan_tiles(output, options)
        rows = _middles((tile.top, tile.bottom) for tile in tiles)
        columns = _middles((tile.left, tile.right) for tile in tiles)
    return Borders(tuple(segments), (), rows, columns)


def _in_time(
    options: RestoreOptions, spans: list[Span], length: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    """Return the borders of segments, and those of windows in them."""
    segments: list[int] = []
    windows: list[int] = []
    overlap = min(options.overlap, length - 1)
    for start, end in spans:
        chain = _chain(end - start, length, overlap)
        segments += [start + middle for middle in _middles(chain)]
        for first, last in chain:
            inner = plan_windows(last - first, options.window, options.overlap)
            if options.compat == 'official':
                inner = official_windows(last - first, options.window)
            windows += [start + first + middle for middle in _middles(inner)]
    return tuple(segments), tuple(sorted(set(windows) - set(segments)))


def _chain(frames: int, size: int, overlap: int) -> list[Span]:
    """Return the segments of a scene; the last one may be shorter."""
    step = size - overlap
    starts = range(0, max(1, frames - overlap), step)
    return [(start, min(start + size, frames)) for start in starts]


def _between_tiles(
    plan: FramePlan, side: int
) -> tuple[tuple[int, ...], tuple[int, ...]]:
    left, _, top, _ = plan.padding
    axes = (
        (_middles((t.top, t.bottom) for t in plan.tiles), top, 0),
        (_middles((t.left, t.right) for t in plan.tiles), left, 1),
    )
    rows, columns = (
        tuple(
            round((middle * side - before) * scale)
            for scale in [plan.output_size[axis] / plan.size[axis]]
            for middle in middles
        )
        for middles, before, axis in axes
    )
    return rows, columns


def _middles(spans: Iterable[Span]) -> tuple[int, ...]:
    """Return the middles of what neighbours share, in order."""
    ordered = sorted(set(spans))
    return tuple((a[1] + b[0]) // 2 for a, b in pairwise(ordered))
