"""Bytes of a result do not depend on how many cores there are."""

import os
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from star.video.io import VideoWriter

pytestmark = pytest.mark.skipif(
    not hasattr(os, 'sched_setaffinity') or len(os.sched_getaffinity(0)) < 2,
    reason='needs two cores that a process can leave',
)


@pytest.fixture
def one_core() -> Iterator[set[int]]:
    """Let this process use all cores again."""
    cores = os.sched_getaffinity(0)
    yield {min(cores)}
    os.sched_setaffinity(0, cores)


def write(path: Path, codec: str) -> bytes:
    chance = np.random.default_rng(0)
    with VideoWriter(path, 160, 256, codec=codec) as writer:
        for i in range(6):
            image = chance.integers(0, 255, (256, 160, 3), dtype=np.uint8)
            writer.write(image, Fraction(i, 25), Fraction(1, 25))
    return path.read_bytes()


@pytest.mark.parametrize('codec', ['libx264', 'libx265'])
def test_one_core_and_several(
    tmp_path: Path, codec: str, one_core: set[int]
) -> None:
    several = write(tmp_path / 'several.mp4', codec)
    os.sched_setaffinity(0, one_core)
    assert write(tmp_path / 'one.mp4', codec) == several
