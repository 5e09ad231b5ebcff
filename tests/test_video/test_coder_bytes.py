"""Bytes of a result do not depend on what memory held before."""

import ctypes
import platform
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from star.video.io import VideoWriter

SHOWN = 60
_PERTURB = -6  # glibc's M_PERTURB: fills memory that is given out

pytestmark = pytest.mark.skipif(
    platform.libc_ver()[0] != 'glibc', reason='needs glibc'
)


@pytest.fixture
def fill() -> Iterator[object]:
    """Yield what fills memory that is given out with a byte."""
    mallopt = ctypes.CDLL(None).mallopt
    yield lambda byte: mallopt(_PERTURB, byte)
    mallopt(_PERTURB, 0)


def write(path: Path, codec: str) -> bytes:
    chance = np.random.default_rng(0)
    small = (SHOWN // 4 + 17, SHOWN // 2 + 25, 3)
    coarse = chance.integers(0, 255, small, np.uint8)
    scene = coarse.repeat(4, 0).repeat(4, 1)
    with VideoWriter(path, 96, 64, codec=codec) as writer:
        for i in range(SHOWN):  # it moves, so that blocks are seen for long
            image = np.ascontiguousarray(scene[i : i + 64, 2 * i : 2 * i + 96])
            writer.write(image, Fraction(i, 25), Fraction(1, 25))
    return path.read_bytes()


@pytest.mark.parametrize('codec', ['libx264', 'libx265', 'libvpx-vp9'])
def test_what_memory_held_does_not_matter(tmp_path, codec, fill):
    results = []
    for byte in (77, 200):
        fill(byte)
        results.append(write(tmp_path / f'{byte}.mkv', codec))
    assert results[0] == results[1]
