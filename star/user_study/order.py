"""Random order of the clips and of their versions for each participant."""

import random
from dataclasses import dataclass


@dataclass(frozen=True)
class Screen:
    """One clip as a participant sees it.

    Args:
        clip: index of the clip.
        methods: indices of the methods in the order of their positions.
    """

    clip: int
    methods: tuple[int, ...]


def plan_screens(
    seed: int, number: int, clips: int, methods: int
) -> list[Screen]:
    """Shuffle the clips, and the methods of each, for one participant.

    Args:
        seed: of the study.
        number: of the participant; each one has another order.
        clips: number of clips.
        methods: number of methods.

    Returns:
        One screen for each clip, in the order of the participant.
    """
    generator = random.Random(f'{seed}/{number}')
    return [
        Screen(clip, tuple(generator.sample(range(methods), methods)))
        for clip in generator.sample(range(clips), clips)
    ]
