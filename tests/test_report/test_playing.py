"""The video of all versions shows each frame of each at its place."""

import base64
from pathlib import Path

import numpy as np
import pytest

from star.report.frames import ClipVersion
from star.report.playing import PlayedClip, make_played_clip
from star.video.io import VideoError, VideoReader
from tests.test_report import made

SIZE = 50, 70  # no multiple of the blocks of 16
COLOURS = [(200, 40, 40), (40, 200, 40), (40, 40, 200)]


def flat_clip(colour: tuple[int, int, int], count: int) -> np.ndarray:
    """Draw flat frames that grow lighter by 4 levels each."""
    clip = np.empty((count, *SIZE, 3), np.uint8)
    for i, frame in enumerate(clip):
        frame[:] = np.array(colour) + 4 * i
    return clip


def versions(folder: Path, counts: list[int]) -> list[ClipVersion]:
    found = []
    for colour, count in zip(COLOURS, counts, strict=True):
        name = f'{colour}'
        path = made.save_frames(folder / name, flat_clip(colour, count))
        found.append(ClipVersion(name, path))
    return found


def decode(folder: Path, clip: PlayedClip) -> list[np.ndarray]:
    head, code = clip.url.split(',')
    assert head == 'data:video/mp4;base64'
    path = folder / 'made.mp4'
    path.write_bytes(base64.b64decode(code))
    with VideoReader(path) as reader:
        return [frame.image.astype(int) for frame in reader]


def test_versions_lie_in_a_grid(tmp_path: Path):
    made_clip = make_played_clip(
        versions(tmp_path, [6, 6, 6]), SIZE, 5, 640, 10.0
    )
    assert (made_clip.columns, made_clip.size) == (2, SIZE)
    assert (made_clip.cell, made_clip.frames) == ((64, 80), 5)
    assert made_clip.fps == 10
    sheets = decode(tmp_path, made_clip)
    assert [sheet.shape for sheet in sheets] == [(128, 160, 3)] * 5
    for i, sheet in enumerate(sheets):
        for k, colour in enumerate(COLOURS):
            top, left = (k // 2) * 64, (k % 2) * 80
            tile = sheet[top : top + 50, left : left + 70]
            # the encoder smoothes the borders of its blocks
            error = np.abs(tile - (np.array(colour) + 4 * i))
            assert error.mean() < 1.5 and error[4:, 4:].max() < 8


def test_the_shortest_version_ends_it(tmp_path: Path):
    clip = make_played_clip(versions(tmp_path, [6, 4, 5]), SIZE, 9, 640, None)
    assert (clip.frames, clip.fps) == (4, 25)
    assert len(decode(tmp_path, clip)) == 4


def test_large_and_odd_clips(tmp_path: Path):
    clip = make_played_clip(versions(tmp_path, [2, 2, 2]), SIZE, 2, 35, 25)
    assert (clip.size, clip.cell) == ((24, 34), (32, 48))
    clip = make_played_clip(versions(tmp_path, [2, 2, 2]), (51, 71), 2, 99, 25)
    assert clip.size == (50, 70)


def test_the_same_frames_give_the_same_video(tmp_path: Path):
    found = versions(tmp_path, [3, 3, 3])
    first, second = (
        make_played_clip(found, SIZE, 3, 640, 25) for _ in range(2)
    )
    assert first == second


def test_damaged_versions(tmp_path: Path):
    found = versions(tmp_path, [3, 3, 3])
    next(found[1].path.iterdir()).write_bytes(b'no image')
    with pytest.raises(VideoError):
        make_played_clip(found, SIZE, 3, 640, 25)
