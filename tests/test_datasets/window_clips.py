"""Small clips of many codecs and containers, whose frames show numbers."""

import struct
from fractions import Fraction

import av
import numpy as np

from tests.test_video.clips import write_clip

COUNT = 40
_QUIET = ':log-level=none:pools=1:frame-threads=1'


def x264(params, **options):
    return 'libx264', {**options, 'x264-params': f'scenecut=0:{params}'}


def x265(params):
    return 'libx265', {'x265-params': f'scenecut=0:{params}{_QUIET}'}


OPEN_H264 = x264('open-gop=1', g='12', bf='3')
OPEN_HEVC = x265('keyint=12:min-keyint=12')  # open by default
CLOSED_HEVC = x265('keyint=12:min-keyint=12:open-gop=0')
_ALT_REF = {'g': '12', 'lag-in-frames': '16', 'auto-alt-ref': '1'}
_VPX = {**_ALT_REF, 'b': '1M', 'deadline': 'good', 'cpu-used': '5'}
_SVT = {'g': '12', 'preset': '10', 'svtav1-params': 'lp=1'}
_FORWARD = {**_SVT, 'svtav1-params': 'lp=1:irefresh-type=1:keyint=12'}
_MPEG = {'g': '12', 'bf': '2', 'b': '2M'}
_CLOSED_MPEG = {**_MPEG, 'flags': '+cgop', 'sc_threshold': '1000000000'}
KINDS = {
    'h264-open': OPEN_H264,
    'h264-open-short': x264('open-gop=1:keyint=5:min-keyint=1', bf='2'),
    'h264-open-pyramid': x264(
        'open-gop=1:b-pyramid=normal:ref=4:weightb=1:direct=temporal',
        g='16',
        bf='5',
    ),
    'h264-closed': x264('open-gop=0', g='12', bf='3'),
    'h264-one-group': x264('open-gop=0'),
    'h264-refresh': x264('intra-refresh=1', g='12', bf='0'),
    'h264-intra': x264('open-gop=0', g='1'),
    'hevc-open': OPEN_HEVC,
    'hevc-open-short': x265('keyint=5:min-keyint=5:bframes=3'),
    'hevc-closed': CLOSED_HEVC,
    'hevc-radl': x265('keyint=12:min-keyint=12:open-gop=0:radl=3'),
    'mpeg2-open': ('mpeg2video', _MPEG),
    'mpeg2-closed': ('mpeg2video', _CLOSED_MPEG),
    'mpeg4': ('mpeg4', _MPEG),
    'vp8': ('libvpx', _VPX),
    'vp9': ('libvpx-vp9', _VPX),
    'av1': ('libsvtav1', _SVT),
    'av1-open': ('libsvtav1', _FORWARD),
    'wmv2': ('wmv2', {'g': '12', 'b': '2M'}),
    'ffv1': ('ffv1', {'g': '12'}),
    'mjpeg': ('mjpeg', {}),
}
_CONTAINERS = {
    'h264': ('mp4', 'mov', 'mkv', 'ts', 'avi', 'flv'),
    'hevc': ('mp4', 'mov', 'mkv', 'ts'),
    'mpeg2': ('mp4', 'mkv', 'ts', 'mpg', 'avi'),
    'mpeg4': ('mp4', 'mkv', 'avi'),
    'vp8': ('webm',),
    'vp9': ('mp4', 'mkv', 'webm'),
    'av1': ('mp4', 'mkv', 'webm'),
    'wmv2': ('wmv',),
    'ffv1': ('mkv', 'avi'),
    'mjpeg': ('mov', 'avi'),
}
CLIPS = [
    (kind, suffix)
    for kind in KINDS
    for suffix in _CONTAINERS[kind.partition('-')[0]]
]


def is_first(kind, suffix):
    return suffix == _CONTAINERS[kind.partition('-')[0]][0]


def has_encoder(kind):
    return KINDS[kind][0] in av.codecs_available


