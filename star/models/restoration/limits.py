"""The noise levels and scales that a backbone was trained for."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Limits:
    """The noise levels and the scale that a backbone was trained for.

    Attributes:
        max_timestep: the noisiest; None for all.
        scale: output size over input size; at others the restored clip is
            resized. None for any.
    """

    max_timestep: int | None = None
    scale: float | None = None


def check_start(limits: Limits, first: float, start: int) -> None:
    """Refuse a restoration that begins with more noise than was trained.

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
            f'which was trained with no more noise, got {first / start:.3g}'
        )
