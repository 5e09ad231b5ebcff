"""Tests of edit lists: what they hide stays hidden, offsets stay."""

import struct

import numpy as np
import pytest

from tests.test_video.flashes import find_flashes, rewrite, write_flashes


def _box(name, data):
    return struct.pack('>I4s', 8 + len(data), name) + data


def _boxes(data):
    at, found = 0, []
    while at < len(data):
        size = struct.unpack('>I', data[at : at + 4])[0]
        found.append((data[at + 4 : at + 8], data[at + 8 : at + size]))
        at += size
    return found


def _inner(data, *names):
    for name in names:
        data = dict(_boxes(data))[name]
    return data


def set_edits(path, edits):
    """Give each track a list of (seconds, media time or None), in seconds."""
    boxes = _boxes(path.read_bytes())
    assert boxes[-1][0] == b'moov'
    moov = boxes.pop()[1]
    scale = struct.unpack('>I', _inner(moov, b'mvhd')[12:16])[0]
    edits, inner = list(edits), b''
    for name, data in _boxes(moov):
        if name == b'trak':
            data = _edited(data, edits.pop(0), scale)
        inner += _box(name, data)
    rest = b''.join(_box(*box) for box in boxes)
    path.write_bytes(rest + _box(b'moov', inner))
    return path


def _edited(track, edits, scale):
    clock = struct.unpack('>I', _inner(track, b'mdia', b'mdhd')[12:16])[0]
    parts = dict(_boxes(track))
    old = parts.pop(b'edts', None)
    delay = 0  # of the encoder
    if old is not None:
        delay = struct.unpack('>i', _inner(old, b'elst')[-8:-4])[0]
    entries = b''
    for seconds, start in edits:
        place = -1 if start is None else round(start * clock) + delay
        entries += struct.pack('>IiI', round(seconds * scale), place, 1 << 16)
    head = struct.pack('>II', 0, len(edits))
    parts[b'edts'] = _box(b'elst', head + entries)
    order = [b'tkhd', b'edts', *(n for n in parts if n not in _FIRST)]
    return b''.join(_box(name, parts[name]) for name in order)


_FIRST = (b'tkhd', b'edts')
_ALL = [(2.4, 0)]
CASES = {  # edits of the picture and of the sound; flashes; beeps
    'both cut': ([(1.9, 0.48)], [(1.9, 0.48)], [0.72, 1.52], [0.72, 1.52]),
    'sound cut': (_ALL, [(1.9, 0.48)], [0.2, 1.2, 2.0], [0.72, 1.52]),
    'picture later': ([(0.4, None), *_ALL], _ALL, [0.6, 1.6], [0.2, 1.2, 2.0]),
    'sound later': (_ALL, [(0.4, None), *_ALL], [0.2, 1.2, 2.0], [0.6, 1.6]),
    'end cut': ([(1.6, 0)], [(1.6, 0)], [0.2, 1.2], [0.2, 1.2]),
    'middle cut': (
        [(0.8, 0), (0.8, 1.6)],
        [(0.8, 0), (0.8, 1.6)],
        [0.2, 1.2],
        [0.2, 1.2],
    ),
}


@pytest.mark.parametrize('suffix', ['.mkv', '.mp4'])
@pytest.mark.parametrize('codec', ['aac', 'pcm_s16le'])
@pytest.mark.parametrize('case', CASES)
def test_what_an_edit_list_hides(tmp_path, case, codec, suffix):
    picture, sound, flashes, beeps = CASES[case]
    source = write_flashes(
        tmp_path / 'a.mov',
        60,
        (5, 30, 50),
        ('libx264', codec),
        {'g': '4', 'bf': '0'},
    )
    set_edits(source, [picture, sound])
    rewrite(source, tmp_path / f'b{suffix}')
    seen, heard = find_flashes(tmp_path / f'b{suffix}')
    # a file that cannot hold times before zero moves all by one packet
    moved = seen[0] - flashes[0]
    assert 0 <= moved < 0.03
    both = seen[: len(flashes)], heard[: len(beeps)]
    np.testing.assert_allclose(np.subtract(both[0], moved), flashes, atol=0.01)
    np.testing.assert_allclose(np.subtract(both[1], moved), beeps, atol=0.03)
    assert len(heard) - len(beeps) == (case == 'sound later')
    assert len(seen) - len(flashes) == (case == 'picture later')
