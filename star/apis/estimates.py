"""What the sampler takes the clean clip for, at each of its evaluations."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from star.diffusion.samplers import SAMPLERS, Denoise, Noise
from star.diffusion.schedule import Schedule
from star.models.data_preprocessor import to_uint8
from star.models.frame_plan import plan_frames
from star.models.star_model import STARModel
from star.structures import RestoreOptions

Note = Callable[[int, Tensor], None]


@dataclass(frozen=True)
class Estimate:
    """The clean clip as one evaluation sees it.

    Args:
        t: timestep of the evaluation.
        clip: (T, 3, H, W) uint8 RGB.
    """

    t: int
    clip: Tensor


@torch.inference_mode()
def restore_estimates(
    model: STARModel, lq: Tensor, options: RestoreOptions
) -> Iterator[Estimate]:
    """Restore a clip and decode the estimate of x0 of every evaluation.

    The last one is what `model.restore` gives with these options and no
    colour fix; none is applied here.

    Args:
        model: in evaluation mode.
        lq: low-quality clip, (T, 3, h, w) uint8 RGB.
        options: how to restore.

    Yields:
        Estimates in the order of the evaluations, decoded one by one.

    Raises:
        ValueError: an option or the clip is wrong, or the clip is so long
            that it is restored in segments.
    """
    options = replace(options, color_fix='none')
    found: list[tuple[int, Tensor]] = []
    with watch_sampler(options.sampler, lambda t, x0: found.append((t, x0))):
        model.restore(lq, options)
    plan = plan_frames(lq[0], options, model.autoencoder, model.backbone)
    for t, z0 in found:
        x0 = model.autoencoder.decode(z0, tile=options.tile)
        # a latent of several frames may reach beyond the last one
        frames = x0[0].transpose(0, 1)[: len(lq)]
        yield Estimate(t, to_uint8(plan.crop(frames)).cpu())


@contextmanager
def watch_sampler(name: str, note: Note) -> Iterator[None]:
    """Tell of every estimate of a sampler for a while.

    The sampler's entry in `SAMPLERS` is replaced meanwhile, for all threads.

    Args:
        name: of the sampler.
        note: called with the timestep and x0, (1, C, T, h, w), after each
            evaluation.

    Raises:
        ValueError: there is no such sampler, or it is started again: the
            clip is restored in segments.
    """
    if name not in SAMPLERS:
        raise ValueError(f'`name` must be in {list(SAMPLERS)}, got {name!r}')
    original = SAMPLERS[name]
    runs: list[int] = []

    def sample(
        denoise: Denoise,
        x: Tensor,
        timesteps: Sequence[float],
        schedule: Schedule,
        noise: Noise,
    ) -> Tensor:
        def watched(x_t: Tensor, t: int) -> Tensor:
            x0 = denoise(x_t, t)
            note(t, x0)
            return x0

        if runs:
            raise ValueError(
                'the clip must fit into one segment, '
                f'{runs[0]} latents long: take fewer frames'
            )
        runs.append(x.shape[2])
        return original(watched, x, timesteps, schedule, noise)

    SAMPLERS[name] = sample
    try:
        yield
    finally:
        SAMPLERS[name] = original
