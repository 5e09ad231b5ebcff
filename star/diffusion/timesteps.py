"""Decreasing lists of the timesteps that samplers visit."""

from star.utils.checks import check_least

OFFICIAL_START = 899
# Official 'fast' mode: steps of 100 to 500, then 11 steps of 501 / 11, the
# last of which is dropped.
_FAST_GRID = (
    *(899.0 - 100 * i for i in range(4)),
    *(500 - 501 / 11 * i for i in range(10)),
)
# Grid points nearer than this to the start are skipped: a tiny first step
# costs an evaluation and disturbs the multistep extrapolation.
_FAST_MIN_GAP = 20


def fast_timesteps(start: int = OFFICIAL_START) -> list[float]:
    """List the timesteps of the official 'fast' mode.

    Args:
        start: first timestep, in [0, 999]. At 899 the list is the official
            one with 14 evaluations; otherwise it is `start` and the official
            points at least 20 below it.

    Returns:
        Decreasing timesteps. Some are fractional: the sampler uses them as
        they are, the network gets them rounded.

    Raises:
        ValueError: `start` is out of range.
    """
    _check_start(start)
    rest = [t for t in _FAST_GRID if start - t >= _FAST_MIN_GAP]
    return [float(start), *rest]


def normal_timesteps(steps: int, start: int = OFFICIAL_START) -> list[float]:
    """List `steps` evenly spaced timesteps, the official 'normal' mode.

    Args:
        steps: number of evaluations, >= 1.
        start: first timestep, in [0, 999].

    Returns:
        Decreasing timesteps, (start + 1) / (steps + 1) apart.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_start(start)
    check_least('steps', steps, 1)
    return [start - i * (start + 1) / (steps + 1) for i in range(steps)]


def truncated_timesteps(steps: int, start: int = 999) -> list[float]:
    """List `steps` evenly spaced whole timesteps, as CogVideoX does.

    Args:
        steps: number of evaluations, from 1 to `start`; 1 if `start` is 0.
        start: first timestep, in [0, 999].

    Returns:
        Decreasing whole timesteps, rounded down.

    Raises:
        ValueError: an argument is out of range.
    """
    _check_start(start)
    if not 1 <= steps <= max(start, 1):
        raise ValueError(
            f'`steps` must lie in [1, {max(start, 1)}], got {steps}'
        )
    # numpy's operations in numpy's order: whole multiples must stay whole
    return [float(int(start + i * (-start / steps))) for i in range(steps)]


def _check_start(start: int) -> None:
    if not 0 <= start <= 999:
        raise ValueError(f'`start` must lie in [0, 999], got {start}')
