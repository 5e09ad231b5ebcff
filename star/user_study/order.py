"""In which order a participant sees the clips, and where which method is."""

import random
from collections.abc import Sequence
from dataclasses import dataclass


@dataclass(frozen=True)
class Screen:
    """What one participant sees at one time.

    Args:
        clip: index of the clip.
        methods: indices of the methods, first the one in the first place.
    """

    clip: int
    methods: tuple[int, ...]


def plan_screens(
    seed: int, number: int, clips: int, methods: int
) -> list[Screen]:
    """Shuffle the clips, and the methods within each, for one participant.

    Args:
        seed: of the study.
        number: of the participant; each has an order of its own.
        clips: how many there are.
        methods: how many there are.

    Returns:
        One screen for each clip, in the order of showing.
    """
    draw = random.Random(f'{seed}/{number}')
    order = _shuffled(draw, range(clips))
    return [
        Screen(clip, tuple(_shuffled(draw, range(methods)))) for clip in order
    ]


def _shuffled(draw: random.Random, items: Sequence[int]) -> list[int]:
    return draw.sample(items, len(items))
