"""Which clips a model can be trained on: frames, height and width."""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from torch import nn


@dataclass(frozen=True)
class NumberRule:
    """Numbers k * multiple + remainder, k >= 0, that are at least `least`."""

    multiple: int = 1
    remainder: int = 0
    least: int = 1

    def fits(self, number: int) -> bool:
        """Return whether a number follows the rule."""
        whole = number % self.multiple == self.remainder
        return whole and number >= self.least

    def nearest(self, number: int) -> list[int]:
        """Return the next number below, if there is one, and two above."""
        step, first = self.multiple, self.least
        first += (self.remainder - first) % step
        above = max(first, number + (self.remainder - number) % step)
        below = [above - step] if above - step >= first else []
        return [*below, above, above + step]

    def scaled(self, factor: int) -> 'NumberRule':
        """Return the rule of numbers that are `factor` times as large."""
        return NumberRule(
            self.multiple * factor,
            self.remainder * factor,
            self.least * factor,
        )

    def both(self, other: 'NumberRule') -> 'NumberRule | None':
        """Return the rule of numbers that follow two; None if none does."""
        step = math.lcm(self.multiple, other.multiple)
        for number in range(self.remainder, step, self.multiple):
            if number % other.multiple == other.remainder:
                least = max(self.least, other.least)
                return NumberRule(step, number, least)
        return None

    def describe(self, number: int) -> str:
        """Describe the rule to somebody who broke it with a number."""
        nearest = self.nearest(number)
        examples = ', '.join(map(str, nearest[:-1])) + f' or {nearest[-1]}'
        if number % self.multiple == self.remainder:
            return f'at least {nearest[0]}, e.g. {examples}, got {number}'
        more = f'{self.remainder} more than ' if self.remainder else ''
        return (
            f'{more}a multiple of {self.multiple}, e.g. {examples}, got '
            f'{number}'
        )


@dataclass(frozen=True)
class ClipRule:
    """The clips that a model can be trained on.

    Args:
        num_frames: rule of the frames of a clip.
        sides: rules of height and width, in pixels of the ground truth.
        pixels: of a latent's side.
        scale: the low-quality clip is enlarged by it, to that size.
        why: the parts that make the rule, for messages.
        window: the DecodeWindow of losses on pixels; None without them.
    """

    num_frames: NumberRule
    sides: tuple[NumberRule, NumberRule]
    pixels: int
    scale: int
    why: str
    window: Any = None


def clip_rule(model: nn.Module) -> ClipRule | None:
    """Derive from a model's parts which clips it can be trained on.

    The parts are the `autoencoder` and the `backbone` of the model, or of a
    module in it; a `controlnet` may have the attributes of a backbone too.
    They need no weights.

    Args:
        model: a STARModel, or one of its kind from outside.

    Returns:
        The rule; None for a model without these parts.
    """
    found = next(filter(None, map(_parts_of, model.modules())), None)
    if found is None:
        return None
    owner, autoencoder, networks = found
    side, ratio = autoencoder.downsample, autoencoder.temporal_downsample
    height, width = (_latent_rule(networks, axis) for axis in (0, 1))
    preprocessor = getattr(model, 'data_preprocessor', None)
    parts = [autoencoder, *networks]
    return ClipRule(
        NumberRule(ratio, 1 % ratio),
        (height.scaled(side), width.scaled(side)),
        side,
        getattr(preprocessor, 'scale', 1),
        ' and '.join(dict.fromkeys(type(part).__name__ for part in parts)),
        _window(owner),
    )


def _parts_of(owner: nn.Module) -> tuple[nn.Module, Any, list[Any]] | None:
    """Return a module with its autoencoder and networks, if it has them."""
    autoencoder = getattr(owner, 'autoencoder', None)
    parts = (getattr(owner, name, None) for name in ('backbone', 'controlnet'))
    networks = [part for part in parts if hasattr(part, 'size_multiple')]
    if not hasattr(autoencoder, 'downsample') or not networks:
        return None
    return owner, autoencoder, networks


def _window(owner: nn.Module) -> Any:
    objective = getattr(owner, 'objective', None)
    if len(getattr(objective, 'on_pixels', ())):
        return getattr(objective, 'window', None)
    return None


def _latent_rule(networks: Sequence[Any], axis: int) -> NumberRule:
    """Return the rule of the latents' height (0) or width (1)."""
    rule = NumberRule()
    for network in networks:
        multiple = network.size_multiple[axis]
        remainder = network.size_remainder[axis]
        found = rule.both(NumberRule(multiple, remainder, multiple))
        if found is None:
            raise ValueError('backbone and ControlNet take no common size')
        rule = found
    return rule
