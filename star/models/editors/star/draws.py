"""The random numbers of training: they depend on a clip's seed alone."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class Span:
    """A stretch of an axis: what is decoded, and what of that is kept."""

    decoded: slice
    kept: slice

    def pixels(self, factor: int) -> tuple[slice, slice]:
        """Return what is kept, within the clip and within what is decoded.

        Args:
            factor: pixels of a latent's side.
        """
        first, size = self.kept.start, self.kept.stop - self.kept.start
        return tuple(
            slice(start * factor, (start + size) * factor)
            for start in (self.decoded.start + first, first)
        )  # type: ignore[return-value]


class Draws:
    """The random numbers of one clip in one training step.

    They depend on its seed alone, not on the batch or the rank, and those
    for one purpose not on those for another: cached latents, for instance,
    leave timestep and noise as they were.

    Args:
        seed: None draws one from the global random state.
        device: where noise is drawn; devices draw different noise.

    Attributes:
        posterior: the generator for the autoencoder's posterior.
    """

    def __init__(self, seed: int | None, device: torch.device) -> None:
        if seed is None:
            seed = int(torch.randint(2**31, ()))
        # Whole numbers are drawn on the CPU: nothing waits for the device.
        self._whole = torch.Generator().manual_seed(seed)
        self._noise = torch.Generator(device)
        self._noise.manual_seed(self.integer(2**62))
        self.posterior = torch.Generator(device)
        self.posterior.manual_seed(self.integer(2**62))

    def integer(self, below: int) -> int:
        """Draw a whole number from 0 to `below` - 1."""
        return int(torch.randint(below, (), generator=self._whole))

    def noise(self, shape: torch.Size) -> Tensor:
        """Draw standard normal noise, float32, on the device."""
        source = self._noise
        return torch.randn(shape, generator=source, device=source.device)

    def span(self, length: int, size: int | None, margin: int = 0) -> Span:
        """Draw where a stretch of an axis lies.

        Args:
            length: of the axis.
            size: of the stretch; None for all. At most `length`.
            margin: decoded on both sides. At an end of the axis it lies on
                the other side, so that all stretches are of one size.
        """
        size = length if size is None else min(size, length)
        start = self.integer(length - size + 1)
        whole = min(size + 2 * margin, length)
        first = min(max(start - margin, 0), length - whole)
        return Span(
            slice(first, first + whole),
            slice(start - first, start - first + size),
        )
