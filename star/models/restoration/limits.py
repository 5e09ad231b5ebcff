"""What a network has been trained for, where that is not everything."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Limits:
    """What a backbone can restore.

    Attributes:
        max_timestep: the noisiest that it knows; None for all.
        scale: output size over input size; at others the restored clip is
            resized. None for any.
    """

    max_timestep: int | None = None
    scale: float | None = None


def limits_of(backbone: Any) -> Limits:
    """Read a backbone's `limits`; none where it states none."""
    return getattr(backbone, 'limits', Limits())


def check_start(limits: Limits, first: float, start: int) -> None:
    """Refuse a restoration that begins with more noise than is known.

    Args:
        limits: of the backbone.
        first: timestep at which the restoration begins.
        start: timestep that a `strength` of 1 stands for.

    Raises:
        ValueError: `first` is above the limit.
    """
    most = limits.max_timestep
    if most is not None and round(first) > most:
        raise ValueError(
            f'`strength` must be at most {most / start:.3g} for this model, '
            f'which knows no more noise, got {first / start:.3g}'
        )
