"""ResShift's diffusion, Yue et al. 2023: from a sharp picture to a poor one.

x_t = x0 + eta_t (y - x0) + kappa sqrt(eta_t) noise goes from x0 to the
picture y that is to be restored, so a few steps lead back.
"""

import math
from collections.abc import Callable, Sequence

from torch import Tensor

from star.utils.checks import check_least

Predict = Callable[[Tensor, int], Tensor]
Noise = Callable[[int], Tensor]
KAPPA = 2.0
_LAST, _POWER = 0.99, 0.3


def shift_levels(steps: int, min_noise: float) -> list[float]:
    """Compute eta_t, how far x_t has gone from x0 to y.

    Args:
        steps: T >= 2.
        min_noise: kappa sqrt(eta_0), of the first step, in (0, 0.99).

    Returns:
        eta_0 to eta_(T-1), increasing from (min_noise / kappa)^2 to 0.98.

    Raises:
        ValueError: an argument is out of range.

    Source: Yue et al. 2023, arXiv 2307.12348, geometric growth of sqrt(eta)
    with the power 0.3 of the time.
    """
    check_least('steps', steps, 2)
    if not 0 < min_noise < _LAST:
        raise ValueError(
            f'`min_noise` must lie between 0 and {_LAST}, got {min_noise}'
        )
    first = min_noise / KAPPA
    times = [t / (steps - 1) for t in range(steps)]
    return [(first * (_LAST / first) ** s**_POWER) ** 2 for s in times]


def posterior(etas: Sequence[float], t: int) -> tuple[float, float, float]:
    """Compute the distribution of x_(t-1), given x_t and x0.

    Args:
        etas: result of `shift_levels`.
        t: step, 0 to T - 1.

    Returns:
        Weights of x_t and of x0 in the mean, and the variance.
    """
    eta, before = etas[t], etas[t - 1] if t else 0.0
    share = before / eta
    return share, 1 - share, KAPPA**2 * share * (eta - before)


def input_scale(eta: float) -> float:
    """Return the factor that gives x_t about the spread of a picture."""
    return 1 / math.sqrt(KAPPA**2 * eta + 1)


def sample_residual_shift(
    predict: Predict, y: Tensor, etas: Sequence[float], noise: Noise
) -> Tensor:
    """Restore y, from t = T - 1 to 0.

    Args:
        predict: (scaled x_t, t) -> x0, not clamped.
        y: picture or latent to be restored, float32 or better.
        etas: result of `shift_levels`.
        noise: k -> standard normal noise like y: 0 for the start, then
            1 to T - 1 for the steps that are followed by another. The
            official code draws one more, which it does not use.

    Returns:
        x0 of the last step, like y.
    """
    x = y + KAPPA * math.sqrt(etas[-1]) * noise(0)
    for number, t in enumerate(reversed(range(len(etas))), 1):
        x0 = predict(x * input_scale(etas[t]), t)
        if t == 0:
            break
        of_x, of_x0, variance = posterior(etas, t)
        x = of_x * x + of_x0 * x0 + math.sqrt(variance) * noise(number)
    return x0
