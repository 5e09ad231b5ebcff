"""Previews: which places are shown, and that they show what is there."""

from fractions import Fraction
from pathlib import Path
from typing import ClassVar

import av
import cv2
import numpy as np
import pytest

from star.apis.inference import preview
from star.apis.inference.preview import (
    PreviewRequest,
    choose_places,
    make_preview,
    side_by_side,
)
from star.apis.inference.restore import FileOptions
from star.video.io import VideoError
from tests.test_apis.clips import Enlarger, read_clip
from tests.test_models.fakes import Listener


def write_film(path: Path, count: int = 100, gop: int = 12) -> Path:
    """Write frames at 25 a second whose grey is four times their index."""
    with av.open(path, 'w') as output:
        stream = output.add_stream('libx264', rate=25)
        stream.width, stream.height, stream.pix_fmt = 32, 24, 'yuv420p'
        stream.options = {'crf': '1', 'g': str(gop)}
        for i in range(count):
            image = np.full((24, 32, 3), 4 * i % 256, np.uint8)
            frame = av.VideoFrame.from_ndarray(image, 'rgb24')
            output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return path


def greys(path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Grey of the right and of the left half of each frame, over four."""
    frames = read_clip(path)[0].astype(float)
    middle = frames.shape[2] // 2
    halves = frames[:, -16:, -16:], frames[:, -16:, middle - 16 : middle]
    right, left = (h.mean(axis=(1, 2, 3)) / 4 for h in halves)
    return right, left


@pytest.mark.parametrize('far', [0, 1000])
def test_places_are_restored_and_shown_beside_the_input(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, far: int
) -> None:
    monkeypatch.setattr(preview, '_FAR', far)  # with seeking, and without
    src = write_film(tmp_path / 'in.mp4')
    request = PreviewRequest(src, tmp_path / 'new' / 'out.mp4', 2, 0.2)
    report = make_preview(Enlarger(), request)
    assert report.path == tmp_path / 'new' / 'out.mp4.preview.mp4'
    assert report.places == (0.9, 2.9)
    assert report.frames == 10
    shown = [*range(23, 28), *range(73 - 64, 78 - 64)]
    for half in greys(report.path):
        np.testing.assert_allclose(half, shown, atol=0.4)
    with av.open(report.path) as container:
        stream = container.streams.video[0]
        assert (stream.width, stream.height) == (256, 96)
        assert stream.average_rate == 25


@pytest.mark.parametrize(('cut', 'scene'), [('25', 25), ('1.04', 26)])
def test_cuts_of_a_file_are_those_of_the_film(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: str, scene: int
) -> None:
    monkeypatch.setattr(preview, '_FAR', 0)
    src = write_film(tmp_path / 'in.mp4')
    cuts = tmp_path / 'cuts.txt'
    cuts.write_text(f'5\n{cut}\n' if '.' not in cut else f'{cut}\n')

    class Counting(Enlarger):
        lengths: ClassVar[list[int]] = []

        def restore_stream(self, frames, options=None, events=None):
            clip = list(frames)
            self.lengths.append(len(clip))
            return super().restore_stream(clip, options, events)

    request = PreviewRequest(src, tmp_path / 'out.mp4', 2, 0.2)
    make_preview(Counting(), request, files=FileOptions(cuts=cuts))
    # the first place shows frames 23 to 27
    assert Counting.lengths == [scene - 23, 28 - scene, 5]


def test_what_a_killed_process_left_is_removed(tmp_path: Path) -> None:
    src = write_film(tmp_path / 'in.mp4', 5)
    out = tmp_path / 'out.mp4'
    left = tmp_path / '.out.mp4.preview.part-0123abcd.mp4'
    left.write_text('')
    make_preview(Enlarger(), PreviewRequest(src, out, 1, 1))
    assert sorted(p.name for p in tmp_path.iterdir()) == [
        'in.mp4',
        'out.mp4.preview.mp4',
    ]


def test_the_time_of_the_whole_is_extrapolated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    now = [0.0]

    class Slow(Enlarger):
        def enlarge(self, frame, scale):
            now[0] += 3 if now[0] else 30  # the first frame warms up
            return super().enlarge(frame, scale)

    monkeypatch.setattr(preview.time, 'perf_counter', lambda: now[0])
    request = PreviewRequest(
        write_film(tmp_path / 'in.mp4'), tmp_path / 'out.mp4', 2, 0.2
    )
    events = Listener()
    report = make_preview(Slow(), request, events=events)
    assert report.seconds == 30 + 9 * 3
    assert report.whole == 100 * 3
    files = FileOptions(frames=50)
    report = make_preview(Slow(), request, files=files)
    assert report.places == (0.4, 1.4) and report.whole == 50 * 3


def test_a_short_clip_is_shown_whole(tmp_path: Path) -> None:
    src = write_film(tmp_path / 'in.mp4', 7)
    request = PreviewRequest(src, tmp_path / 'out.mp4', 3, 2)
    report = make_preview(Enlarger(), request)
    assert (report.places, report.frames) == ((0.0,), 7)
    np.testing.assert_allclose(greys(report.path)[0], range(7), atol=0.4)


@pytest.mark.parametrize(
    ('length', 'count', 'seconds', 'places'),
    [
        (60, 3, 2, [(9, 11), (29, 31), (49, 51)]),
        (60, 1, 1.5, [(29.25, 30.75)]),
        (6, 3, 2, [(0, 6)]),
        (5, 3, 2, [(0, 5)]),
    ],
)
def test_places_are_evenly_spread(
    length: int, count: int, seconds: float, places: list
) -> None:
    found = choose_places(Fraction(length), count, seconds)
    assert [tuple(map(float, place)) for place in found] == places


def test_both_halves_have_the_size_of_the_result() -> None:
    lq = np.random.default_rng(1).integers(0, 256, (60, 80, 3), np.uint8)
    pred = np.full((240, 320, 3), 90, np.uint8)
    image = side_by_side(lq, pred, 62.5)
    large = cv2.resize(lq, (320, 240), interpolation=cv2.INTER_CUBIC)
    assert image.shape == (240, 640, 3)
    np.testing.assert_array_equal(image[60:, :320], large[60:])
    np.testing.assert_array_equal(image[60:, 320:], pred[60:])
    assert (image[:20, 320:400] > 200).any()  # the label
    assert (pred == 90).all()
    odd = side_by_side(lq, np.zeros((45, 63, 3), np.uint8), 0)
    assert odd.shape == (44, 124, 3)
    wide = side_by_side(lq, np.zeros((10, 4000, 3), np.uint8), 0)
    assert wide.shape == (10, 2 * 1920, 3)


def test_errors_leave_no_preview(tmp_path: Path) -> None:
    request = PreviewRequest(
        write_film(tmp_path / 'in.mp4'), tmp_path / 'out.mp4', 1, 1
    )
    with pytest.raises(ValueError, match='gave up'):
        make_preview(Enlarger(fail_after=5), request)
    missing = PreviewRequest(tmp_path / 'no.mp4', tmp_path / 'out.mp4', 1, 1)
    with pytest.raises(VideoError, match='no such file'):
        make_preview(Enlarger(), missing)
    assert [p.name for p in tmp_path.iterdir()] == ['in.mp4']
