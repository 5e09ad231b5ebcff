"""Pictures of a preview, and the video of input and result."""

import cv2
import numpy as np
import pytest

from star.app.pictures import make_comparison, read_places
from star.video.io import VideoReader
from tests.test_app.servers import make_clip


def test_places_are_the_middles_of_thirds(tmp_path):
    path = make_clip(tmp_path / 'preview.mp4', 9)
    with VideoReader(path) as reader:
        frames = [frame.image for frame in reader.frames()]
    for (left, right), number in zip(
        read_places(path), (1, 4, 7), strict=True
    ):
        assert np.array_equal(np.hstack([left, right]), frames[number])
        assert left.shape == right.shape


def test_one_frame_is_every_place(tmp_path):
    pairs = read_places(make_clip(tmp_path / 'preview.mp4', 1))
    assert len(pairs) == 3
    assert np.array_equal(pairs[0][0], pairs[2][0])


@pytest.mark.slow
def test_comparison_shows_both_in_step(tmp_path):
    src = make_clip(tmp_path / 'a.mp4', 6)
    dst = make_clip(tmp_path / 'b.mp4', 6, 128)
    out = tmp_path / 'c.mp4'
    make_comparison(src, dst, out)
    with VideoReader(out) as both, VideoReader(dst) as right:
        pairs = zip(both.frames(), right.frames(), strict=True)
        for shown, frame in pairs:
            assert shown.image.shape == (96, 256, 3)
            assert shown.time == frame.time
            # below the labels
            difference = cv2.absdiff(shown.image[48:, 128:], frame.image[48:])
            assert difference.mean() < 4
    stamp = out.stat().st_mtime_ns
    make_comparison(src, dst, out)  # is done already
    assert out.stat().st_mtime_ns == stamp


@pytest.mark.slow
def test_a_result_that_cannot_be_read_has_a_line(tmp_path):
    src = make_clip(tmp_path / 'a.mp4', 2)
    with pytest.raises(
        ValueError, match=r'^the comparison cannot be made: \S+none.mp4'
    ):
        make_comparison(src, tmp_path / 'none.mp4', tmp_path / 'c.mp4')
    assert not (tmp_path / 'c.mp4').exists()
