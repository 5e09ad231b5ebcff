"""A short last window begins with frames of the one before."""

import pytest
import torch

from star.models.editors.base import FrameWindow
from star.models.editors.dove.pieces import shift_back
from star.models.restoration.segments import segments


@pytest.mark.parametrize('frames', [1, 8, 9, 10, 15, 16, 17, 30, 31])
def test_windows_are_full(frames: int):
    clip = torch.arange(frames).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    windows = [
        FrameWindow(piece, last, start)
        for start, piece, last in segments(clip[0], iter(clip[1:]), 9, 2)
    ]
    seen = []
    for window, more, before in shift_back(iter(windows), 9, 2):
        numbers = window.clip[:, 0, 0, 0].tolist()
        assert numbers == [*range(window.start, numbers[-1] + 1)]
        assert len(numbers) == min(9, frames)
        assert len(before) == (0 if window.last else 7)
        seen += numbers[more + (2 if seen else 0) :]
    assert seen == list(range(frames))


def test_it_goes_on_from_frames_that_were_kept():
    clip = torch.arange(12).view(-1, 1, 1, 1).expand(-1, 3, 1, 1)
    last = FrameWindow(clip[9:], True, 9)
    ((window, more, _),) = shift_back(iter([last]), 9, 2, clip[2:9])
    assert (window.start, more) == (3, 6)
    assert torch.equal(window.clip, clip[3:])
    ((window, more, _),) = shift_back(iter([last]), 9, 2, clip[8:9])
    assert (window.start, more) == (8, 1)
