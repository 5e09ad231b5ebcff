"""Endless indices for a training data set, distributed over ranks."""

from collections.abc import Iterator, Sized
from itertools import count

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from star.registry import STOCK


@STOCK['DATA_SAMPLERS'].register_module()
class DrawSampler(Sampler):
    """Yields the numbers start + r, start + r + W, ... on rank r of W.

    For B clips per rank, all ranks together take the indices
    [k B W, (k + 1) B W) at iteration k. The data set derives each clip from
    the index and its own seed, so a resumed run that starts at a later index
    gets the same clips as an uninterrupted one.

    Args:
        dataset: its length only defines an epoch; indices never end.
        seed: given by the Runner and not used: the data set has its own.
        start: the first index of all ranks, >= 0.

    Raises:
        ValueError: `start` is negative.
    """

    def __init__(
        self, dataset: Sized, seed: int | None = None, start: int = 0
    ) -> None:
        if start < 0:
            raise ValueError(f'`start` must not be negative, got {start}')
        self.rank, self.world_size = get_dist_info()
        self.dataset = dataset
        self.start = start

    def __iter__(self) -> Iterator[int]:
        return count(self.start + self.rank, self.world_size)

    def __len__(self) -> int:
        """Return the length of an epoch on this rank, for mmengine's loops."""
        return -(-len(self.dataset) // self.world_size)

    def position(self, num_batches: int, batch_size: int) -> int:
        """Return the first index that no rank has taken yet.

        Args:
            num_batches: number of batches that each rank has taken.
            batch_size: number of clips in a batch on one rank.
        """
        return self.start + num_batches * batch_size * self.world_size
