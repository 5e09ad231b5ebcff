"""Tests of a test set's manifest, and of the checks against it."""

import hashlib
import json
import shutil

import cv2
import numpy as np
import pytest

from star.datasets.test_set import (
    ClipEntry,
    Manifest,
    StoredClip,
    check_pixels,
    check_test_set,
    differences,
    hash_frames,
    read_manifest,
    write_manifest,
)
from tests.test_datasets.sets import write_frames, write_set
from tests.test_video.clips import pictures, write_clip


@pytest.fixture
def root(tmp_path):
    write_set(tmp_path / 'set')
    return tmp_path / 'set'


def found(root):
    return list(differences(root, read_manifest(root / 'set.json')))


def test_manifest_in_json(tmp_path):
    """The format that other programs read."""
    gt = StoredClip('gt/x.mkv', (48, 64), 'aa')
    lq = StoredClip('lq/x', (12, 16), 'bb', '%08d.png')
    entries = {'x': ClipEntry(8, 25.0, gt, lq), 'w': ClipEntry(2, None, gt=gt)}
    entries['w'] = ClipEntry(2, None, lq=StoredClip('lq/w.mp4', (2, 4), 'cc'))
    manifest = Manifest('mini', 'nowhere', {'preset': 'star'}, entries)
    write_manifest(tmp_path / 'set.json', manifest)
    assert json.loads((tmp_path / 'set.json').read_text()) == {
        'format': 'star-test-set/1',
        'name': 'mini',
        'source': 'nowhere',
        'degradation': {'preset': 'star'},
        'clips': {
            'w': {
                'frames': 2,
                'fps': None,
                'lq': {'path': 'lq/w.mp4', 'size': [2, 4], 'sha256': 'cc'},
            },
            'x': {
                'frames': 8,
                'fps': 25.0,
                'gt': {'path': 'gt/x.mkv', 'size': [48, 64], 'sha256': 'aa'},
                'lq': {
                    'path': 'lq/x',
                    'size': [12, 16],
                    'sha256': 'bb',
                    'files': '%08d.png',
                },
            },
        },
    }
    assert read_manifest(tmp_path / 'set.json') == manifest
    assert [p.name for p in tmp_path.iterdir()] == ['set.json']


@pytest.mark.parametrize(
    ('change', 'message'),
    [
        ({'format': 'star-test-set/2'}, "`format` must be 'star-test-set/1'"),
        ({'clips': None}, 'a value is missing or of the wrong type'),
        ({'clips': {'x': {'frames': 1}}}, 'x needs `gt` or `lq`'),
        (
            {'clips': {'x': {'frames': 1, 'lq': {'size': [1, 1]}}}},
            "missing or of the wrong type .*'path'",
        ),
        ('lq/../../y', '`path` must be lq/x'),
        ('gt/x', '`path` must be lq/x'),
        ('lq/xy.mkv', '`path` must be lq/x'),
    ],
)
def test_no_manifest(tmp_path, change, message):
    if isinstance(change, str):
        part = {'path': change, 'size': [1, 1], 'sha256': ''}
        change = {'clips': {'x': {'frames': 1, 'lq': part}}}
    good = {'format': 'star-test-set/1', 'name': 'n', 'source': 's'}
    data = {**good, 'degradation': None, 'clips': {}, **change}
    (tmp_path / 'set.json').write_text(json.dumps(data))
    with pytest.raises(ValueError, match=message) as caught:
        read_manifest(tmp_path / 'set.json')
    assert '\n' not in str(caught.value)


def test_unreadable_manifest(tmp_path):
    with pytest.raises(ValueError, match=r'not a test set \(No such'):
        read_manifest(tmp_path / 'set.json')
    (tmp_path / 'set.json').write_text('{')
    with pytest.raises(ValueError, match=r'not a test set \(Expect'):
        read_manifest(tmp_path / 'set.json')


