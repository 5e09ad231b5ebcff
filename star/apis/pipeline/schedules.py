"""Noise schedules of ours, and the configs of diffusers' schedulers."""

from collections.abc import Mapping
from typing import Any

from star.apis.pipeline.components import STARScheduler

# CogVideoX's schedule in diffusers' words: theirs and ours
_NAMES = {
    'num_train_timesteps': 'num_timesteps',
    'beta_start': 'beta_start',
    'beta_end': 'beta_end',
    'snr_shift_scale': 'shift',
}
_DEFAULTS = {
    'num_timesteps': 1000,
    'beta_start': 0.00085,
    'beta_end': 0.012,
    'shift': 1.0,
}
# what our schedule is, and theirs may be in another way
_FIXED = {
    'beta_schedule': 'scaled_linear',
    'rescale_betas_zero_snr': True,
    'prediction_type': 'v_prediction',
    'timestep_spacing': 'trailing',
    'trained_betas': None,
}
_KNOWN = ('CogVideoXDPMScheduler', 'CogVideoXDDIMScheduler')


def scheduler_of(config: Mapping[str, Any]) -> Any:
    """Make the scheduler that keeps a schedule's config.

    Args:
        config: of a noise schedule.

    Returns:
        diffusers' scheduler for CogVideoX's, `STARScheduler` for others.
    """
    own = {k: v for k, v in config.items() if k != 'type'}
    if config['type'] != 'CogVideoXSchedule' or own.keys() - _DEFAULTS:
        return STARScheduler(dict(config))
    from diffusers import CogVideoXDPMScheduler

    values = {**_DEFAULTS, **own}
    named = {theirs: values[ours] for theirs, ours in _NAMES.items()}
    return CogVideoXDPMScheduler(**named, **_FIXED, clip_sample=False)


def schedule_config(scheduler: Any) -> dict[str, Any]:
    """Return the config of the noise schedule that a scheduler stands for.

    Args:
        scheduler: one that `scheduler_of` makes, or diffusers'
            `CogVideoXDDIMScheduler` with the same noise.

    Raises:
        ValueError: it is of another kind, or has another noise.
    """
    kind = type(scheduler).__name__
    if isinstance(scheduler, STARScheduler):
        return dict(scheduler.config.schedule)
    if kind not in _KNOWN:
        raise ValueError(
            f'`scheduler` must be one of STARScheduler, {", ".join(_KNOWN)}: '
            f'its noise is what the networks were trained with, got {kind}'
        )
    config = scheduler.config
    for name, value in _FIXED.items():
        if config.get(name) != value:
            raise ValueError(
                f'`{name}` of {kind} must be {value!r}, got '
                f'{config.get(name)!r}'
            )
    found = {ours: config[theirs] for theirs, ours in _NAMES.items()}
    return {'type': 'CogVideoXSchedule', **found}
