"""Profiles have the pixels of the files, in the right coordinates."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.report.profiles import Line, draw_profiles, read_profile
from tests.test_report.made import FRAMES, SIZE, frames, save_frames


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return save_frames(tmp_path / 'clip', frames())


def test_row(clip: Path):
    line = Line(False, 20, 30, 40).fit(SIZE)
    found = read_profile(clip, SIZE, line, 100)
    assert np.array_equal(found, frames()[:, 20, 30:70])


def test_column(clip: Path):
    line = Line(True, 50).fit(SIZE)
    found = read_profile(clip, SIZE, line, 3)
    assert np.array_equal(found, frames()[:3, :, 50].swapaxes(0, 1))


def test_smaller_clips_are_enlarged(tmp_path: Path):
    small = save_frames(tmp_path / 'small', frames(), 4)
    line = Line(False, 20).fit(SIZE)
    found = read_profile(small, SIZE, line, 100)
    assert found.shape == (FRAMES, SIZE[1], 3)
    image = Image.fromarray(frames()[0, ::4, ::4])
    whole = image.resize(SIZE[::-1], Image.Resampling.BICUBIC)
    assert np.array_equal(found[0], np.asarray(whole)[20])


@pytest.mark.parametrize(
    ('line', 'message'),
    [
        (Line(False, 64), '`row` must lie between 0 and 63, got 64'),
        (Line(True, -1), '`column` must lie between 0 and 95, got -1'),
        (Line(False, 0, 90, 7), 'pixels 90 to 96 of a row must lie'),
        (Line(True, 0, 64), 'pixels 64 to 63 of a column must lie'),
        (Line(True, 0, 0, 0), 'pixels 0 to -1 of a column must lie'),
    ],
)
def test_lines_outside(line: Line, message: str):
    with pytest.raises(ValueError, match=message):
        line.fit(SIZE)


@pytest.mark.parametrize('vertical', [False, True])
def test_drawing(vertical: bool):
    line = Line(vertical, 20, 10, 30).fit(SIZE)
    shape = (30, FRAMES, 3) if vertical else (FRAMES, 30, 3)
    pixels = np.random.default_rng(0).integers(256, size=shape)
    profile = pixels.astype(np.uint8)
    image = Image.fromarray(frames()[0])
    figure = draw_profiles(image, line, {'a': profile, 'b': 255 - profile})
    panels = {panel.get_title(): panel for panel in figure.axes}
    name = 'column 20' if vertical else 'row 20'
    assert set(panels) == {name, 'a', 'b'}
    (mark,) = panels[name].lines
    ends = [(20, 10), (20, 39)] if vertical else [(10, 20), (39, 20)]
    assert [tuple(point) for point in mark.get_xydata()] == ends
    (shown,) = panels['b'].images
    assert np.array_equal(shown.get_array(), 255 - profile)
    # the first pixel's centre is at `start`, the first frame's at 0
    across, times = (9.5, 39.5), (-0.5, FRAMES - 0.5)
    expected = (*times, *across[::-1]) if vertical else (*across, *times[::-1])
    assert tuple(shown.get_extent()) == expected
