"""Published sets are found in their owners' layouts, and counted."""

import hashlib

import pytest

from star.datasets.openvid_table import split_of
from star.datasets.published_sets import REDS30, UDM10, VIDEOLQ
from star.datasets.test_set_sources import (
    check_complete,
    check_published,
    choose,
    choose_held_out,
    find_clips,
    find_folder,
    find_listed,
)
from tests.test_datasets.openvid_tables import (
    make_row,
    write_table,
    write_video,
)
from tests.test_datasets.sets import write_frames
from tests.test_video.clips import pictures, write_clip

FRAMES = pictures(2, 32, 16)


def lay_out(root, *places):
    for place in places:
        write_frames(root / place, FRAMES)
    return root


def names(root, published):
    return {
        name: path.relative_to(root).as_posix()
        for name, path in find_clips(root, published).items()
    }


@pytest.mark.parametrize(
    ('place', 'other'),
    [
        ('{}/truth', '{}/blur4'),
        ('udm10/{}/truth', 'udm10/{}/blur4'),
        ('GT/{}', 'BDx4/{}'),
        ('UDM10/GT/{}', 'UDM10/BIx4/{}'),
        ('{}', '.hidden/{}'),
    ],
)
def test_layouts_of_udm10(tmp_path, place, other):
    clips = ('archpeople', 'caffe')
    places = [p.format(name) for name in clips for p in (place, other)]
    lay_out(tmp_path, *places)
    assert names(tmp_path, UDM10) == {n: place.format(n) for n in clips}


@pytest.mark.parametrize('place', ['val_sharp', 'val/val_sharp', '.'])
def test_layouts_of_reds(tmp_path, place):
    lay_out(tmp_path / place, '000', '029')
    found = find_clips(tmp_path, REDS30)
    assert list(found) == ['000', '029']


def test_validation_clips_behind_those_of_training(tmp_path):
    for i in range(235, 270):
        write_frames(tmp_path / 'train_sharp' / str(i), FRAMES[:1])
    found = names(tmp_path, REDS30)
    assert found == {f'{i:03}': f'train_sharp/{i + 240}' for i in range(30)}
    below = find_clips(tmp_path / 'train_sharp', REDS30)
    assert list(below) == list(found)


def test_training_clips_are_not_taken_for_them(tmp_path):
    for i in range(31):
        write_frames(tmp_path / f'{i:03}', FRAMES[:1])
    found = find_clips(tmp_path, REDS30)
    with pytest.raises(ValueError, match=r'REDS30 has 30 clips, .* are 31:'):
        check_complete(found, REDS30)


@pytest.mark.parametrize(
    'place', ['VideoLQ/{}', '{}', 'LQ/{}', 'VideoLQ/LQ/{}']
)
def test_layouts_of_videolq(tmp_path, place):
    lay_out(tmp_path, place.format('000'), place.format('049'))
    expected = {n: place.format(n) for n in ('000', '049')}
    assert names(tmp_path, VIDEOLQ) == expected


def test_videos_instead_of_frames(tmp_path):
    (tmp_path / 'LQ-Video').mkdir()
    write_clip(tmp_path / 'LQ-Video' / '007.mkv', FRAMES)
    (tmp_path / 'LQ-Video' / 'readme.txt').write_text('no clip')
    assert names(tmp_path, VIDEOLQ) == {'007': 'LQ-Video/007.mkv'}


def test_nothing_found(tmp_path):
    with pytest.raises(ValueError, match='no clip of UDM10; looked for'):
        find_clips(tmp_path, UDM10)
    with pytest.raises(ValueError, match=r'no such folder: .*none'):
        find_clips(tmp_path / 'none', UDM10)


def test_counts_and_sizes(tmp_path):
    # 1272x720 without the work of writing it: any picture of that size
    large = pictures(1, 1272, 720).repeat(32, 0)
    good = {'caffe': write_clip(tmp_path / 'caffe.mp4', large)}
    check_published(good, UDM10)
    short = {'lake': write_clip(tmp_path / 'lake.mp4', large[:31])}
    with pytest.raises(ValueError, match=r'has 32 frames in each .* has 31;'):
        check_published(short, UDM10)
    small = {'band': write_frames(tmp_path / 'band', pictures(32))}
    with pytest.raises(ValueError, match='is 1272x720, band is 64x48;'):
        check_published(small, UDM10)
    with pytest.raises(ValueError, match='has 10 clips, but there are 1:'):
        check_complete(good, UDM10)
    check_complete(dict.fromkeys(map(str, range(10)), tmp_path), UDM10)


def test_choosing(tmp_path):
    clips = {name: tmp_path / name for name in 'abc'}
    assert choose(clips, None) == clips
    assert list(choose(clips, ['c', 'a'])) == ['a', 'c']
    with pytest.raises(ValueError, match='`clips`: there is no d, only a, b'):
        choose(clips, ['a', 'd'])


def test_any_folder(tmp_path):
    lay_out(tmp_path, 'gt/a', 'lq/a', 'plain/b')
    (tmp_path / 'plain' / 'empty').mkdir()
    write_clip(tmp_path / 'plain' / 'c.mp4', FRAMES)
    found = find_folder(tmp_path, False)
    gt, lq = {'a': tmp_path / 'gt' / 'a'}, {'a': tmp_path / 'lq' / 'a'}
    assert found == {'gt': gt, 'lq': lq}
    assert list(find_folder(tmp_path / 'plain', False)['gt']) == ['b', 'c']
    assert list(find_folder(tmp_path / 'plain', True)) == ['lq']
    (tmp_path / 'text').mkdir()
    (tmp_path / 'text' / 'b.txt').write_text('of another')
    with pytest.raises(ValueError, match='text/ lacks a; gt/ lacks b'):
        find_folder(tmp_path, False)


def test_listed_videos(tmp_path):
    videos = tmp_path / 'video'
    write_video(videos / 'b.mp4')
    write_video(videos / 'part' / 'a.mp4')
    listing = tmp_path / 'list.txt'
    listing.write_text('b.mp4\n\na.mp4 \n')
    assert find_listed(videos, listing) == {
        'b': videos / 'b.mp4',
        'a': videos / 'part' / 'a.mp4',
    }
    listing.write_text('c.mp4')
    with pytest.raises(ValueError, match=r'lacks c\.mp4 of .*list\.txt'):
        find_listed(videos, listing)
    with pytest.raises(ValueError, match=r'none\.txt: cannot be read'):
        find_listed(videos, tmp_path / 'none.txt')


def test_held_out_videos(tmp_path):
    """Only held-out clips that are long and large, with the smallest hash."""
    held = [n for n in map(str, range(9000)) if split_of(f'{n}.mp4') == 'test']
    assert len(held) >= 5
    rows = []
    for i, name in enumerate([*held[:5], '0']):
        write_video(tmp_path / 'video' / f'{name}.mp4', 2)
        frames, width = (99 if i == 0 else 100), (639 if i == 1 else 640)
        size = {'width': width, 'height': 360}
        rows.append(make_row(f'{name}.mp4', frame=frames, **size))
    table = write_table(tmp_path / 'verified.csv', rows)
    ranked = sorted(
        held[2:5], key=lambda n: hashlib.sha256(n.encode()).digest()
    )
    arguments = tmp_path / 'video', table
    found = choose_held_out(*arguments, 2, 100, (360, 640))
    assert set(found) == set(ranked[:2])
    with pytest.raises(ValueError, match='needs 4 held-out clips, found 3'):
        choose_held_out(*arguments, 4, 100, (360, 640))
