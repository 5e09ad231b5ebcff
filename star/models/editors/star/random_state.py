"""Random numbers of training, which depend on a clip's seed alone."""

from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True)
class AxisCrop:
    """A random crop of an axis, decoded with a margin.

    Attributes:
        decoded: the crop with its margin, within the axis.
        kept: the crop, within `decoded`.
    """

    decoded: slice
    kept: slice

    def pixels(self, factor: int) -> tuple[slice, slice]:
        """Return the crop in pixels, within the clip and within `decoded`.

        Args:
            factor: pixels of a latent's side.
        """
        first, size = self.kept.start, self.kept.stop - self.kept.start
        return tuple(
            slice(start * factor, (start + size) * factor)
            for start in (self.decoded.start + first, first)
        )  # type: ignore[return-value]


class ClipRandom:
    """Random numbers of one clip in one training step.

    They depend on the seed alone, not on the batch or the rank. The posterior
    has a generator of its own, so that cached latents leave timestep and
    noise as they were.

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

    def crop(self, length: int, size: int | None, margin: int = 0) -> AxisCrop:
        """Draw a crop of an axis.

        Args:
            length: of the axis.
            size: of the crop, at most `length`; None for all.
            margin: decoded on both sides. At an end of the axis it lies on
                the other side, so that all crops are decoded at one size.
        """
        size = length if size is None else min(size, length)
        start = self.integer(length - size + 1)
        whole = min(size + 2 * margin, length)
        first = min(max(start - margin, 0), length - whole)
        return AxisCrop(
            slice(first, first + whole),
            slice(start - first, start - first + size),
        )
