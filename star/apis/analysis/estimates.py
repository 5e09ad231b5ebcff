"""What the sampler takes the clean clip for, at each of its evaluations."""

from collections.abc import Iterator
from dataclasses import dataclass, replace

import torch
from torch import Tensor

from star.models.data_preprocessor import to_uint8
from star.models.editors.star.star_model import STARModel
from star.models.restoration.frame_plan import plan_frames
from star.models.restoration.options import RestoreOptions
from star.models.restoration.restoration import Restoration


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

    def watch(start: int, t: int, x0: Tensor) -> None:
        if start:
            raise ValueError(
                'the clip must fit into one segment, '
                f'{found[0][1].shape[2]} latents long: take fewer frames'
            )
        found.append((t, x0))

    for _ in Restoration(model.parts, options, watch=watch).run(iter(lq)):
        pass
    plan = plan_frames(lq[0], options, model.autoencoder, model.backbone)
    for t, z0 in found:
        x0 = model.autoencoder.decode(z0, tile=options.tile)
        # a latent of several frames may reach beyond the last one
        frames = x0[0].transpose(0, 1)[: len(lq)]
        yield Estimate(t, to_uint8(plan.crop(frames)).cpu())
