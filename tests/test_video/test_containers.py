"""Containers: what they hold, and how they are written."""

from fractions import Fraction

import numpy as np
import pytest

from star.video.containers import container_options, holds, own_codec
from star.video.io import VideoError, VideoWriter


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
