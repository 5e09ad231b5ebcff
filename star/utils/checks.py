"""Checks of options that many parts have."""

from collections.abc import Iterable, Mapping


def check_choice(name: str, value: object, choices: Iterable[str]) -> None:
    """Refuse a word that is not one of the choices.

    Args:
        name: of the option, for the message.
        value: of the option.
        choices: the words that it may have.

    Raises:
        ValueError: naming the option, the choices and the value.
    """
    choices = tuple(choices)
    if value not in choices:
        raise ValueError(
            f'`{name}` must be one of {", ".join(choices)}, got {value!r}'
        )


def check_least(name: str, value: int, least: int = 0) -> int:
    """Return a number; refuse one that is too small.

    Args:
        name: of the option, for the message.
        value: of the option.
        least: that it may have.

    Raises:
        ValueError: `value` is below `least`.
    """
    if value < least:
        raise ValueError(f'`{name}` must be at least {least}, got {value}')
    return value


def check_share(name: str, value: float) -> None:
    """Refuse a share or probability that does not lie in [0, 1].

    Args:
        name: of the option, for the message.
        value: of the option.

    Raises:
        ValueError: naming the option and the value.
    """
    if not 0 <= value <= 1:
        raise ValueError(f'`{name}` must lie in [0, 1], got {value}')


def check_factors(factors: Mapping[str, float]) -> None:
    """Refuse factors below zero.

    Args:
        factors: the options by their names, for the message.

    Raises:
        ValueError: naming the first such option and its value.
    """
    for name, value in factors.items():
        if not value >= 0:
            raise ValueError(f'`{name}` must not be negative, got {value}')
