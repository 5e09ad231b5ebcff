"""Tests of preparing a set: copies, inputs, resumption."""

import json
import os

import numpy as np
import pytest

from star.datasets.test_set import StoredClip, read_manifest
from star.datasets.test_set_clips import PrepareOptions, degrade_clip
from star.datasets.test_set_writer import SetWriter, remove_clip
from star.datasets.video_folder import read_clip
from star.utils.files import temporary_path
from tests.test_datasets.sets import write_frames, write_set
from tests.test_video.clips import pictures, write_clip


def prepare(root, name, sources, **options):
    writer = SetWriter(root, PrepareOptions(**options))
    return writer.prepare(name, sources).entry


def test_files_and_values(tmp_path):
    root = tmp_path / 'set'
    manifest = write_set(root)
    assert read_manifest(root / 'set.json') == manifest
    assert manifest.degradation == {
        'type': 'RealESRGANVideoDegradation',
        'version': 1,
        'preset': 'star',
        'scale': 4,
        'seed': 0,
    }
    for i, name in enumerate('ab'):
        gt = pictures(8, seed=i)
        lq, record = degrade_clip(name, gt, PrepareOptions())
        assert np.array_equal(read_clip(root / 'gt' / name)[0], gt)
        assert np.array_equal(read_clip(root / 'lq' / name)[0], lq)
        file = root / 'records' / f'{name}.json'
        assert json.loads(file.read_text())['degradation'] == record
    entry = manifest.clips['b']
    assert (entry.frames, entry.fps) == (8, None)
    assert (entry.gt.size, entry.lq.size) == ((48, 64), (12, 16))
    assert sorted(os.listdir(root)) == ['gt', 'lq', 'records', 'set.json']
    assert sorted(os.listdir(root / 'gt')) == ['a', 'b']


def test_same_set_from_another_order(tmp_path):
    """A clip depends neither on the clips before it nor on an interruption."""
    write_set(tmp_path / 'one')
    source, other = tmp_path / 'source_one', tmp_path / 'two'
    for name in 'ba':
        prepare(other, name, {'gt': source / name})
    SetWriter(other, PrepareOptions()).finish('mini', 'made for a test')
    one, two = (
        {
            path.relative_to(root): path.read_bytes()
            for path in root.rglob('*')
            if path.is_file()
        }
        for root in (tmp_path / 'one', other)
    )
    assert len(one) == 35 and one == two


def test_unchanged_files_are_taken_as_they_are(tmp_path):
    video = write_clip(tmp_path / 'x.mp4', pictures(6))
    folder = write_frames(tmp_path / 'y', pictures(6), 'frame{}.jpg')
    root = tmp_path / 'set'
    entry = prepare(root, 'v', {'lq': video})
    assert entry.lq.path == 'lq/v.mp4' and entry.lq.files is None
    assert (root / 'lq' / 'v.mp4').read_bytes() == video.read_bytes()
    assert entry.fps == 25.0
    entry = prepare(root, 'w', {'lq': folder})
    assert (entry.lq.path, entry.lq.files) == ('lq/w', '%08d.jpg')
    copy = root / 'lq' / 'w' / '00000003.jpg'
    assert copy.read_bytes() == (folder / 'frame3.jpg').read_bytes()
    assert entry.gt is None
    manifest = SetWriter(root, PrepareOptions()).finish('real', '')
    assert manifest.degradation is None


def test_links(tmp_path):
    video = write_clip(tmp_path / 'x.mp4', pictures(6))
    folder = write_frames(tmp_path / 'y', pictures(6), 'f{}.png')
    root = tmp_path / 'set'
    prepare(root, 'v', {'lq': video}, link=True)
    prepare(root, 'w', {'lq': folder}, link=True)
    assert (root / 'lq' / 'v.mp4').readlink() == video
    assert (root / 'lq' / 'w' / '00000002.png').readlink() == folder / 'f2.png'
    remove_clip(root / 'lq', 'w')
    assert (folder / 'f2.png').exists() and not (root / 'lq' / 'w').exists()


def test_cut_files_are_written_anew(tmp_path):
    video = write_clip(tmp_path / 'x.mp4', pictures(6))
    entry = prepare(tmp_path / 'set', 'v', {'lq': video}, num_frames=4)
    assert (entry.frames, entry.lq.path) == (4, 'lq/v')
    pixels, _ = read_clip(video)
    written, _ = read_clip(tmp_path / 'set' / 'lq' / 'v')
    assert np.array_equal(written, pixels[:4])


