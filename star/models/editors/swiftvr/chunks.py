"""SwiftVR's cuts of a clip in time, and what a piece needs of the others."""

import math
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import islice

from torch import Tensor

from star.models.editors.swiftvr.reae import GROUP


@dataclass(frozen=True)
class Chunk:
    """Consecutive frames that the transformer sees at once.

    Args:
        first: the clip begins with it.
        last: the clip ends with it.
        frames: of the clip that are read; a short chunk repeats its newest.
        groups: of four frames, each of which becomes a latent.
    """

    first: bool
    last: bool
    frames: int
    groups: int


@dataclass(frozen=True)
class Chunking:
    """The rule by which clips are cut.

    Args:
        length: frames of a chunk, a multiple of 4; the first has 4 more.
        context: latents of the chunk before that one in the middle sees.

    Raises:
        ValueError: a value is out of range.
    """

    length: int = 24
    context: int = 0

    def __post_init__(self) -> None:
        if self.length < GROUP or self.length % GROUP:
            raise ValueError(
                f'`clip_len` must be a multiple of {GROUP} of at least '
                f'{GROUP}, got {self.length}'
            )
        most = self.length // GROUP
        if not 0 <= self.context <= most:
            raise ValueError(
                f'`context` must be at least 0 and at most {most}, the '
                f'latents of a chunk, got {self.context}'
            )

    @property
    def most_context(self) -> int:
        """Return how many latents a chunk needs of those before, at most."""
        return self.length // GROUP

    def context_of(self, chunk: Chunk) -> int:
        """Return how many latents before it a chunk sees.

        With them the last chunk is as long as the first.
        """
        if chunk.last:
            return self.length // GROUP + 1 - chunk.groups
        return 0 if chunk.first else self.context


def wanted_frames(length: int, first: bool) -> int:
    """Return how many frames are to be read for the next chunk.

    Args:
        length: frames of a chunk.
        first: the clip begins with it; it has a group more.
    """
    return length + GROUP if first else length


def next_chunk(found: int, length: int, first: bool) -> Chunk:
    """Plan a chunk of the frames that were found.

    A clip of 4 k + 1 frames is cut as by the authors; any other is prolonged
    to such a length. Whether a chunk is the last is known from its own
    frames.

    Args:
        found: frames, up to `wanted_frames`; 0 where only the lag is left.
        length: frames of a chunk, a multiple of 4.
        first: the clip begins with it.
    """
    wanted = wanted_frames(length, first)
    if found >= wanted - 2:
        return Chunk(first, False, found, wanted // GROUP)
    more = max(0, math.ceil((found - 1) / GROUP))
    return Chunk(first, True, found, more + 1)


def read_chunks(
    frames: Iterator[Tensor], length: int, first: bool = True
) -> Iterator[tuple[Chunk, list[Tensor]]]:
    """Read a clip chunk by chunk.

    Args:
        frames: of the clip, or of the rest of it.
        length: frames of a chunk, a multiple of 4.
        first: the clip begins here.

    Yields:
        Chunks, and their frames.
    """
    while True:
        found = list(islice(frames, wanted_frames(length, first)))
        chunk = next_chunk(len(found), length, first)
        yield chunk, found
        if chunk.last:
            return
        first = False
