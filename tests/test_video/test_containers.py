"""Containers: what they hold, and how they are written."""

from fractions import Fraction

import av
import numpy as np
import pytest

from star.video.containers import container_options, holds, own_codec
from star.video.encoder import plan_encoding
from star.video.io import VideoError, VideoWriter
from tests.test_video.clips import pictures, write_clip
from tests.test_video.flashes import find_flashes, rewrite, write_flashes


@pytest.mark.parametrize(
    ('suffix', 'codec', 'expected'),
    [
        ('.mp4', 'libx265', True),
        ('.mp4', 'prores_ks', False),
        ('.mov', 'prores_ks', True),
        ('.webm', 'libx264', False),
        ('.webm', 'libsvtav1', True),
        ('.ts', 'libx264', True),
        ('.ts', 'ffv1', False),
        ('.mpg', 'mpeg2video', True),
        ('.mpg', 'libvpx-vp9', False),
    ],
)
def test_what_containers_hold(suffix, codec, expected):
    assert holds(suffix, codec) is expected


def test_encoders_of_containers():
    assert own_codec('.webm') == 'libvpx-vp9'
    assert own_codec('.flv') == 'flv'
    with pytest.raises(VideoError, match=r'\.xyz is no container'):
        own_codec('.xyz')


@pytest.mark.parametrize('suffix', ['.mp4', '.m4v', '.mov'])
def test_the_index_lies_in_front(tmp_path, suffix):
    path = tmp_path / f'a{suffix}'
    with VideoWriter(path, 32, 32) as writer:
        for i in range(3):
            image = np.full((32, 32, 3), 50 * i, np.uint8)
            writer.write(image, Fraction(i, 25), Fraction(1, 25))
    data = path.read_bytes()
    assert 0 < data.index(b'moov') < data.index(b'mdat')
    assert container_options(suffix) == {'movflags': '+faststart'}
    assert container_options('.avi') == {}


@pytest.mark.parametrize(
    ('suffix', 'codec'),
    [
        ('.ogv', 'vp8'),
        ('.mpg', 'mpeg2video'),
        ('.wmv', 'wmv2'),
        ('.mxf', 'mpeg2video'),
    ],
)
def test_old_containers_keep_rate_and_sync(tmp_path, suffix, codec):
    source = write_flashes(tmp_path / 'a.mp4', 50, (10, 35))
    path = tmp_path / f'b{suffix}'
    assert not plan_encoding(None, None, (64, 48), 1, None, suffix)[1]
    rewrite(source, path)
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        assert stream.codec_context.codec.canonical_name == codec
        assert stream.average_rate == 25
        times = [frame.time for frame in container.decode(stream)]
    np.testing.assert_allclose(np.diff(times), 1 / 25, atol=1e-3)
    flashes, beeps = find_flashes(path)
    np.testing.assert_allclose(np.diff(flashes), [1], atol=1e-3)
    np.testing.assert_allclose(beeps, flashes, atol=0.02)


@pytest.mark.parametrize('suffix', ['.mxf', '.ogv'])
@pytest.mark.parametrize('kind', ['.mp4', '.avi'])
def test_containers_without_times_refuse_gaps(tmp_path, kind, suffix):
    times = [Fraction(i, 25) for i in (0, 3, 4, 5, 6, 11)]
    source = write_clip(tmp_path / f'a{kind}', pictures(6), times)
    with pytest.raises(VideoError, match=r'last unequally.*choose \.mov'):
        rewrite(source, tmp_path / f'b{suffix}')
