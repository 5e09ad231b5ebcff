"""What an encoder of large pictures holds."""

from dataclasses import replace
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from star.utils.memory import peak_memory, reset_peak_memory
from star.video.coder_memory import coder_bounds, coder_memory, frame_bytes
from star.video.encoder import plan_encoding
from star.video.encoding import repeatable
from star.video.pieces import VideoCoder

CPU = torch.device('cpu')
MIB = 2**20
MEASURED = [  # MiB, growth of a process that codes more frames than it holds
    ((640, 480), 'libx265', 'yuv420p', 112),
    ((2560, 1440), 'libx264', 'yuv420p', 371),
    ((3840, 2160), 'libx264', 'yuv420p', 363),
    ((5120, 2880), 'libx264', 'yuv420p', 408),
    ((7680, 4320), 'libx264', 'yuv420p', 857),
    ((3840, 2160), 'prores_ks', 'yuv422p10le', 87),
]


def options(size, codec='libx264', suffix='.mp4', **changes):
    """Return the options that an encoder gets for a size."""
    encoding, _ = plan_encoding(codec, None, size, 17, None, suffix)
    context = av.CodecContext.create(codec, 'w')
    replace(encoding, **changes).apply(context)
    return context.options


def test_bytes_of_a_frame():
    assert frame_bytes((64, 32), 'yuv420p') == 64 * 32 * 3 // 2
    assert frame_bytes((64, 32), 'yuv422p10le') == 64 * 32 * 2 * 2
    assert frame_bytes((64, 32), 'rgb24') == 64 * 32 * 3


def test_small_pictures_are_coded_with_all_frames():
    assert coder_bounds((854, 480), 'yuv420p') is None
    own = ':'.join(['threads=4:sliced-threads=1', *repeatable()])
    slices = {'crf': '17', 'x264-params': own}
    assert options((854, 480)) == slices  # the same on every machine
    x265 = 'log-level=error:frame-threads=1'
    assert options((640, 480), 'libx265') == {'crf': '17', 'x265-params': x265}


def test_large_pictures_are_coded_with_fewer_frames():
    assert options((5120, 2880)) == {
        'crf': '16.5',
        'x264-params': ':'.join(
            [
                'threads=4:sliced-threads=1:rc-lookahead=2:bframes=0:ref=1',
                *repeatable(),
            ]
        ),
    }
    assert 'bframes=2:ref=2' in options((1920, 1080))['x264-params']
    in_order = options((1920, 1080), reorders=False)
    assert 'bframes=0' in in_order['x264-params']
    assert options((1920, 1080), 'libx265')['x265-params'] == (
        'log-level=error:frame-threads=1:rc-lookahead=16:bframes=2:ref=2'
    )
    assert options((1920, 1080), crf=0)['crf'] == '0'


@pytest.mark.parametrize(('size', 'codec', 'pix_fmt', 'measured'), MEASURED)
def test_the_prediction_meets_what_was_measured(
    size, codec, pix_fmt, measured
):
    predicted = coder_memory(*size, codec, pix_fmt) / MIB
    assert predicted == pytest.approx(measured, rel=0.15)


def test_more_frames_take_no_more_memory():
    size = 1280, 960
    encoding, _ = plan_encoding(None, None, size, 17, None, '.mp4')
    image = np.zeros((size[1], size[0], 3), np.uint8)
    coder = VideoCoder(encoding, Path('x.mp4').suffix)
    reset_peak_memory(CPU)
    begin, peaks = peak_memory(CPU), []
    for i in range(80):
        image[:, i * 8 : i * 8 + 8] = 255
        coder.write(image, Fraction(i, 25), Fraction(1, 25))
        peaks.append(peak_memory(CPU) - begin)
    assert len(coder.finish().frames) == 80
    one = frame_bytes(size, encoding.pix_fmt)
    assert peaks[-1] - peaks[24] < 3 * one
    assert peaks[-1] < 1.2 * coder_memory(*size, encoding.codec)
