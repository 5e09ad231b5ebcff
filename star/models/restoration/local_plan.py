"""The cuts of a clip for a network that sees only a little way."""

import math
from collections.abc import Iterator
from dataclasses import dataclass

import torch

from star.models.layers.areas import cut_strips
from star.models.layers.bands import rows_of_band
from star.video.coder_memory import coder_memory
from star.video.frame_store import bytes_of, kept_in_memory

USUAL_MEMORY, USUAL_PER_PIXEL = 460 * 2**20, 200  # bytes
_TOGETHER = 660 * 2**20  # that a process grows by with an encoder, too
GROWTH = 1.4  # bytes that a process grows by for each one planned; measured
_LONGEST = 100e6  # pixels of a segment, which is lost where a run is killed
CPU = torch.device('cpu')
STRIDE = 32  # frames between the places at which a clip can be taken up
_SEGMENTS = (8, 16, STRIDE)  # frames
_ALWAYS = 24 * 2**20  # bytes that passes take beside
_SHARED = 2  # a band's features before and after a layer, at least


@dataclass(frozen=True)
class LocalNetwork:
    """The sizes of a network, which decide its memory.

    Args:
        dim: channels of its features.
        layers: convolutions of 3x3; it sees as many pixels.
        mixes: of neighbouring frames; it sees as many frames.
        itemsize: bytes of a number.
    """

    dim: int
    layers: int
    mixes: int
    itemsize: int


@dataclass(frozen=True)
class LocalPlan:
    """The cuts of a clip, with the memory and the work that they take.

    The result does not depend on it.

    Args:
        strips: columns of the input; each strip's borders are computed twice.
        segment: frames that are restored at a time, strip by strip; None to
            restore frame after frame, in one strip.
        memory: bytes.
        cost: operations over those of the whole clip at once.
        whole: whether the clip is one segment.
        scratch: bytes of files, at most.
    """

    strips: tuple[range, ...]
    segment: int | None
    memory: int
    cost: float
    whole: bool = False
    scratch: int = 0

    @property
    def in_turn(self) -> bool:
        """Return whether network and encoder take the memory in turn.

        A piece of the result ends with such a segment.
        """
        if self.segment is None:
            return False
        return self.whole or self.segment % STRIDE == 0

    @property
    def waits(self) -> bool:
        """Return whether a file holds features for the next segment."""
        return self.segment is not None and not self.whole


@dataclass(frozen=True)
class LocalLimits:
    """Limits of a plan.

    Args:
        memory: bytes; 0 for a usual number.
        columns: of a strip; 0 for any number.
        segment: frames.
        frames: of the clip; None if they are many or not known.
        device: of the network.
    """

    memory: int = 0
    columns: int = 0
    segment: int = 2**31
    frames: int | None = None
    device: torch.device = CPU


def plan_local(
    network: LocalNetwork,
    size: tuple[int, int],
    out: tuple[tuple[int, int], torch.dtype],
    limits: 'LocalLimits',
) -> LocalPlan:
    """Choose the fastest way that fits into memory, or the smallest.

    Args:
        network: of the method.
        size: height and width of the input.
        out: height and width, and type, of the frames that are kept.
        limits: of the plan.
    """
    plans = list(_plans(network, size, out, limits))
    alone = together = float(limits.memory)
    if not limits.memory:
        alone = USUAL_MEMORY + USUAL_PER_PIXEL * size[0] * size[1]
        together = (_TOGETHER - coder_memory(*out[0], 'libx264')) / GROWTH
    fit = [
        plan
        for plan in plans
        if plan.memory <= (alone if plan.in_turn else together)
    ]
    if not fit:
        return min(plans, key=lambda plan: (plan.memory, plan.cost))
    return min(
        fit,
        key=lambda p: (round(p.cost, 2), p.waits, not p.in_turn, p.memory),
    )


def _plans(
    network: LocalNetwork,
    size: tuple[int, int],
    out: tuple[tuple[int, int], torch.dtype],
    limits: 'LocalLimits',
) -> Iterator[LocalPlan]:
    frames = limits.frames
    least = math.ceil(size[1] / (limits.columns or size[1]))
    most = max(1, min(limits.segment, int(_LONGEST / size[0] / size[1])))
    lengths = {min(most, length) for length in _SEGMENTS}
    if frames is not None:
        lengths = {min(frames, length) for length in lengths}
        if frames <= most:
            lengths.add(frames)
    counts = {max(least, n) for n in (1, 2, 3, 4, 5, 6, 8, 12, 16, 24, 32)}
    for count in sorted(n for n in counts if n <= size[1]):
        strips = tuple(cut_strips(size[1], -(-size[1] // count)))
        widest = min(size[1], max(map(len, strips)) + 2 * network.layers)
        cost = 1 + (len(strips) - 1) * network.layers / size[1]
        taken = _Memory(network, size, out, widest, limits.device)
        if len(strips) == 1:
            yield LocalPlan(strips, None, taken.endless(), cost)
        for length in sorted(lengths):
            whole = frames is not None and length >= frames
            need = taken.segment(length, whole)
            files = taken.files(length, whole, len(strips))
            yield LocalPlan(strips, length, need, cost, whole, files)


@dataclass(frozen=True)
class _Memory:
    """The memory of the ways to go through a strip of a given width."""

    network: LocalNetwork
    size: tuple[int, int]
    out: tuple[tuple[int, int], torch.dtype]
    width: int
    device: torch.device

    def endless(self) -> int:
        """Return the bytes where each stage keeps two whole frames."""
        pair = self._kept(2)
        return self._states() + self._passing(1, 1) + pair

    def segment(self, length: int, whole: bool) -> int:
        """Return the bytes for a segment of `length` frames.

        Args:
            length: frames that are wanted.
            whole: there are no frames around them.
        """
        around = 0 if whole else self.network.mixes
        most = length + 2 * around
        return self._passing(length + around, most) + self._kept(most)

    def files(self, length: int, whole: bool, strips: int) -> int:
        """Return the bytes that wait in files; see `segment`."""
        around = 0 if whole else self.network.mixes
        count, (large, dtype) = length + 2 * around, self.out
        found = 0 if whole else strips * self._states()
        for size, kind in ((self.size, torch.uint8), (large, dtype)):
            number = count * bytes_of(size, kind)
            if number > kept_in_memory(size, kind, count):
                found += number
        return found

    def _states(self) -> int:
        """Return the bytes of two frames of a strip for each mix."""
        net = self.network
        pixels = self.size[0] * self.width
        return 2 * net.mixes * pixels * net.dim * net.itemsize

    def _passing(self, usual: int, most: int) -> int:
        """Return the bytes of line buffers and of bands."""
        net = self.network
        row = self.width * net.dim * net.itemsize
        rows = rows_of_band(self.width, self.device, most)
        rows = min(self.size[0], rows + net.layers // 2)
        numbers = 2 * net.layers * usual + _SHARED * rows * (most + 2)
        return _ALWAYS + row * numbers

    def _kept(self, count: int) -> int:
        """Return the bytes of the input and of the result."""
        size, dtype = self.out
        here = kept_in_memory(self.size, torch.uint8, count)
        return here + kept_in_memory(size, dtype, count)
