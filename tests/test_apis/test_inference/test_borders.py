"""Where segments, windows and tiles meet."""

from itertools import pairwise

import pytest
import torch
from torch import Tensor

from star.apis.inference.borders import Borders, find_borders
from star.apis.inference.load import init_model
from star.models.contracts import Restorer
from star.models.editors.base import Baseline
from star.models.editors.recipe import Recipe
from star.models.restoration import restoration
from star.models.restoration.options import RestoreOptions
from star.models.restoration.segments import segments
from tests.test_apis.clips import Enlarger


def starts(frames: int, size: int, overlap: int) -> list[int]:
    """First frames of the segments that a restoration really cuts."""
    clip = [torch.zeros(1, 1, 1)] * frames
    found = segments(clip[0], iter(clip[1:]), size, overlap)
    return [start for start, _, _ in found]


@pytest.fixture(scope='module')
def tiny() -> Restorer:
    return init_model('tiny', 'random', 'cpu')


class Neighbours(Baseline):
    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        return frames


@pytest.mark.parametrize('frames', [1, 7, 8, 9, 12, 13, 30])
def test_segments_of_a_method_that_needs_neighbours(frames: int) -> None:
    method = Neighbours(Recipe(window=8, overlap=2))
    options = RestoreOptions(window=8, overlap=2)
    found = find_borders(method, options, (32, 24), [0], frames)
    middles = tuple(start + 1 for start in starts(frames, 8, 2)[1:])
    assert found == Borders(segments=middles)


def test_a_method_of_single_frames_has_no_borders() -> None:
    options = RestoreOptions(window=8, overlap=3)
    found = find_borders(Neighbours(Recipe()), options, (32, 24), [0], 30)
    assert found == Borders()


@pytest.mark.parametrize('scenes', [[], [0], [0, 11, 13]])
@pytest.mark.parametrize('frames', [14, 40, 41, 42])
def test_segments_begin_where_they_are_cut(
    tiny: Restorer,
    scenes: list[int],
    frames: int,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 0)
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    options = RestoreOptions(window=8, overlap=4)
    found = find_borders(tiny, options, (32, 24), scenes, frames)
    middles = [
        start + cut + 2
        for start, end in pairwise([*(scenes or [0]), frames])
        for cut in starts(end - start, 8, 4)[1:]
    ]
    assert found == Borders(segments=tuple(middles))


def test_windows_of_a_long_segment(tiny: Restorer) -> None:
    options = RestoreOptions(window=8, overlap=4)
    found = find_borders(tiny, options, (32, 24), [0], 18)
    # [0, 8), [4, 12), [8, 16), and the last one moved back to [10, 18)
    assert found.segments == () and found.windows == (6, 10, 13)


def test_tiles_of_the_output(tiny: Restorer) -> None:
    options = RestoreOptions(tile=(64, 96), tile_overlap=32)
    found = find_borders(tiny, options, (40, 24), [0], 1)
    # in latents of 4 pixels, rows are padded to 26, and a tile has 14:
    # [0, 14), [6, 20), [12, 26); columns [0, 24), [16, 40)
    assert (found.rows, found.columns) == ((40, 64), (80,))


def test_parts_from_outside_have_no_known_borders() -> None:
    found = find_borders(Enlarger(), RestoreOptions(), (40, 24), [0], 99)
    assert found == Borders()
