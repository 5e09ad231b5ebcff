"""Tests of AVI: chunks without data, and reordered frames."""

import struct
from fractions import Fraction

import av
import cv2
import numpy as np
import pytest

from star.video.io import VideoReader
from star.video.streams.times import measure_times
from tests.test_video.clips import AUDIO_RATE, RATE, ramp
from tests.test_video.flashes import find_flashes, rewrite

SIZE = 64, 48


def write_avi(path, chunks, codec=b'MJPG', sound=None):
    """Write an AVI of video chunks, which may be empty, and PCM samples."""
    heads = [_list(b'strl', _video_head(len(chunks), codec))]
    if sound is not None:
        heads.append(_list(b'strl', _sound_head(len(sound))))
    main = struct.pack(
        *('<14I', 10**6 // RATE, 0, 0, 16, len(chunks), 0, len(heads), 0),
        *(*SIZE, 0, 0, 0, 0),
    )
    header = _list(b'hdrl', _chunk(b'avih', main) + b''.join(heads))
    data, index, step = b'movi', b'', AUDIO_RATE // RATE
    for i, content in enumerate(chunks):
        pieces = [(b'00dc', content)]
        if sound is not None:
            piece = sound[i * step : (i + 1) * step].tobytes()
            pieces.append((b'01wb', piece))
        for name, piece in pieces:
            flag = 16 if piece else 0
            index += name + struct.pack('<3I', flag, len(data), len(piece))
            data += _chunk(name, piece)
    body = header + _chunk(b'LIST', data) + _chunk(b'idx1', index)
    path.write_bytes(_chunk(b'RIFF', b'AVI ' + body))
    return path


def _chunk(name, data):
    return name + struct.pack('<I', len(data)) + data + b'\0' * (len(data) % 2)


def _list(name, data):
    return _chunk(b'LIST', name + data)


def _video_head(length, codec):
    rest = 0, 0, 0, 0, 1, RATE, 0, length, 0, 0xFFFFFFFF, 0, 0, 0, *SIZE
    head = b'vids' + codec + struct.pack('<IHH8I4h', *rest)
    layout = 40, *SIZE, 1, 24, codec, 0, 0, 0, 0, 0
    return _chunk(b'strh', head) + _chunk(
        b'strf', struct.pack('<IiiHH4sIiiII', *layout)
    )


def _sound_head(length):
    rest = 0, 0, 0, 0, 1, AUDIO_RATE, 0, length, 0, 0xFFFFFFFF, 2, 0, 0, 0, 0
    head = b'auds' + bytes(4) + struct.pack('<IHH8I4h', *rest)
    layout = 1, 1, AUDIO_RATE, 2 * AUDIO_RATE, 2, 16
    return _chunk(b'strh', head) + _chunk(
        b'strf', struct.pack('<HHIIHH', *layout)
    )


def jpeg(image):
    return cv2.imencode('.jpg', image)[1].tobytes()


@pytest.mark.parametrize(
    'pattern',
    [
        'xxxxxxxx',
        'xxx...xx.xx',  # several in a row
        '..xxx',
        'xx....x....',
        'x.x.x.x.',
        'x' + 40 * '.' + 'x',
    ],
)
def test_frames_last_as_long_as_their_chunks(tmp_path, pattern):
    places = [i for i, mark in enumerate(pattern) if mark == 'x']
    pictures = [jpeg(image) for image in ramp(len(places))]
    chunks = [pictures.pop(0) if m == 'x' else b'' for m in pattern]
    path = write_avi(tmp_path / 'a.avi', chunks)
    with VideoReader(path) as reader:
        got = list(reader)
        assert reader.count() == len(got) == len(places)
        assert reader.notes == ()
    assert [f.time for f in got] == [Fraction(i, RATE) for i in places]
    lengths = np.diff([*places, len(pattern)])
    assert [f.duration * RATE for f in got] == list(lengths)


def test_a_result_keeps_length_and_sound(tmp_path):
    # 51 chunks, 42 with data: 2.04 s
    beep = np.sin(np.arange(3 * AUDIO_RATE // RATE) * 0.13) * 20000
    sound = np.zeros(51 * AUDIO_RATE // RATE, np.int16)
    for at in (8, 40):
        start = at * AUDIO_RATE // RATE
        sound[start : start + len(beep)] = beep
    bright, dark = jpeg(np.full((48, 64, 3), 220, np.uint8)), jpeg(ramp(9)[0])
    chunks = [bright if i in (8, 40) else dark for i in range(51)]
    for i in (12, 13, 14, 15, 20, 30, 48, 49, 50):
        chunks[i] = b''
    path = write_avi(tmp_path / 'a.avi', chunks, sound=sound)
    times = measure_times(path)
    assert times.picture_seconds == Fraction(51, RATE)
    assert times.offset == 0
    rewrite(path, tmp_path / 'b.mp4')
    with av.open(str(tmp_path / 'b.mp4')) as container:
        stream = container.streams.video[0]
        assert stream.duration * stream.time_base == Fraction(51, RATE)
        assert stream.frames == 42
    flashes, beeps = find_flashes(tmp_path / 'b.mp4')
    np.testing.assert_allclose(flashes, [8 / RATE, 40 / RATE], atol=1e-3)
    np.testing.assert_allclose(beeps, flashes, atol=0.02)


def encode_mpeg4(images):
    """Encode with a B-frame between others; return packets."""
    context = av.CodecContext.create('mpeg4', 'w')
    context.width, context.height = SIZE
    context.pix_fmt, context.time_base = 'yuv420p', Fraction(1, RATE)
    context.max_b_frames, context.thread_count = 1, 1
    context.options = {'b_strategy': '0', 'sc_threshold': '1000000000'}
    packets = []
    for i, image in enumerate(images):
        frame = av.VideoFrame.from_ndarray(image, 'rgb24')
        frame = frame.reformat(format='yuv420p')
        frame.pts, frame.time_base = i, Fraction(1, RATE)
        packets += context.encode(frame)
    return [*packets, *context.encode(None)]


@pytest.mark.parametrize('packed', [False, True])
def test_reordered_frames_keep_their_places(tmp_path, packed):
    packets = encode_mpeg4(ramp(9))
    chunks = [bytes(packet) for packet in packets]
    if packed:  # as DivX 5 does: two frames in a chunk, then a placeholder
        first = chunks[0].index(b'\0\0\1\xb3')
        mark = b'\0\0\1\xb2DivX503b1393p'
        chunks[0] = chunks[0][:first] + mark + chunks[0][first:]
        for i in range(1, len(chunks) - 1, 2):
            chunks[i] += chunks[i + 1]
            chunks[i + 1] = b'\0\0\1\xb6\x50\x7f'
    path = write_avi(tmp_path / 'a.avi', chunks, b'DX50')
    got = list(VideoReader(path))
    assert [f.time for f in got] == [Fraction(i, RATE) for i in range(9)]
    means = [f.image.mean() for f in got]
    np.testing.assert_allclose(means, np.linspace(40, 220, 9), atol=4)