def pictures():
    """Noise that moves, with the frame's number as eight bright squares."""
    noise = np.random.default_rng(0).normal(0, 20, (64, 288, 3))
    frames = np.stack([128 + noise[:, 2 * i :][:, :128] for i in range(COUNT)])
    for i, frame in enumerate(frames):
        for bit in range(8):
            at = 4 + 15 * bit
            frame[4:20, at : at + 12] = 235 if i >> bit & 1 else 20
    return np.clip(frames, 0, 255).astype('u1')


def number(image):
    """Read the number that a frame shows."""
    squares = [image[8:16, 8 + 15 * bit :][:, :4] for bit in range(8)]
    return sum((s.mean() > 128) << bit for bit, s in enumerate(squares))


def write(path, kind, varying=False):
    """Write a clip; `varying` frame durations are 1/50, 3/50, 5/50, ... s."""
    codec, options = KINDS[kind]
    times = [Fraction(i * i, 50) for i in range(COUNT)] if varying else None
    pix_fmt = 'yuvj420p' if codec == 'mjpeg' else 'yuv420p'
    frames = pictures()
    return write_clip(
        path, frames, times, codec, pix_fmt=pix_fmt, options=options
    )


def decode(path):
    """Decode a file from the first frame on, with PyAV alone."""
    with av.open(str(path)) as container:
        return list(container.decode(video=0))


def cut(source, path, skip):
    """Copy a clip without its first `skip` packets."""
    with av.open(str(source)) as old, av.open(str(path), 'w') as new:
        stream = new.add_stream_from_template(old.streams.video[0], True)
        for i, packet in enumerate(old.demux(video=0)):
            if packet.size and i >= skip:
                packet.stream = stream
                new.mux(packet)
    return path


def count_on(data):
    """Number the packets of joined MPEG-TS files as those of one file."""
    data, counters = bytearray(data), {}
    for at in range(0, len(data), 188):
        stream = data[at + 1] & 31, data[at + 2]
        step = data[at + 3] >> 4 & 1  # only packets with a payload count
        counters[stream] = counters.get(stream, -1) + step & 15
        data[at + 3] = data[at + 3] & 240 | counters[stream]
    return bytes(data)


def edit(path, entries):
    """Replace the edit list of an MP4 or MOV whose moov is its last box.

    `entries` are (milliseconds, first frame or None for a pause).
    """
    with av.open(str(path)) as container:
        stream = container.streams.video[0]
        frame = int(1 / (stream.time_base * 25))
    data = path.read_bytes()
    kind, start, end = list(_boxes(data, 0, len(data)))[-1]
    assert kind == b'moov' and end == len(data)
    old = _find(data[start:], (b'moov', b'trak', b'edts', b'elst'))
    offset = struct.unpack('>i', old[12:16])[0]  # of the first frame
    packed = [
        (span, -1 if at is None else offset + at * frame, 1 << 16)
        for span, at in entries
    ]
    new = struct.pack('>II', 0, len(packed)) + b''.join(
        struct.pack('>IiI', *entry) for entry in packed
    )
    moov = _replace(data[start:], (b'moov', b'trak', b'edts', b'elst'), new)
    path.write_bytes(data[:start] + moov)
    return path


def _boxes(data, at, end):
    while at < end:
        size, kind = struct.unpack('>I4s', data[at : at + 8])
        yield kind, at, at + size
        at += size


def _find(data, kinds):
    for kind, start, end in _boxes(data, 0, len(data)):
        if kind == kinds[0]:
            body = data[start + 8 : end]
            return _find(body, kinds[1:]) if kinds[1:] else body
    raise ValueError(kinds)


def _replace(data, kinds, new):
    out = b''
    for kind, start, end in _boxes(data, 0, len(data)):
        body = data[start + 8 : end]
        if kind == kinds[0]:
            body = _replace(body, kinds[1:], new) if kinds[1:] else new
        out += struct.pack('>I4s', len(body) + 8, kind) + body
    return out
