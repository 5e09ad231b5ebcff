"""A window is what decoding from the first frame on gives, or an error."""

from dataclasses import replace

import numpy as np
import pytest

from star.datasets import indexed_video
from star.datasets.frame_index import index_frames
from star.datasets.indexed_video import IndexedVideo
from star.registry import DATASETS
from star.video import pixels
from star.video.io import VideoError, count_frames
from tests.test_datasets import window_clips as clips

SIZE = 6
HAS_DECORD = indexed_video._import_decord() is not None
DECODERS = ('pyav', 'decord') if HAS_DECORD else ('pyav',)
EDITS = {
    'cut at both ends': [(1000, 17)],
    'pause': [(400, None), (1600, 0)],
    'two parts': [(400, 3), (600, 20)],
    'backwards': [(600, 20), (600, 3)],
    'repeated': [(600, 3), (600, 3)],
}


def assert_windows(path, step=1, every=1):
    """Compare windows of each decoder with PyAV's own sequence.

    Args:
        path: of the clip.
        step: between the frames of a window.
        every: how many frames later the next window begins.
    """
    video, sequence = IndexedVideo(path), clips.decode(path)
    assert video.num_frames == len(sequence) >= SIZE
    fast = video.seeks and video.is_plain
    convert = indexed_video._to_rgb_fast if fast else pixels.to_rgb
    expected = np.stack([convert(frame) for frame in sequence])
    length = step * (SIZE - 1) + 1
    wrong = []
    # the others are decoded from the first frame on by both
    decoders, every = (DECODERS, every) if video.seeks else (('pyav',), 6)
    for decoder in decoders:
        other = IndexedVideo(path, decoder)
        for first in range(0, len(expected) - length + 1, every):
            numbers = range(first, first + length, step)
            if not np.array_equal(other.read(numbers), expected[numbers]):
                wrong.append((decoder, first))
    assert wrong == []
    return video, expected


def write(path, kind, **options):
    if not clips.has_encoder(kind):
        pytest.skip(f'there is no encoder {clips.KINDS[kind][0]}')
    return clips.write(path, kind, **options)


@pytest.mark.parametrize(('kind', 'suffix'), clips.CLIPS)
def test_windows_are_the_sequence(tmp_path, kind, suffix):
    path = write(tmp_path / f'a.{suffix}', kind)
    # all windows in the first of the containers that a stream is put into
    _, frames = assert_windows(
        path, every=1 if clips.is_first(kind, suffix) else 3
    )
    assert [clips.number(frame) for frame in frames] == [*range(clips.COUNT)]


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv', 'ts'])
@pytest.mark.parametrize('kind', ['h264-open', 'hevc-open', 'h264-closed'])
def test_windows_of_a_varying_rate(tmp_path, kind, suffix):
    path = write(tmp_path / f'a.{suffix}', kind, varying=True)
    assert_windows(path, step=3)


@pytest.mark.parametrize('edits', EDITS.values(), ids=EDITS)
@pytest.mark.parametrize('suffix', ['mp4', 'mov'])
@pytest.mark.parametrize('kind', ['h264-open', 'h264-closed', 'hevc-closed'])
def test_windows_of_edit_lists(tmp_path, kind, suffix, edits):
    path = clips.edit(write(tmp_path / f'a.{suffix}', kind), edits)
    try:
        count_frames(path)
    except VideoError:  # the edit cuts an open group of pictures
        assert kind == 'h264-open'
        with pytest.raises(VideoError):
            IndexedVideo(path)
    else:
        assert_windows(path)


@pytest.mark.parametrize('skip', [8, 12])
@pytest.mark.parametrize('suffix', ['mp4', 'ts'])
@pytest.mark.parametrize('kind', ['hevc-open', 'hevc-closed', 'h264-open'])
def test_starts_between_key_frames(tmp_path, kind, suffix, skip):
    source = write(tmp_path / f'a.{suffix}', kind)
    path = clips.cut(source, tmp_path / f'b.{suffix}', skip)
    try:
        count_frames(path)
    except VideoError:
        with pytest.raises(VideoError, match=r'frames are miss|could be deco'):
            IndexedVideo(path)
    else:
        assert_windows(path)


def test_clock_that_is_set_back(tmp_path):
    path = write(tmp_path / 'a.ts', 'hevc-closed')
    path.write_bytes(clips.count_on(2 * path.read_bytes()))
    video, frames = assert_windows(path)
    assert not video.seeks
    assert [clips.number(f) for f in frames] == 2 * [*range(clips.COUNT)]


@pytest.mark.parametrize(
    ('kind', 'starts'),
    [
        ('hevc-open', 4),
        ('hevc-closed', 4),
        ('h264-closed', 4),
        ('h264-open', 1),  # its other key frames only promise to recover
        ('h264-refresh', 1),
        ('vp9', 4),
    ],
)
@pytest.mark.parametrize('suffix', ['mp4', 'mkv', 'ts'])
def test_where_decoding_starts(tmp_path, kind, starts, suffix):
    if (kind, suffix) == ('vp9', 'ts'):
        pytest.skip('MPEG-TS holds no VP9')
    path = write(tmp_path / f'a.{suffix}', kind)
    index = index_frames(path, seekable=True)
    assert len(index.times) == clips.COUNT
    found = [index.number_of(start) for start in index.starts]
    assert len(found) == starts and found[0] == 0
    closed = 'open' not in kind and kind != 'h264-refresh'
    assert index.is_closed == (closed and suffix != 'ts')


def test_packet_that_is_not_found(tmp_path):
    path = write(tmp_path / 'a.mp4', 'hevc-open')
    video = IndexedVideo(path)
    expected = video.read([20, 22])
    lost = [start._replace(size=1) for start in video._index.starts]
    video._index = replace(video._index, starts=lost)
    assert np.array_equal(video.read([20, 22]), expected)


def test_decord_reads_only_what_is_intact(tmp_path):
    pytest.importorskip('decord')
    path = write(tmp_path / 'a.mp4', 'h264-closed')
    assert IndexedVideo(path, 'decord')._read_decord([0, 3])
    assert not IndexedVideo(path)._read_decord([0, 3])
    data = bytearray(path.read_bytes())
    data[len(data) // 2 : len(data) // 2 + 60] = bytes(60)
    path.write_bytes(data)
    assert not IndexedVideo(path, 'decord')._read_decord([0, 3])


def test_pairs_have_equal_numbers(tmp_path):
    """Ground truth and low quality of an item show the same numbers."""
    kinds = {'hevc-open': 'mp4', 'h264-open': 'mkv', 'mpeg2-open': 'ts'}
    for kind, suffix in kinds.items():
        for folder, other in (('gt', kind), ('lq', 'h264-closed')):
            (tmp_path / folder).mkdir(exist_ok=True)
            write(tmp_path / folder / f'{kind}.{suffix}', other)
        (tmp_path / 'text').mkdir(exist_ok=True)
        (tmp_path / 'text' / f'{kind}.txt').write_text('numbers')
    dataset = DATASETS.build(
        {
            'type': 'CaptionedFolder',
            'data_root': str(tmp_path),
            'num_frames': SIZE,
            'scale': 1,
            'pipeline': [{'type': 'PackVideoInputs'}],
        }
    )
    seen = set()
    for draw in range(60):
        item = dataset[draw]
        sample = item['data_samples']
        first = int(sample.name.partition('@')[2])
        for clip in (item['inputs'], sample.gt):
            images = clip.permute(0, 2, 3, 1).numpy()
            numbers = [clips.number(image) for image in images]
            assert numbers == [*range(first, first + SIZE)]
        seen.add(first)
    assert len(seen) > 15