def test_files_that_do_not_tell_their_frames(tmp_path):
    """In a folder with two suffixes one frame has not the listed name."""
    folder = write_frames(tmp_path / 'y', pictures(4), '{}.png')
    (folder / '3.png').unlink()
    write_frames(tmp_path / 'z', pictures(1), '{}.bmp')
    (tmp_path / 'z' / '0.bmp').rename(folder / '3.bmp')
    entry = prepare(tmp_path / 'set', 'v', {'lq': folder})
    assert entry.lq == StoredClip(
        'lq/v', (48, 64), entry.lq.sha256, '%08d.png'
    )
    assert sorted(os.listdir(tmp_path / 'set' / 'lq' / 'v')) == [
        f'{i:08d}.png' for i in range(4)
    ]


def test_given_pairs_and_prompts(tmp_path):
    lq = write_frames(tmp_path / 'lq', pictures(5, 16, 12))
    gt = write_frames(tmp_path / 'gt', pictures(5))
    (tmp_path / 'x.txt').write_text('a picture')
    sources = {'gt': gt, 'lq': lq, 'text': tmp_path / 'x.txt'}
    entry = prepare(tmp_path / 'set', 'v', sources, size=(40, 32))
    assert (entry.gt.size, entry.lq.size) == ((40, 32), (10, 8))
    text = tmp_path / 'set' / 'text' / 'v.txt'
    assert text.read_text() == 'a picture'
    with pytest.raises(ValueError, match='do not match'):
        prepare(tmp_path / 'other', 'v', {'gt': lq, 'lq': lq})


def test_what_is_done_stays(tmp_path):
    root = tmp_path / 'set'
    write_set(root)
    before = (root / 'set.json').read_bytes()
    stamps = {p: p.stat().st_mtime_ns for p in root.rglob('*.png')}
    writer = SetWriter(root, PrepareOptions())
    source = tmp_path / 'source_set' / 'a'
    assert writer.prepare('a', {'gt': source}).seconds is None
    writer.finish('mini', 'made for a test')
    assert {p: p.stat().st_mtime_ns for p in root.rglob('*.png')} == stamps
    # a damaged one is made anew, and is what it was
    (root / 'lq' / 'a' / '00000002.png').unlink()
    writer = SetWriter(root, PrepareOptions())
    assert writer.prepare('a', {'gt': source}).seconds > 0
    assert not (root / 'set.json').exists()  # until all are done
    writer.finish('mini', 'made for a test')
    assert (root / 'set.json').read_bytes() == before


def test_leavings_of_a_killed_run(tmp_path):
    root = tmp_path / 'set'
    manifest = write_set(root)
    for clip in 'ab':
        (root / 'records' / f'{clip}.json').unlink()
    (root / 'set.json').unlink()
    (root / 'gt' / '.a.part-77').mkdir()
    (root / 'lq' / '.a.part-77-0').mkdir()
    (root / 'lq' / 'b' / '00000007.png').unlink()
    leavings = [
        temporary_path(root / 'records' / 'a.json'),
        temporary_path(root / 'set.json'),
    ]
    for path in leavings:
        path.write_text('{')
    assert write_set(root) == manifest
    assert not any(path.exists() for path in leavings)
    assert sorted(os.listdir(root / 'gt')) == ['a', 'b']
    assert sorted(os.listdir(root / 'lq')) == ['a', 'b']


def test_other_folders_and_options_are_refused(tmp_path):
    root = tmp_path / 'set'
    write_set(root)
    with pytest.raises(ValueError, match='other options, seed 0 not 1:'):
        SetWriter(root, PrepareOptions(seed=1))
    (tmp_path / 'mine').mkdir()
    SetWriter(tmp_path / 'mine', PrepareOptions())  # empty, so it may
    (tmp_path / 'yours').mkdir()
    (tmp_path / 'yours' / 'letter').write_text('dear')
    with pytest.raises(ValueError, match='yours holds other files'):
        SetWriter(tmp_path / 'yours', PrepareOptions())


def test_removing_leaves_others(tmp_path):
    for name in ('a', 'ab', '.a.part-1', '.ab.part-1'):
        (tmp_path / name).mkdir()
    for name in ('a.mkv', 'a.b.mkv', '.a.part-1-0.mkv'):
        (tmp_path / name).write_bytes(b'')
    remove_clip(tmp_path, 'a')
    assert sorted(os.listdir(tmp_path)) == ['.ab.part-1', 'a.b.mkv', 'ab']
    remove_clip(tmp_path / 'none', 'a')
