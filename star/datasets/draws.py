"""Training items by draw number: what is seen does not depend on who draws."""

import numpy as np
from numpy.random import Generator


class Draws:
    """Maps draw numbers 0, 1, 2 ... to clips and to random generators.

    Draws of one epoch visit every clip once, in an order of their own. What
    a draw gives depends on the seed and the number alone: not on workers or
    ranks, nor on where a run was resumed.

    Args:
        num_clips: clips of one epoch, >= 1.
        seed: of all draws, >= 0.

    Raises:
        ValueError: an argument is out of range.
    """

    def __init__(self, num_clips: int, seed: int) -> None:
        if num_clips < 1:
            raise ValueError(f'`num_clips` must be >= 1, got {num_clips}')
        if seed < 0:
            raise ValueError(f'`seed` must be >= 0, got {seed}')
        self.num_clips = num_clips
        self.seed = seed
        self._epoch = -1
        self._order = np.arange(0)

    def clip(self, draw: int) -> int:
        """Tell which clip a draw gives, in [0, num_clips).

        Raises:
            ValueError: `draw` is negative.
        """
        epoch, position = divmod(_checked(draw), self.num_clips)
        if epoch != self._epoch:
            # the third word keeps this generator apart from those of `rng`
            generator = np.random.default_rng((self.seed, epoch, 1))
            self._order = generator.permutation(self.num_clips)
            self._epoch = epoch
        return int(self._order[position])

    def rng(self, draw: int) -> Generator:
        """Make the generator of all that is random in a draw.

        Raises:
            ValueError: `draw` is negative.
        """
        return np.random.default_rng((self.seed, _checked(draw)))


def check_probability(name: str, value: float) -> None:
    """Check that an argument lies in [0, 1].

    Raises:
        ValueError: it does not.
    """
    if not 0 <= value <= 1:
        raise ValueError(f'`{name}` must lie in [0, 1], got {value}')


def _checked(draw: int) -> int:
    if draw < 0:
        raise ValueError(f'`draw` must be >= 0, got {draw}')
    return int(draw)
