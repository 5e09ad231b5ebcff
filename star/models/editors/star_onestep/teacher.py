"""A teacher's restoration of a clip's latents, with states of its path."""

from dataclasses import replace

import torch
from torch import Tensor

from star.models.contracts import Events
from star.models.restoration.guided_velocity import GuidedVelocity, Place
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts
from star.models.restoration.segment_sampler import SegmentSampler
from star.structures import TeacherPath
from star.video.tiling import Tile

State = tuple[int, Tensor, Tensor]  # t, x_t and the guided velocity


@torch.no_grad()
def teach(
    parts: ModelParts,
    options: RestoreOptions,
    z_lq: Tensor,
    points: int,
    events: Events,
) -> TeacherPath:
    """Restore low-quality latents, and keep states of the way.

    The denoiser sees the whole clip at once, as in training: there are
    neither windows nor tiles.

    Args:
        parts: of the teacher, in evaluation mode.
        options: of the restoration; its seed is that of the noise.
        z_lq: (C, T, h, w).
        points: states to keep, >= 1, evenly spread over the evaluations; the
            first and the last are among them if there are two or more.
        events: receives progress and notes.

    Returns:
        The path, on the CPU, without `no_text`.
    """
    _, length, height, width = z_lq.shape
    options = replace(options, window=max(options.window, length), tile=0)
    guided = GuidedVelocity(parts, options, events)
    states: list[State] = []

    def velocity(x_t: Tensor, lq: Tensor, t: int, place: Place) -> Tensor:
        v = guided(x_t, lq, t, place)
        states.append((t, x_t[0].clone(), v[0].float().cpu()))
        return v

    whole = Tile(0, height, 0, width, torch.ones(height, width))
    sampler = SegmentSampler(
        parts.schedule, velocity, options, [whole], events
    )
    ratio = parts.autoencoder.temporal_downsample
    frames = range(1 + (length - 1) * ratio)
    z0 = sampler.sample(z_lq[None].float().cpu(), frames, ratio, None)
    kept = [states[i] for i in spread_indices(len(states), points)]
    t, x_t, v = zip(*kept, strict=True)
    stacked = torch.stack(x_t), torch.stack(v)
    return TeacherPath(z0[0], list(t), *stacked, options.seed)


def spread_indices(length: int, count: int) -> list[int]:
    """Choose up to `count` of `length` indices, evenly, with both ends.

    Args:
        length: of a list, >= 1.
        count: >= 1; one is the middle.
    """
    if count == 1:
        return [length // 2]
    count = min(count, length)
    if count == 1:
        return [0]
    return [round(i * (length - 1) / (count - 1)) for i in range(count)]
