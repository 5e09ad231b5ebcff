"""`Method`: a restorer that shares its device with ComfyUI's models."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

import torch

from star.apis.inference.devices import find_model_dtype
from star.apis.inference.load import init_model
from star.apis.inference.out_of_memory import is_out_of_memory
from star.apis.inference.savings import OFF, Savings
from star.models.contracts import Restorer

from . import host

_ADVICE = (
    'out of memory: smaller pieces need less; give `tile` (such as 512) or a '
    'smaller `window`'
)


@dataclass(frozen=True)
class Method:
    """A restorer with its weights; between runs they rest.

    Args:
        restorer: of clips.
        device: where it computes.
        dtype: of its networks' weights.
        moves: whether all weights go to the device for a run and leave it
            afterwards; not if `savings` have placed them.
    """

    restorer: Restorer = field(repr=False)  # ComfyUI prints inputs in errors
    device: torch.device
    dtype: torch.dtype
    moves: bool

    @contextmanager
    def at_work(self) -> Iterator[Restorer]:
        """Lend the restorer on its device, with the device's memory free.

        Raises:
            MemoryError: memory ran out; in one line.
        """
        host.make_room()
        try:
            with outside(), in_one_line():
                if self.moves:
                    self.restorer.place(self.device, self.dtype)
                yield self.restorer
        finally:
            with outside():
                self.rest()

    def rest(self) -> None:
        """Leave the device to others."""
        if self.moves:
            self.restorer.place(host.find_resting_device(), self.dtype)
        host.give_room_back()


def load_method(
    config: str, weights: str, dtype: str | None, savings: Savings
) -> Method:
    """Load a method as `star restore` does, and let it rest.

    Args:
        config: name of a config.
        weights: as for `init_model`, or a name below `models/star`; '' for
            those that the config names.
        dtype: of the networks' weights; None for what suits the device.
        savings: of memory.

    Raises:
        ValueError: an argument is wrong, a file is missing or unfit.
        ImportError: the method needs an extra that is not installed.
        MemoryError: memory ran out; in one line.
    """
    device = host.find_device()
    named = host.find_weights(weights) if weights else None
    host.make_room()
    with outside(), in_one_line():
        restorer = init_model(config, named, device, dtype, savings)
        found = find_model_dtype(restorer, dtype, device)
        method = Method(restorer, device, found, savings == OFF)
        method.rest()
    return method


@contextmanager
def outside() -> Iterator[None]:
    """Leave the inference mode that ComfyUI runs nodes in.

    Weights that are made or moved in it could not be used outside, and the
    library decides by itself where it computes gradients.
    """
    with torch.inference_mode(False):
        yield


@contextmanager
def in_one_line() -> Iterator[None]:
    """Say a user's mistake, and that memory ran out, in one line."""
    try:
        yield
    except Exception as error:
        if is_out_of_memory(error):
            raise MemoryError(_ADVICE) from None
        lines = [line.strip() for line in str(error).splitlines()]
        if isinstance(error, ValueError | OSError) and len(lines) > 1:
            raise ValueError('; '.join(lines)) from None
        raise
