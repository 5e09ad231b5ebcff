"""Tests of star.video.cut_files: lists of cuts, and what is wrong in them."""

import numpy as np
import pytest

from star.video.cut_files import load_cuts
from star.video.cuts import split_scenes
from star.video.info import VideoError
from tests.test_video.scenes import as_frames

SCENES = """\
Timecode List:,00:00:00.320,00:00:00.800
Scene Number,Start Frame,Start Timecode,Start Time (seconds),End Frame
1,1,00:00:00.000,0.000,8
2,9,00:00:00.320,0.320,20
3,21,00:00:00.800,0.800,30
"""


def write(tmp_path, text):
    path = tmp_path / 'cuts.txt'
    path.write_text(text)
    return path


def find(path, start=0, count=30):
    frames = as_frames(np.zeros((count - start, 2, 2, 3), np.uint8), start)
    pairs = split_scenes(frames, path, start)
    return [i for i, (_, is_cut) in enumerate(pairs, start) if is_cut]


@pytest.mark.parametrize(
    'text',
    [
        '8\n20\n',
        '# two cuts\n\n0\n  8 \n20',
        '0.32\n0.8\n',
        '0.32s\n0:00.80\n',
        '00:00:00.320\n00:00:00.800',
        '8\n0.8',
        '0.33\n0.79\n',  # the nearest frames
        SCENES,
        SCENES.split('\n', 1)[1],
    ],
)
def test_cuts_are_read(tmp_path, text):
    path = write(tmp_path, text)
    assert find(path) == [0, 8, 20]
    assert find(path, start=8) == [8, 20]
    assert find(path, start=9) == [9, 20]


@pytest.mark.parametrize(
    ('text', 'message'),
    [
        ('8\neight\n', "line 2.*'eight'"),
        ('-3\n', "line 1.*'-3'"),
        ('8\n\n5\n', 'line 3.*rise.*5 after 8'),
        ('8\n8\n', 'line 2.*rise'),
        ('0.8\n0.32\n', 'line 2.*rise'),
        ('1:75.0\n', 'line 1'),
        (SCENES.replace('3,21', '3,x'), "line 5.*Start Frame.*'x'"),
        (SCENES.replace('3,21', '3,0'), 'line 5.*from 1'),
    ],
)
def test_wrong_lines_are_named(tmp_path, text, message):
    with pytest.raises(VideoError, match=message) as caught:
        load_cuts(write(tmp_path, text))
    assert '\n' not in str(caught.value)


def test_files_that_are_no_text_are_refused(tmp_path):
    path = tmp_path / 'cuts.txt'
    path.write_bytes(b'\xff\xfe\x00\x01')
    for wrong in (path, tmp_path, tmp_path / 'missing.txt'):
        with pytest.raises(VideoError, match=r'cannot be read.*one cut a'):
            load_cuts(wrong)


def test_cuts_outside_the_clip_are_named(tmp_path):
    found = load_cuts(write(tmp_path, '8\n20\n'))
    found.check(21)
    with pytest.raises(VideoError, match='no frame 20: the clip has 20'):
        found.check(20)


@pytest.mark.parametrize('start', [0, 15])
def test_cuts_behind_the_last_frame_are_noted(tmp_path, start):
    path = write(tmp_path, '8\n0.6\n20\n21\n0.8')
    frames = as_frames(np.zeros((20 - start, 2, 2, 3), np.uint8), start)
    notes = []
    list(split_scenes(frames, path, start, notes.append))
    assert notes == [f'3 of the cuts in {path} lie behind the last frame']
