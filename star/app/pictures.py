"""Pictures and players of a job: places of its preview, the comparison."""

from collections.abc import Iterator
from pathlib import Path

import numpy as np

from star.app.processes import run_module
from star.video.io import VideoReader

PLACES = 3  # of a preview
MOST = 1500  # frames of a comparison: a minute of 25 a second


def read_places(preview: Path) -> list[tuple[np.ndarray, np.ndarray]]:
    """Return a frame of each place of a preview: input and result.

    Args:
        preview: that `star restore --preview` wrote, two halves beside one
            another.
    """
    with VideoReader(preview) as reader:
        count = sum(1 for _ in reader.frames())
    wanted = [(2 * i + 1) * count // (2 * PLACES) for i in range(PLACES)]
    with VideoReader(preview) as reader:
        found = dict(_pick(reader, set(wanted)))
    return [_halves(found[number]) for number in wanted]


def make_comparison(src: Path, dst: Path, out: Path) -> None:
    """Write input and result side by side, unless it is done.

    Another process does it, so that its memory is free afterwards.

    Args:
        src: the input.
        dst: the result.
        out: the video.

    Raises:
        ValueError: the other process has failed.
    """
    if out.is_file():
        return
    words = map(str, (src, dst, out))
    run_module('star.app.comparison', *words, what='comparison')


def _pick(
    reader: VideoReader, wanted: set[int]
) -> Iterator[tuple[int, np.ndarray]]:
    for number, frame in enumerate(reader.frames()):
        if number in wanted:
            yield number, frame.image


def _halves(image: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    middle = image.shape[1] // 2
    return image[:, :middle], image[:, middle:]
