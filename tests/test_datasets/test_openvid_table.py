import hashlib
import math

import pytest

from star.datasets.openvid_table import (
    COLUMNS,
    ClipFilter,
    Entry,
    describe,
    find_files,
    locate,
    make_filter,
    read_entries,
    select,
    source_of,
    split_of,
)
from tests.test_datasets.openvid_tables import make_row, write_table

HELD_OUT = ['clip527', 'clip614', 'clip1300', 'clip2474']


def entry(video='a.mp4', **fields):
    values = {
        'caption': '',
        'aesthetic': 5.0,
        'motion': 4.0,
        'consistency': 0.98,
        'num_frames': 100,
    }
    return Entry(video, **{**values, **fields})


def test_own_table(tmp_path):
    caption = 'Says "hello", über\nzwei Zeilen.'
    rows = [
        make_row('a_1_0to20.mp4', caption=caption),
        make_row('b.mp4', frame='121.0', motion_score=''),
    ]
    path = write_table(tmp_path / 't.csv', rows)
    first, second = read_entries(path)
    assert first == Entry('a_1_0to20.mp4', caption, 5.1, 3.5, 0.99, 20)
    assert second.num_frames == 121 and math.isnan(second.motion)
    path.write_bytes(b'\xef\xbb\xbf' + path.read_bytes())
    assert next(read_entries(path)) == first


def test_verified_table_has_sizes(tmp_path):
    rows = [make_row('a.mp4', width=1920, height=1080)]
    (found,) = read_entries(write_table(tmp_path / 't.csv', rows))
    assert (found.width, found.height) == (1920, 1080)


def test_missing_columns_and_wrong_cells(tmp_path):
    path = tmp_path / 't.csv'
    with pytest.raises(ValueError, match=r't\.csv: no such table'):
        list(read_entries(path))
    write_table(path, [make_row('a.mp4')], ['video', 'caption', 'fps'])
    lacking = ', '.join(c for c in COLUMNS[2:] if c != 'fps')
    with pytest.raises(ValueError, match=f'lacks the columns {lacking}; '):
        list(read_entries(path))
    for cells, message in (
        ({'frame': ''}, r"clip 2 \('b.mp4'\): the cell `frame` .* got ''"),
        ({'aesthetic score': 'x'}, "`aesthetic score` must .* got 'x'"),
        ({'video': ''}, 'the cell `video` is empty'),
    ):
        rows = [make_row('a.mp4'), make_row('b.mp4') | cells]
        write_table(path, rows)
        with pytest.raises(ValueError, match=message) as error:
            list(read_entries(path))
        assert '\n' not in str(error.value)
    write_table(path, [make_row('a.mp4')])
    path.write_text(path.read_text() + 'b.mp4' + ',1' * 9 + '\n')
    with pytest.raises(ValueError, match='line 3: more cells than columns'):
        list(read_entries(path))


def test_source():
    assert source_of('part1/KX8s-_q_12_30to121.mp4') == 'KX8s-_q'
    assert source_of('KX8s-_q_7_0to99.mp4') == 'KX8s-_q'
    assert source_of('celebv_x_3_0.mp4') == 'celebv_x_3_0'


def test_split_is_fixed_forever():
    """By the published definition of SHA-256, and stored results."""
    names = [f'clip{i}' for i in range(100000)]
    held_out = [name for name in names if split_of(f'{name}.mp4') == 'test']
    for name in held_out:
        first = hashlib.sha256(name.encode()).hexdigest()[:16]
        assert int(first, 16) % 1000 == 0
    assert held_out[:4] == HELD_OUT
    assert 70 < len(held_out) < 130
    name = held_out[0]
    for other in (f'{name}_3_0to9.mp4', f'x/{name}_12_9to20.mkv', name):
        assert split_of(other) == 'test'


def test_every_filter():
    rules = ClipFilter(
        min_width=64,
        min_height=48,
        min_frames=30,
        min_aesthetic=4.5,
        min_motion=1,
        max_motion=10,
        min_consistency=0.9,
    )
    large = {'width': 64, 'height': 48}
    assert rules.reason(entry(num_frames=30, **large)) == ''
    assert rules.reason(entry()) == ''  # a size that nobody knows
    cases = [
        ({'num_frames': 29}, 'of fewer than 30 frames'),
        ({'width': 63, 'height': 48}, 'smaller than 64x48'),
        ({'width': 640, 'height': 47}, 'smaller than 64x48'),
        ({'aesthetic': 4.4}, 'of aesthetic score below 4.5'),
        ({'motion': 0.5}, 'of motion score below 1'),
        ({'motion': 10.5}, 'of motion score above 10'),
        ({'motion': math.nan}, 'of motion score below 1'),
        ({'consistency': 0.89}, 'of consistency score below 0.9'),
    ]
    for fields, reason in cases:
        assert rules.reason(entry(**fields)) == reason
    assert ClipFilter().reason(entry(motion=math.nan)) == ''


def test_options_of_a_filter():
    assert make_filter({'min_width': 9}) == ClipFilter(min_width=9)
    with pytest.raises(ValueError, match=r'`filters` .* got min_size, widht'):
        make_filter({'widht': 1, 'min_size': 2})


def test_files_are_found_by_path_and_by_name(tmp_path):
    for name in ('a.mp4', 'p2/b.mp4', 'p1/b.mp4', 'p1/c.mp4'):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    files = find_files(tmp_path)
    assert locate('a.mp4', files) == 'a.mp4'
    assert locate('b.mp4', files) == 'p1/b.mp4'
    assert locate('p2/b.mp4', files) == 'p2/b.mp4'
    assert locate('elsewhere/c.mp4', files) == 'p1/c.mp4'
    assert locate('d.mp4', files) is None
    with pytest.raises(ValueError, match='none: no such folder of videos'):
        find_files(tmp_path / 'none')


def test_select_counts_by_the_first_reason(tmp_path):
    held_out = f'{HELD_OUT[0]}_1_0to9.mp4'
    listed = tmp_path / 'openvid30.txt'
    listed.write_text('\nc_4_0to9.mp4\n')
    entries = [
        entry('a.mp4'),
        entry('b.mp4', num_frames=3),
        entry('c_9_10to19.mp4'),  # another clip of the source
        entry(held_out),
        entry('e.mp4'),
        entry('f.mp4', num_frames=3),
    ]
    names = ['b.mp4', 'c_9_10to19.mp4', held_out, 'f.mp4']
    files = {name: name for name in names} | {'a.mp4': 'p1/a.mp4'}
    rules = ClipFilter(min_frames=10, exclude=str(listed))
    chosen, removed = select(entries, rules, 'train', files)
    assert [e.video for e in chosen] == ['p1/a.mp4']
    assert dict(removed) == {
        'of fewer than 10 frames': 2,
        'excluded by name': 1,
        "not of the split 'train'": 1,
        'without a file': 1,
    }
    assert describe(removed).startswith('2 of fewer than 10 frames, 1 ')
    chosen, removed = select(entries, rules, 'test', files)
    assert [e.video for e in chosen] == [held_out]
    with pytest.raises(ValueError, match=r"`split` must .*'val'"):
        select(entries, rules, 'val', files)
    rules = ClipFilter(exclude='missing.txt')
    with pytest.raises(ValueError, match=r'`exclude` missing\.txt cannot'):
        select(entries, rules, 'train', files)
