"""Pure diffusion maths: noise schedules, samplers and guidance."""

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.guidance import dynamic_guidance, guide
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.diffusion.samplers import (
    SAMPLERS,
    official_start,
    sample_cogvideox,
    sample_ddim,
    sample_dpmpp_2m_sde,
    sample_heun,
)
from star.diffusion.timesteps import (
    fast_timesteps,
    normal_timesteps,
    truncated_timesteps,
)

__all__ = [
    'SAMPLERS',
    'CogVideoXSchedule',
    'I2VGenSchedule',
    'dynamic_guidance',
    'fast_timesteps',
    'guide',
    'normal_timesteps',
    'official_start',
    'sample_cogvideox',
    'sample_ddim',
    'sample_dpmpp_2m_sde',
    'sample_heun',
    'truncated_timesteps',
]
