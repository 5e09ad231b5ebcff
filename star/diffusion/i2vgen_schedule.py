"""I2VGen-XL's noise schedule: cosine log-SNR with zero terminal SNR.

The log-SNR is shifted for resolution by a scale that is interpolated over
time.
"""

import math

import torch
from torch import Tensor

from star.diffusion.schedule import Schedule
from star.diffusion.timesteps import (
    OFFICIAL_START,
    fast_timesteps,
    normal_timesteps,
)
from star.registry import MODELS
from star.utils.checks import check_least


def logsnr_cosine_interp(
    num_timesteps: int,
    scale_min: float,
    scale_max: float,
    logsnr_min: float,
    logsnr_max: float,
) -> Tensor:
    """Compute sigma of the interpolated cosine log-SNR schedule.

    It runs in float32 on the CPU, as in the training of the released
    weights: where sigma is nearly 1, its rounding decides alpha, and float64
    would move alpha by up to 3e-5.

    Returns:
        Sigma, (num_timesteps,) float32, increasing to exactly 1.

    Source: Hoogeboom et al., "simple diffusion", Eq. 4 and section 3.1; zero
    terminal SNR: Lin et al., "Common Diffusion Noise Schedules".
    """
    u = torch.linspace(0, 1, num_timesteps, dtype=torch.float32, device='cpu')
    angle_min = math.atan(math.exp(-logsnr_max / 2))
    angle_max = math.atan(math.exp(-logsnr_min / 2))
    cosine = -2 * torch.log(torch.tan(angle_min + u * (angle_max - angle_min)))
    low, high = (cosine - 2 * math.log(s) for s in (scale_min, scale_max))
    sigma = torch.sqrt(torch.sigmoid(-(u * high + (1 - u) * low)))
    first, last = sigma[0].item(), sigma[-1].item()
    return first + (sigma - first) * ((1 - first) / (last - first))


@MODELS.register_module(name=['I2VGenSchedule', 'NoiseSchedule'])
class I2VGenSchedule(Schedule):
    """The noise schedule of I2VGen-XL and of STAR on it.

    Args:
        num_timesteps: number of training timesteps, >= 2.
        scale_min: resolution scale that shifts the log-SNR at t = 0, > 0.
        scale_max: resolution scale at the last timestep, > 0.
        logsnr_min: log-SNR before the shift at the last timestep.
        logsnr_max: log-SNR before the shift at t = 0, > logsnr_min.

    Raises:
        ValueError: an argument is out of range.
    """

    start_timestep = OFFICIAL_START  # where a restoration begins

    def __init__(
        self,
        num_timesteps: int = 1000,
        scale_min: float = 2.0,
        scale_max: float = 4.0,
        logsnr_min: float = -15.0,
        logsnr_max: float = 15.0,
    ) -> None:
        check_least('num_timesteps', num_timesteps, 2)
        if min(scale_min, scale_max) <= 0:
            raise ValueError(
                '`scale_min` and `scale_max` must be positive, got '
                f'{scale_min} and {scale_max}'
            )
        if logsnr_min >= logsnr_max:
            raise ValueError(
                '`logsnr_min` must be less than `logsnr_max`, got '
                f'{logsnr_min} and {logsnr_max}'
            )
        sigma = logsnr_cosine_interp(
            num_timesteps, scale_min, scale_max, logsnr_min, logsnr_max
        )
        super().__init__(torch.sqrt(1 - sigma.square()), sigma)

    def list_timesteps(
        self, mode: str, steps: int, strength: float
    ) -> list[float]:
        """List the timesteps that a restoration visits.

        Args:
            mode: 'fast' or 'normal', the two lists of the official code.
            steps: number of evaluations in mode 'normal', at most one per
                timestep.
            strength: first timestep divided by 899, (0, 1].

        Returns:
            Decreasing timesteps; some are fractional.
        """
        start = round(self.start_timestep * strength)
        if mode == 'fast':
            return fast_timesteps(start)
        return normal_timesteps(min(steps, start + 1), start)
