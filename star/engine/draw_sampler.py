"""Endless draw numbers for a training data set, shared out over ranks."""

from collections.abc import Iterator, Sized
from itertools import count

from mmengine.dist import get_dist_info
from torch.utils.data import Sampler

from star.registry import STOCK


@STOCK['DATA_SAMPLERS'].register_module()
class DrawSampler(Sampler):
    """Yields the numbers start + r, start + r + W, ... on rank r of W.

    The batches that all ranks take together at iteration k are then the draws
    [k B W, (k + 1) B W) for B clips per rank, whatever B and W are. What a
    draw means, the data set decides from its seed alone, so that a run that
    begins at a later draw sees what an uninterrupted one sees.

    Args:
        dataset: its length is not used: draws never end.
        seed: handed over by the Runner, not used: the data set has its own.
        start: the first draw of all ranks, >= 0.

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
        """Length of one epoch on this rank: the stock loops ask for it."""
        return -(-len(self.dataset) // self.world_size)

    def position(self, num_batches: int, batch_size: int) -> int:
        """Compute the first draw that no rank has taken yet.

        Args:
            num_batches: batches that each rank has taken.
            batch_size: clips of a batch on one rank.
        """
        return self.start + num_batches * batch_size * self.world_size
