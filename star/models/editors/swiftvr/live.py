"""Restoring of frames whose number is not known, such as a camera's."""

import torch
from torch import Tensor

from star.models.editors.swiftvr.chunks import Chunking
from star.models.editors.swiftvr.clip_run import ClipRun
from star.models.editors.swiftvr.reae import GROUP
from star.models.editors.swiftvr.swiftvr import SwiftVR
from star.models.restoration.options import RestoreOptions


class LiveSession:
    """Restores frames as soon as four have come, as the authors' session.

    The transformer sees the latents of a step and some before, so the result
    depends on how many frames come at a time. Of N frames 4 k + 1 come back:
    up to three are lost at the end. `restore_stream` keeps every frame.

    Args:
        model: with weights.
        context: latents before a step that the transformer sees
            (`dit_overlap`).
        options: of the restoration; None for the model's own.
    """

    def __init__(
        self,
        model: SwiftVR,
        context: int = 1,
        options: RestoreOptions | None = None,
    ) -> None:
        self._model = model
        self._chunking = Chunking(GROUP * max(1, context), context)
        self._options = options or model.restore_options
        self._run: ClipRun | None = None
        self._rest: list[Tensor] = []  # less than four frames

    @torch.inference_mode()
    def step(self, frames: Tensor) -> Tensor | None:
        """Take frames, and restore those that are complete.

        Args:
            frames: (t, 3, h, w) uint8 or uint16, all of one size.

        Returns:
            Restored frames (k, 3, H, W); None where too few have come.
        """
        self._rest += list(frames)
        count = len(self._rest) // GROUP * GROUP
        ready, self._rest = self._rest[:count], self._rest[count:]
        return self._restore(torch.stack(ready)) if ready else None

    @torch.inference_mode()
    def flush(self) -> Tensor | None:
        """Restore the frames that wait; None where there are none."""
        if not self._rest:
            return None
        more = GROUP - len(self._rest)
        ready, self._rest = self._rest + self._rest[-1:] * more, []
        return self._restore(torch.stack(ready))

    def _restore(self, clip: Tensor) -> Tensor:
        begins = self._run is None
        if self._run is None:
            self._run = ClipRun(
                self._model.networks(), clip[0], self._options, self._chunking
            )
        run = self._run
        run.waiting += list(clip)
        out = run.restore(clip, 0 if begins else self._chunking.context)
        pixels = run.finish(out)
        del run.waiting[: len(pixels)]
        return pixels