def test_frames_must_be_numbered(tmp_path):
    part = {'path': 'lq/x', 'size': [1, 1], 'sha256': '', 'files': 'a.png'}
    data = {'format': 'star-test-set/1', 'name': 'n', 'source': 's'}
    clips = {'x': {'frames': 1, 'lq': part}}
    data = {**data, 'degradation': None, 'clips': clips}
    (tmp_path / 'set.json').write_text(json.dumps(data))
    with pytest.raises(ValueError, match='not a test set'):
        read_manifest(tmp_path / 'set.json')


def test_good_set(root):
    assert found(root) == []
    check_test_set(root, read_manifest(root / 'set.json'))


def test_missing_and_stray_frames(root):
    (root / 'lq' / 'b' / '00000005.png').unlink()
    (root / 'lq' / 'b' / 'notes.txt').write_text('a stray file')
    assert found(root) == [
        'lq/b lacks 00000005.png',
        'lq/b has notes.txt, not listed',
    ]
    (root / 'lq' / 'b' / '.hidden').write_text('of no concern')
    with pytest.raises(
        ValueError,
        match=r'set differs from its set.json: lq/b lacks 00000005.png \(1 ',
    ):
        check_test_set(root, read_manifest(root / 'set.json'))


def test_missing_and_stray_clips(root):
    (root / 'lq' / 'a').rename(root / 'lq' / 'c')
    shutil.rmtree(root / 'gt')
    assert found(root) == [
        'gt/ lacks a, b',
        'lq/ lacks a',
        'lq/ has c, not listed',
    ]


def test_wrong_size(root):
    frame = np.zeros((12, 20, 3), np.uint8)
    cv2.imwrite(str(root / 'lq' / 'a' / '00000003.png'), frame)
    assert found(root) == ['lq/a/00000003.png is 20x12, not 16x12']
    (root / 'lq' / 'a' / '00000003.png').write_bytes(b'')
    (line,) = found(root)
    assert line.startswith('lq/a cannot be read')


def test_videos(tmp_path):
    root = tmp_path / 'set'
    write_set(root, ffv1=True)
    assert sorted(p.name for p in (root / 'lq').iterdir()) == [
        *('a.mkv', 'b.mkv')
    ]
    assert found(root) == []
    options = {'codec': 'ffv1', 'pix_fmt': 'bgr0'}
    write_clip(root / 'lq' / 'a.mkv', pictures(7, 16, 12), **options)
    write_clip(root / 'lq' / 'b.mkv', pictures(8, 16, 16), **options)
    assert found(root) == [
        'lq/a.mkv has 7 frames, not 8',
        'lq/b.mkv is 16x16, not 16x12',
    ]
    (root / 'lq' / 'a.mkv').rename(root / 'lq' / 'a.mp4')
    assert found(root)[:2] == [
        *('lq/ lacks a.mkv', 'lq/ has a.mp4, not listed')
    ]


def test_hash_is_of_pixels(tmp_path):
    frames = pictures(5)
    folder = write_frames(tmp_path / 'x', frames)
    expected = hashlib.sha256(frames.tobytes()).hexdigest()
    assert hash_frames(folder) == expected
    # compressed in another way: other files, the same pixels
    name = str(folder / '00000001.png')
    before = (folder / '00000001.png').read_bytes()
    cv2.imwrite(name, frames[1, ..., ::-1], [cv2.IMWRITE_PNG_COMPRESSION, 0])
    assert (folder / '00000001.png').read_bytes() != before
    assert hash_frames(folder) == expected


def test_changed_pixels(root):
    entries = read_manifest(root / 'set.json').clips
    assert check_pixels(root, entries['a']) == []
    path = root / 'gt' / 'a' / '00000007.png'
    frame = cv2.imread(str(path))
    frame[0, 0, 0] ^= 1
    cv2.imwrite(str(path), frame)
    assert found(root) == []  # nothing that shows without decoding
    assert check_pixels(root, entries['a']) == ['gt/a has other pixels']
    path.write_bytes(b'no image')
    (line,) = check_pixels(root, entries['a'])
    assert line.startswith('gt/a cannot be read')
    assert check_pixels(root, entries['b']) == []
