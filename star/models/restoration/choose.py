"""Choosing the options of a restoration for a restorer."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any

from star.models.contracts import Autoencoder, NoiseSchedule, Restorer
from star.models.restoration.limits import Limits, check_start
from star.models.restoration.options import RestoreOptions, check_option
from star.video.tiling import both_axes


def choose_options(
    restorer: Restorer, given: Mapping[str, Any]
) -> RestoreOptions:
    """Put given options over a restorer's own.

    `steps` implies the mode 'normal'. A given `window` or `tile` without its
    overlap gets one that fits.

    Args:
        restorer: whose options are the defaults.
        given: the options that the user chose, by name.

    Raises:
        ValueError: naming the option, the rule and the value.
    """
    used = restorer.options_used
    useless = sorted(set(given) - used)
    if useless:
        raise ValueError(
            f'`{useless[0]}` means nothing to {type(restorer).__name__}, '
            f'which uses {", ".join(sorted(used))}'
        )
    for name, value in given.items():
        check_option(name, value)
    options = replace(
        restorer.restore_options, **{**_implied(restorer, given), **given}
    )
    restorer.check_options(options)
    return options


def _implied(restorer: Restorer, given: Mapping[str, Any]) -> dict[str, Any]:
    """Derive options from those that are given."""
    found: dict[str, Any] = {}
    if 'steps' in given:
        if given.get('mode') == 'fast':
            raise ValueError(
                "`steps` needs the mode 'normal': 'fast' has 14 of its own"
            )
        found['mode'] = 'normal'
    if given.get('window'):
        found['overlap'] = restorer.overlap_for(given['window'])
    if given.get('tile'):
        least = min(both_axes(given['tile']))
        own = restorer.restore_options.tile_overlap
        found['tile_overlap'] = min(own, least // 2)
    return found


def check_fit(
    options: RestoreOptions,
    autoencoder: Autoencoder,
    schedule: NoiseSchedule,
    limits: Limits,
) -> None:
    """Refuse options that a model cannot restore with.

    Args:
        options: of the restoration.
        autoencoder: of the model.
        schedule: of the model.
        limits: of the model's backbone.

    Raises:
        ValueError: naming the option, the rule and the value.
    """
    first, *_ = schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    check_start(limits, first, schedule.start_timestep)
    ratio = autoencoder.temporal_downsample
    if ratio == 1:
        return
    for name in ('window', 'overlap'):
        value = getattr(options, name)
        zero = name == 'overlap' and value == 0
        if value % ratio != 1 and not zero:
            raise ValueError(
                f'`{name}` must be {"0 or " * (name == "overlap")}a multiple '
                f'of {ratio} and 1 more for this model, got {value}'
            )
    for name, only in (('blend', 'smooth'), ('compat', 'none')):
        value = getattr(options, name)
        if value != only:
            raise ValueError(
                f'`{name}` must be {only!r} for a model whose latents stand '
                f'for {ratio} frames, got {value!r}'
            )


def check_model_options(options: RestoreOptions, keeps: bool) -> None:
    """Refuse options that a model which restores frames together lacks.

    Args:
        options: of the restoration.
        keeps: whether its networks keep features from step to step.

    Raises:
        ValueError: naming the option, the rule and the value.
    """
    if options.noise == 'shared':
        raise ValueError(
            "`noise` must be 'per_frame' or 'none' for a model that "
            "restores frames together, got 'shared'"
        )
    if options.cache and not keeps:
        raise ValueError(
            '`cache` must be 0 for a model whose networks keep no '
            f'features, got {options.cache}'
        )
