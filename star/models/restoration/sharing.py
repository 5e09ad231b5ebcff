"""A restoration's work in the processes that only help.

The leader cuts a clip into windows and tiles, adds them up and decodes. Each
call below is done by one process alone, so the result has the same bytes for
any number of processes.
"""

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from star.models.restoration.events import EventRelay
from star.models.restoration.frame_coder import FrameCoder
from star.models.restoration.frame_plan import plan_frames
from star.models.restoration.guided_velocity import GuidedVelocity
from star.models.restoration.options import RestoreOptions
from star.models.restoration.parts import ModelParts


def is_shared(restorer: object) -> bool:
    """Return whether a restorer can share its work.

    It then has `team`, the other processes or None, and `make_helper()`,
    which makes what does the leader's calls in another process.
    """
    return getattr(restorer, 'shares_work', False)


class RestorationHelper:
    """Does the calls of a `Restoration` that another process leads.

    Args:
        parts: of the model, equal in all processes.
    """

    def __init__(self, parts: ModelParts) -> None:
        self.parts = parts
        self.calls: dict[str, Callable] = {'begin': self.begin}

    @torch.inference_mode()
    def __call__(self, name: str, args: tuple) -> Any:
        """Do a call."""
        return self.calls[name](*args)

    def begin(self, options: RestoreOptions, frame: Tensor) -> None:
        """Prepare for a scene.

        Args:
            options: of the restoration.
            frame: of the clip, (3, h, w).
        """
        parts = self.parts
        plan = plan_frames(frame, options, parts.autoencoder, parts.backbone)
        velocity = GuidedVelocity(parts, options, EventRelay())
        coder = FrameCoder(parts.autoencoder, options, plan, velocity.device)
        self.calls |= {'velocity': velocity, 'encode': coder.encode_frame}
        decode = getattr(parts.autoencoder, 'decode_part', None)
        if decode is not None:
            self.calls['decode'] = decode
