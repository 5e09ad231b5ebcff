"""Pure diffusion maths: schedule, samplers, guidance."""

from star.diffusion.guidance import guide
from star.diffusion.samplers import (
    SAMPLERS,
    fast_timesteps,
    normal_timesteps,
    official_start,
    sample_ddim,
    sample_dpmpp_2m_sde,
    sample_heun,
)
from star.diffusion.schedule import NoiseSchedule

__all__ = [
    'SAMPLERS',
    'NoiseSchedule',
    'fast_timesteps',
    'guide',
    'normal_timesteps',
    'official_start',
    'sample_ddim',
    'sample_dpmpp_2m_sde',
    'sample_heun',
]
