"""The sampler's current estimate of x0, at each of its evaluations."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from star.models.editors.star.star_model import STARModel
from star.models.restoration.frame_coder import FrameCoder
from star.models.restoration.frame_plan import plan_frames
from star.models.restoration.options import RestoreOptions
from star.models.restoration.restoration import Restoration


@dataclass(frozen=True)
class SamplerStep:
    """One evaluation of the sampler.

    Args:
        t: timestep of the evaluation.
        clip: estimate of the clean clip, (T, 3, H, W) uint8 RGB.
    """

    t: int
    clip: Tensor


@torch.inference_mode()
def restore_steps(
    model: STARModel, lq: Tensor, options: RestoreOptions
) -> Iterator[SamplerStep]:
    """Restore a clip and decode the estimate of x0 of every evaluation.

    Without a colour fix: the last one equals `model.restore` with these
    options and `color_fix` 'none'.

    Args:
        model: in evaluation mode.
        lq: low-quality clip, (T, 3, h, w) uint8 RGB.
        options: of the restoration.

    Yields:
        The evaluations in order, each decoded when it is asked for.

    Raises:
        ValueError: an option or the clip is wrong, or the clip is so long
            that it is restored in segments.
    """
    parts, options = model.parts, replace(options, color_fix='none')
    found: list[tuple[int, Tensor]] = []

    def watch(start: int, t: int, x0: Tensor) -> None:
        if start:
            raise ValueError(
                'the clip must fit into one segment, '
                f'{found[0][1].shape[2]} latents long: take fewer frames'
            )
        found.append((t, x0))

    for _ in Restoration(parts, options, watch=watch).run(iter(lq)):
        pass
    plan = plan_frames(lq[0], options, parts.autoencoder, parts.backbone)
    device = next(parts.backbone.parameters()).device
    coder = FrameCoder(parts.autoencoder, options, plan, device)
    for t, z0 in found:
        x0 = parts.autoencoder.decode(z0, tile=options.tile)
        # a latent of several frames may reach beyond the last one
        yield SamplerStep(t, coder.finish(x0[:, :, : len(lq)], lq))
