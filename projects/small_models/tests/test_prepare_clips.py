"""projects/small_models/tools/prepare_clips.py as a user calls it."""

import numpy as np
import pytest

from projects.small_models.tools import prepare_clips as tool
from star.video.io import VideoReader
from tests.test_apis.clips import write_clip


@pytest.fixture
def videos(tmp_path):
    folder = tmp_path / 'videos'
    folder.mkdir()
    for name in ('one', 'two'):
        write_clip(folder / f'{name}.mp4', 5, (64, 48))
    return folder


def test_every_video(videos, tmp_path):
    dst = tmp_path / 'arrays'
    assert tool.main([str(videos), str(dst), '--frames', '3']) == 0
    with VideoReader(videos / 'one.mp4', 3) as reader:
        expected = np.stack([frame.image for frame in reader])
    assert np.array_equal(np.load(dst / 'one.npy'), expected)
    assert sorted(p.name for p in dst.iterdir()) == ['one.npy', 'two.npy']


def test_windows_and_halving(videos, tmp_path, capsys):
    table = tmp_path / 'windows.tsv'
    table.write_text('file\tstart\tframes\none.mp4\t2\t2\ntwo.mp4\t9\t1\n')
    dst = tmp_path / 'arrays'
    options = ['--windows', str(table), '--halve-from', '48']
    assert tool.main([str(videos), str(dst), *options]) == 1
    clip = np.load(dst / 'one.npy')
    assert clip.shape == (2, 24, 32, 3)
    with VideoReader(videos / 'one.mp4') as reader:
        third = [frame.image for frame in reader][2].astype(float)
    mean = third.reshape(24, 2, 32, 2, 3).mean((1, 3))
    assert np.abs(clip[0] - mean).max() <= 0.5
    assert 'two.mp4 has no frame 9' in capsys.readouterr().err


def test_photographs(videos, tmp_path):
    dst = tmp_path / 'arrays'
    options = ['--frames', '1', '--photographs', '2']
    assert tool.main([str(videos), str(dst), *options]) == 0
    photographs = sorted(dst.glob('photo_*.npy'))
    assert len(photographs) == len(tool.PHOTOGRAPHS)
    clip = np.load(photographs[0])
    assert len(clip) == 2 and not np.array_equal(clip[0], clip[1])


def test_missing_folder(tmp_path, capsys):
    assert tool.main([str(tmp_path / 'no'), str(tmp_path)]) == 2
    assert 'no such folder' in capsys.readouterr().err
