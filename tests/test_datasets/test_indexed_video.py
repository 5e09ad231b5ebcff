from fractions import Fraction

import numpy as np
import pytest

from star.datasets import indexed_video
from star.datasets.indexed_video import (
    IndexedVideo,
    clip_indices,
    frames_covered,
)
from star.video.io import VideoError, VideoReader
from tests.paths import CLIPS, needs_clips
from tests.test_video.clips import pictures, write_clip

has_decord = pytest.mark.skipif(
    indexed_video._import_decord() is None, reason='decord is not installed'
)
# short groups of pictures, with frames that are stored out of order
SHORT = {'g': '5', 'bf': '2'}
TAGS = (1, 1, 1, 1)  # limited range, BT.709


def read_all(path):
    with VideoReader(path) as reader:
        return np.stack([frame.image for frame in reader])


def numbered(count=24, height=48, width=64):
    """Frames whose brightness is their number."""
    levels = 20 + 8 * np.arange(count)
    shape = (count, height, width, 3)
    return np.broadcast_to(levels[:, None, None, None], shape).astype('u1')


def numbers(frames):
    return [round((f.mean() - 20) / 8) for f in frames]


@pytest.mark.parametrize('decoder', ['auto', 'pyav'])
@pytest.mark.parametrize('name', ['a.mp4', 'a.mkv', 'a.avi'])
def test_frames_are_those_asked_for(tmp_path, name, decoder):
    path = write_clip(tmp_path / name, numbered(), options=SHORT)
    video = IndexedVideo(path, decoder)
    assert video.num_frames == 24
    for indices in ([0], [23], [4, 5, 6], range(7, 20, 3), range(24)):
        frames = video.read(indices)
        assert frames.dtype == np.uint8
        assert frames.shape == (len(indices), 48, 64, 3)
        assert numbers(frames) == list(indices)


def test_frames_of_a_varying_rate(tmp_path):
    times = [Fraction(i * i, 100) for i in range(12)]
    path = write_clip(tmp_path / 'a.mp4', numbered(12), times, options=SHORT)
    assert numbers(IndexedVideo(path).read([1, 6, 11])) == [1, 6, 11]


@has_decord
@pytest.mark.parametrize('tags', [None, TAGS, (1, 6, 6, 6)])
@pytest.mark.parametrize('size', [(64, 48), (202, 130), (96, 720)])
def test_decord_gives_the_same_pixels(tmp_path, size, tags):
    frames = pictures(12, *size)
    path = write_clip(tmp_path / 'a.mp4', frames, tags=tags, options=SHORT)
    video, without = IndexedVideo(path, 'decord'), IndexedVideo(path, 'pyav')
    for indices in ([0, 1, 2], [3, 7, 11]):
        expected = without.read(indices)
        assert np.array_equal(video.read(indices), expected)
        through = video._read_decord(indices)
        # untagged HD: decord takes it for BT.601
        assert bool(through) == (tags is not None or size[1] < 720)
        assert np.array_equal(through or expected, expected)


@has_decord
@needs_clips
@pytest.mark.parametrize(
    'name',
    [
        'sam2_coffee_720p.mp4',
        'mallard_480p.mp4',
        'pexels_crowd_plaza_540p.mp4',
    ],
)
def test_decord_gives_the_same_pixels_of_real_clips(name):
    path = CLIPS / 'train' / name
    indices = range(3, 18, 3)
    video = IndexedVideo(path, 'decord')
    through = np.stack(video._read_decord(indices))
    assert np.array_equal(through, IndexedVideo(path, 'pyav').read(indices))
    near = IndexedVideo(path)._read_sequence(indices)
    assert np.abs(through - np.stack(near).astype(int)).mean() < 1.5


def test_colours_are_near_those_of_the_reader(tmp_path):
    for tags in (None, TAGS, (2, 1, 1, 1)):
        path = write_clip(tmp_path / 'a.mp4', pictures(4, 128, 96), tags=tags)
        difference = IndexedVideo(path).read(range(4)).astype(int)
        difference -= read_all(path)
        # the chroma of these small pictures is rich in detail
        assert np.abs(difference).mean() < 4
        assert np.abs(difference.mean((0, 1, 2))).max() < 1.5


