"""Restoring of a clip that is in memory as a whole."""

import torch
from torch import Tensor

from star.models.contracts import Events, Restorer
from star.models.data_preprocessor import PEAKS
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions


def restore_whole(
    restorer: Restorer,
    lq: Tensor,
    options: RestoreOptions | None,
    events: Events | None,
) -> Tensor:
    """Restore a clip through a restorer's stream.

    Args:
        restorer: of which `restore_stream` is used.
        lq: low-quality clip, (T, 3, h, w) uint8 or uint16 RGB, T >= 1;
            unchanged.
        options: None for the restorer's own.
        events: receives progress, with the total, and notes.

    Returns:
        Restored clip, (T, 3, H, W) of the type of `lq`, on the CPU.

    Raises:
        ValueError: an option or the clip's shape is wrong.
    """
    if lq.ndim != 4 or lq.dtype not in PEAKS or not len(lq):
        raise ValueError(
            '`lq` must be (T, 3, h, w) uint8 or uint16 with T >= 1, got '
            f'{tuple(lq.shape)} {lq.dtype}'
        )
    relay = EventRelay(events, len(lq))
    return torch.cat(list(restorer.restore_stream(lq, options, relay)))
