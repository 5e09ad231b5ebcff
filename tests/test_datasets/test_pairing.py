import pytest

from star.datasets.pairing import (
    check_paired,
    list_clips,
    name_some,
    read_caption,
)


def test_clips_by_name(tmp_path):
    for name in ('b.mp4', 'a.x.mkv', '.hidden'):
        (tmp_path / name).touch()
    (tmp_path / 'c.d').mkdir()
    clips = list_clips(tmp_path)
    assert list(clips) == ['a.x', 'b', 'c.d']
    assert clips['a.x'] == tmp_path / 'a.x.mkv'
    (tmp_path / 'b').mkdir()
    with pytest.raises(ValueError, match=r"named 'b': b and b\.mp4; rename"):
        list_clips(tmp_path)


def test_files_of_operating_systems_are_no_clips(tmp_path):
    for name in ('a.mp4', 'Thumbs.db', 'desktop.ini'):
        (tmp_path / name).touch()
    (tmp_path / '@eaDir').mkdir()
    assert list(list_clips(tmp_path)) == ['a']


def test_missing_and_empty_folders(tmp_path):
    with pytest.raises(ValueError, match=r'no such folder: .*none'):
        list_clips(tmp_path / 'none')
    (tmp_path / '.git').mkdir()
    with pytest.raises(ValueError, match='the folder is empty'):
        list_clips(tmp_path)


def test_every_difference_is_told(tmp_path):
    check_paired(tmp_path, {'gt': {'a', 'b'}, 'text': ['b', 'a']}, 'gt')
    with pytest.raises(ValueError) as error:
        check_paired(
            tmp_path,
            {'gt': {'a', 'b'}, 'text': {'a', 'c', 'd'}, 'lq': {'b'}},
            'gt',
        )
    message = str(error.value)
    for part in ('text/ lacks b;', 'gt/ lacks c, d;', 'lq/ lacks a;'):
        assert part in message
    assert '\n' not in message


def test_many_names_are_counted():
    assert name_some({f'n{i}' for i in range(9)}) == (
        'n0, n1, n2, n3, n4 and 4 more'
    )
    assert name_some(['b', 'a']) == 'a, b'


def test_captions(tmp_path):
    path = tmp_path / 'a.txt'
    path.write_text('Ein Bär\n  läuft.\n', encoding='utf-8')
    assert read_caption(path) == 'Ein Bär läuft.'
    path.write_bytes(b'\xff\xfe\x00')
    with pytest.raises(ValueError, match=r'a\.txt: not readable'):
        read_caption(path)
