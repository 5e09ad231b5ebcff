"""Random items by number: each depends on a seed and its number alone."""

import numpy as np
from numpy.random import Generator


class RandomItems:
    """Maps item numbers 0, 1, 2, ... to clips and to random generators.

    The items of one epoch visit every clip once, in an order of their own.
    An item depends on the seed and its number alone: not on workers or
    ranks, and not on where a training was resumed.

    Args:
        num_clips: number of clips in one epoch, >= 1.
        seed: of the order and of all generators, >= 0.

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

    def clip(self, number: int) -> int:
        """Return the clip of an item, in [0, num_clips).

        Raises:
            ValueError: `number` is negative.
        """
        epoch, position = divmod(_checked(number), self.num_clips)
        if epoch != self._epoch:
            # the third word keeps this generator apart from those of `rng`
            generator = np.random.default_rng((self.seed, epoch, 1))
            self._order = generator.permutation(self.num_clips)
            self._epoch = epoch
        return int(self._order[position])

    def rng(self, number: int) -> Generator:
        """Make the generator for everything random in an item.

        Raises:
            ValueError: `number` is negative.
        """
        return np.random.default_rng((self.seed, _checked(number)))


def _checked(number: int) -> int:
    if number < 0:
        raise ValueError(f'`number` must be >= 0, got {number}')
    return int(number)