@pytest.mark.parametrize(
    'options',
    [
        {'rotation': 90},
        {'hflip': True},
        {'pix_fmt': 'yuv420p10le'},
        {'pix_fmt': 'yuv444p'},
        {'codec': 'mpeg4'},
        {'codec': 'ffv1'},
    ],
)
def test_what_decord_would_read_otherwise(tmp_path, options):
    options = {'options': SHORT if 'codec' not in options else {}, **options}
    path = write_clip(tmp_path / 'a.mkv', pictures(12), **options)
    video = IndexedVideo(path)
    assert not video._fits_decord() or not video.seeks
    assert np.array_equal(video.read([2, 6, 10]), read_all(path)[[2, 6, 10]])


def test_interlaced_frames_are_deinterlaced(tmp_path):
    options = {'flags': '+ildct+ilme', 'x264-params': 'tff=1', **SHORT}
    path = write_clip(tmp_path / 'a.mp4', pictures(12), options=options)
    video = IndexedVideo(path)
    assert video.info.interlaced
    assert np.array_equal(video.read([2, 6, 10]), read_all(path)[[2, 6, 10]])


def test_folder_of_frames_and_image(tmp_path):
    frames = pictures(11)
    folder = tmp_path / 'frames'
    folder.mkdir()
    for i, frame in enumerate(frames):  # 10.png sorts before 2.png as text
        write_clip(
            folder / f'{i}.png',
            [frame],
            codec='png',
            pix_fmt='rgb24',
            format='image2',
            options={},
            container={'update': '1'},
        )
    video = IndexedVideo(folder)
    assert video.num_frames == 11
    assert np.array_equal(video.read([1, 2, 10]), frames[[1, 2, 10]])
    image = IndexedVideo(folder / '3.png')
    assert image.num_frames == 1
    assert np.array_equal(image.read([0]), frames[[3]])
    (folder / '2.png').write_bytes((folder / '2.png').read_bytes()[:200])
    with pytest.raises(VideoError, match=r'2\.png: cannot be decoded'):
        video.read([1, 2])


def damage(path, at):
    data = bytearray(path.read_bytes())
    start = int(len(data) * at)
    data[start : start + 40] = bytes(40)
    path.write_bytes(data)


def test_damage_and_missing_files(tmp_path):
    path = tmp_path / 'a.mp4'
    with pytest.raises(VideoError, match=r'a\.mp4: no such file'):
        IndexedVideo(path)
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (20, 48, 64, 3), dtype=np.uint8)
    write_clip(path, noise, options={**SHORT, 'bf': '0'})
    whole = IndexedVideo(path, 'pyav').read(range(20))
    damage(path, 0.6)
    video = IndexedVideo(path, 'pyav')
    assert np.array_equal(video.read([0, 3]), whole[[0, 3]])
    assert np.array_equal(video.read([18, 19]), whole[18:])  # behind it
    with pytest.raises(VideoError, match=r'a\.mp4: frame \d+ cannot be deco'):
        video.read(range(20))
    path.write_bytes(b'no video')
    with pytest.raises(VideoError, match=r'a\.mp4: cannot be opened'):
        IndexedVideo(path)


def test_without_decord(tmp_path, monkeypatch):
    path = write_clip(tmp_path / 'a.mp4', pictures(6))
    expected = IndexedVideo(path).read([1, 4])
    monkeypatch.setattr(indexed_video, '_import_decord', lambda: None)
    assert np.array_equal(IndexedVideo(path).read([1, 4]), expected)
    with pytest.raises(
        ValueError, match=r"`decoder` is 'decord', .*missing|no"
    ):
        IndexedVideo(path, 'decord')
    with pytest.raises(ValueError, match=r"`decoder` must .*'nvdec'"):
        IndexedVideo(path, 'nvdec')


def test_clip_indices():
    assert frames_covered(32, 2) == 63
    assert clip_indices(5, 5, 1, 0.99) == range(5)
    starts = [clip_indices(10, 3, 2, p / 60)[0] for p in range(60)]
    assert sorted(set(starts)) == list(range(6))
    assert {starts.count(s) for s in range(6)} == {10}
    frames = clip_indices(10, 3, 2, 0.999999)
    assert list(frames) == [5, 7, 9]
    with pytest.raises(
        ValueError, match=r'9 frames, but .* 4 at .* 3 need 10'
    ):
        clip_indices(9, 4, 3, 0.5)
    with pytest.raises(ValueError, match='`num_frames` must be >= 1, got 0'):
        frames_covered(0, 1)
    with pytest.raises(ValueError, match='`interval` must be >= 1, got 0'):
        frames_covered(1, 0)
