"""Tests of files that are damaged, no videos, or oddly named."""

import os

import av
import numpy as np
import pytest
from PIL import Image

from star.video.io import VideoError, VideoReader, count_frames, probe
from tests.test_video.clips import images, pictures, write_clip, write_sine


def _truncate(clip, path, share):
    data = clip.read_bytes()
    path.write_bytes(data[: int(len(data) * share)])
    return path


def test_truncated_mp4(clip, tmp_path):
    path = _truncate(clip, tmp_path / 'cut.mp4', 0.6)
    with pytest.raises(
        VideoError, match=r'of 20 frames.*allow-partial'
    ) as got:
        images(path)
    assert str(path) in str(got.value) and '\n' not in str(got.value)
    reader = VideoReader(path, allow_partial=True)
    whole = len(list(reader))
    assert 0 < whole < 20
    assert 'of 20 frames could be decoded' in reader.notes[-1]
    few = images(path, num_frames=5)
    np.testing.assert_array_equal(few, images(clip, num_frames=5))


@pytest.mark.parametrize('suffix', ['.mkv', '.avi', '.flv', '.264'])
def test_truncated_containers(tmp_path, suffix):
    options = {'g': '5', 'crf': '10'}
    format_ = 'h264' if suffix == '.264' else None
    path = write_clip(
        tmp_path / f'a{suffix}', pictures(20), options=options, format=format_
    )
    assert count_frames(path) == 20
    cut = _truncate(path, tmp_path / f'cut{suffix}', 0.6)
    with pytest.raises(VideoError, match='allow-partial'):
        count_frames(cut)
    assert 0 < count_frames(cut, allow_partial=True) < 20


def test_flipped_bits_are_not_concealed(clip, tmp_path):
    data = bytearray(clip.read_bytes())
    rng = np.random.default_rng(0)
    start = data.index(b'mdat') + 2000
    for i in rng.integers(start, len(data), 40):
        data[i] ^= 255
    path = tmp_path / 'flipped.mp4'
    path.write_bytes(data)
    with pytest.raises(VideoError, match='allow-partial'):
        count_frames(path)
    reader = VideoReader(path, allow_partial=True)
    assert len(list(reader)) > 0
    assert 'without errors' in reader.notes[-1]


def _bad_files(folder, clip):
    data = clip.read_bytes()
    key = '00112233445566778899aabbccddeeff'
    secret = {
        'encryption_scheme': 'cenc-aes-ctr',
        'encryption_key': key,
        'encryption_kid': key,
    }
    write_clip(folder / 'encrypted.mp4', pictures(3), container=secret)
    contents = {
        'empty.mp4': b'',
        'text.mp4': b'not a video\n' * 50,
        'text.txt': b'not a video\n' * 50,
        'noise.mkv': bytes(range(256)) * 40,
        'codec.mp4': data.replace(b'avc1', b'zzzz'),
        'header.mp4': data[: data.index(b'mdat')] + b'mdat',
        'zeros.png': bytes(1000),
    }
    for name, content in contents.items():
        (folder / name).write_bytes(content)
    Image.fromarray(pictures(1)[0]).save(folder / 'cut.png')
    _truncate(folder / 'cut.png', folder / 'cut.png', 0.5)
    (folder / 'folder').mkdir()
    with av.open(str(folder / 'sound.mp4'), 'w') as output:
        stream = output.add_stream('aac', rate=48000)
        write_sine(output, stream, 0.2)


BAD = {
    'absent.mp4': 'no such file',
    'codec.mp4': 'no decoder',
    'cut.png': 'no frame can be decoded',
    'empty.mp4': 'empty',
    'encrypted.mp4': 'encrypted',
    'folder': 'no images',
    'header.mp4': 'no frame can be decoded',
    'noise.mkv': 'cannot be opened',
    'sound.mp4': 'no video stream .it holds audio',
    'text.mp4': 'cannot be opened',
    'text.txt': 'text file',
    'zeros.png': 'cannot be opened|no frame',
}


@pytest.fixture(scope='module')
def bad(tmp_path_factory, clip):
    folder = tmp_path_factory.mktemp('bad')
    _bad_files(folder, clip)
    return folder


@pytest.mark.parametrize('allow_partial', [False, True])
@pytest.mark.parametrize('name', BAD)
def test_bad_files_are_refused_in_one_line(bad, name, allow_partial):
    with pytest.raises(VideoError, match=BAD[name]) as got:
        count_frames(bad / name, allow_partial=allow_partial)
    assert name in str(got.value) and '\n' not in str(got.value)


@pytest.mark.skipif(not hasattr(os, 'mkfifo'), reason='no named pipes')
def test_a_pipe_does_not_hang(tmp_path):
    os.mkfifo(tmp_path / 'pipe.mp4')
    with pytest.raises(VideoError, match='regular'):
        probe(tmp_path / 'pipe.mp4')


def test_names_that_mean_something_to_ffmpeg(clip, tmp_path):
    path = tmp_path / 'http:a%03d [1] ü.mp4'
    path.write_bytes(clip.read_bytes())
    assert count_frames(path) == 20
