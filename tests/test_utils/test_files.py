import json
import math
import os
import stat
from pathlib import Path

import pytest

from star.utils.files import (
    atomic_folder,
    atomic_path,
    beside,
    check_writable,
    read_json,
    remove_temporary,
    set_aside,
    sha256_of,
    temporary_path,
    verify_sha256,
    write_json,
    write_text,
)


def test_numbers_that_json_lacks(tmp_path):
    path = tmp_path / 'a' / 'b.json'
    value = {'x': [math.inf, -math.inf, math.nan, 0.1], 'y': (1, None, True)}
    write_json(path, value)
    strict = json.loads(path.read_text(), parse_constant=pytest.fail)
    assert strict == {'x': ['inf', '-inf', 'nan', 0.1], 'y': [1, None, True]}
    assert read_json(path) == strict
    numbers = [float(each) for each in strict['x']]
    assert numbers[:2] == [math.inf, -math.inf] and math.isnan(numbers[2])


def test_a_file_is_replaced_whole(tmp_path):
    path = tmp_path / 'a.json'
    write_json(path, {'n': 1})
    with pytest.raises(TypeError):
        write_json(path, {'n': object()})
    assert read_json(path) == {'n': 1}
    write_text(path, '{"n": 2}\n')
    assert read_json(path) == {'n': 2}
    assert [p.name for p in tmp_path.iterdir()] == ['a.json']


@pytest.mark.parametrize('text', [None, '', '{"n": '])
def test_no_json(tmp_path, text):
    path = tmp_path / 'a.json'
    if text is not None:
        path.write_text(text)
    with pytest.raises(ValueError, match=r'a\.json cannot be read') as caught:
        read_json(path)
    assert len(str(caught.value).splitlines()) == 1


class Stop(Exception):
    pass


def names(folder):
    return sorted(path.name for path in folder.iterdir())


def mode_of(path):
    return stat.S_IMODE(path.stat().st_mode)


@pytest.fixture
def umask():
    old = os.umask(0o027)
    yield
    os.umask(old)


def test_a_file_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'a.bin'
    with atomic_path(path) as temporary:
        assert temporary.parent == path.parent
        temporary.write_bytes(b'one')
        assert not path.exists()
    assert path.read_bytes() == b'one' and names(path.parent) == ['a.bin']
    with atomic_path(path) as temporary:
        temporary.write_bytes(b'two')
        assert path.read_bytes() == b'one'
    assert path.read_bytes() == b'two' and names(path.parent) == ['a.bin']


@pytest.mark.parametrize('error', [Stop, KeyboardInterrupt])
def test_a_failure_leaves_the_old_file(tmp_path, error):
    path = tmp_path / 'a.bin'
    path.write_bytes(b'old')
    with pytest.raises(error), atomic_path(path) as temporary:
        temporary.write_bytes(b'ne')
        raise error
    assert path.read_bytes() == b'old' and names(tmp_path) == ['a.bin']


@pytest.mark.skipif(os.name == 'nt', reason='no permission bits')
def test_permissions_are_those_of_a_created_file(tmp_path, umask):
    path = tmp_path / 'a.safetensors'
    with atomic_path(path) as temporary:
        temporary.unlink()
        temporary.write_bytes(b'private')
        temporary.chmod(0o600)
    (tmp_path / 'of_others').touch(mode=0o600)
    with atomic_folder(tmp_path / 'folder') as temporary:
        (temporary / 'below').mkdir()
        for place in (temporary, temporary / 'below'):
            (place / 'a').touch(mode=0o600)
            (place / 'run').touch(mode=0o700)
        (temporary / 'link').symlink_to(tmp_path / 'of_others')
        (temporary / 'same').hardlink_to(tmp_path / 'of_others')
    assert mode_of(path) == 0o640
    assert mode_of(tmp_path / 'folder') == 0o750
    for place in (tmp_path / 'folder', tmp_path / 'folder' / 'below'):
        assert mode_of(place / 'a') == 0o640
        assert mode_of(place / 'run') == 0o740
    assert mode_of(tmp_path / 'of_others') == 0o600


def test_a_folder_that_cannot_be_written_to(tmp_path, monkeypatch):
    check_writable(tmp_path)
    check_writable(tmp_path / 'new' / 'run')
    assert list(tmp_path.iterdir()) == []
    (tmp_path / 'file').touch()
    (tmp_path / 'broken').symlink_to(tmp_path / 'gone')
    for name in ('file', 'file/run', 'broken/run'):
        with pytest.raises(NotADirectoryError, match='is not a folder'):
            check_writable(tmp_path / name)
    monkeypatch.setattr(os, 'access', lambda path, _: path != tmp_path)
    with pytest.raises(PermissionError, match=f'{tmp_path} is not writable'):
        check_writable(tmp_path / 'new' / 'run')


def test_a_folder_appears_when_it_is_complete(tmp_path):
    path = tmp_path / 'new' / 'iter_1'
    with atomic_folder(path) as temporary:
        (temporary / 'a').write_text('1')
        assert not path.exists()
    assert names(path) == ['a'] and names(path.parent) == ['iter_1']


def test_a_folder_is_replaced_only_on_demand(tmp_path):
    path = tmp_path / 'set'
    path.mkdir()
    (path / 'old').touch()
    with pytest.raises(FileExistsError), atomic_folder(path):
        pytest.fail('the body was entered')
    with pytest.raises(Stop), atomic_folder(path, replace=True) as temporary:
        (temporary / 'new').touch()
        raise Stop
    assert names(tmp_path) == ['set'] and names(path) == ['old']
    with atomic_folder(path, replace=True) as temporary:
        (temporary / 'new').touch()
        assert names(path) == ['old']
    assert names(tmp_path) == ['set'] and names(path) == ['new']


def test_a_folder_that_appears_meanwhile_stays(tmp_path):
    path = tmp_path / 'set'
    with pytest.raises(FileExistsError), atomic_folder(path) as temporary:
        (temporary / 'ours').touch()
        path.mkdir()
        (path / 'theirs').touch()
    assert names(tmp_path) == ['set'] and names(path) == ['theirs']


def test_a_folder_keeps_its_name_when_the_new_one_cannot_take_it(
    tmp_path, monkeypatch
):
    path = tmp_path / 'set'
    path.mkdir()
    (path / 'old').touch()
    rename = Path.rename

    def fail(self, target):
        if target == path and (self / 'new').exists():
            raise OSError('no')
        return rename(self, target)

    monkeypatch.setattr(Path, 'rename', fail)
    with (
        pytest.raises(OSError, match='no'),
        atomic_folder(path, replace=True) as temporary,
    ):
        (temporary / 'new').touch()
    assert names(tmp_path) == ['set'] and names(path) == ['old']


def test_temporary_names_are_found_again(tmp_path):
    for name in 'a.json', 'b.mp4':
        temporary_path(tmp_path / name).write_text('half')
        temporary_path(tmp_path / name, keep_suffix=True).write_text('half')
    set_aside_folder = tmp_path / 'iter_1'
    set_aside_folder.mkdir()
    (set_aside_folder / 'file').touch()
    set_aside(set_aside_folder)
    (tmp_path / 'kept.part-1').touch()
    assert [p.name for p in tmp_path.glob('*.json')] == [
        p.name for p in tmp_path.glob('.a.part-*.json')
    ]
    remove_temporary(tmp_path, 'a')  # not the one that was for a.json
    remove_temporary(tmp_path, 'b.mp4')
    assert len(names(tmp_path)) == 4
    remove_temporary(tmp_path)
    assert names(tmp_path) == ['kept.part-1']


@pytest.mark.parametrize('letter', ['a', 'é', '中', '\udce9'])
@pytest.mark.parametrize('ending', ['', '.mp4'])
def test_names_beside_a_long_name_fit(tmp_path, letter, ending):
    room = 255 - len(ending)
    stem = letter * (room // len(os.fsencode(letter)))
    path = tmp_path / (stem + ending)
    path.touch()  # the file system takes it
    others = [
        temporary_path(path),
        temporary_path(path, keep_suffix=True),
        beside(path, '.', '.star'),
        beside(path, suffix='.star.json'),
    ]
    for other in others:
        other.touch()
        assert stem.startswith(other.name[1:50])
    assert others[1].name.endswith(ending)
    assert others[2].name.endswith('.star')
    with atomic_path(path) as temporary:
        temporary.write_text('new')
    assert path.read_text() == 'new'


@pytest.mark.parametrize('write', [atomic_path, atomic_folder])
def test_errors_name_the_target(tmp_path, write):
    path = tmp_path / ('a' * 300)
    with pytest.raises(OSError, match='name too long') as caught, write(path):
        pass
    assert str(caught.value).endswith(f"'{path}'")
    assert not list(tmp_path.iterdir())


def test_names_beside_differ_as_the_names_do(tmp_path):
    assert beside(tmp_path / 'a.mp4', '.', '.star').name == '.a.mp4.star'
    first, second = (
        tmp_path / ('a' * 250 + end) for end in ('b.gif', 'c.gif')
    )
    assert beside(first, '.', '.star') == beside(first, '.', '.star')
    assert beside(first, '.', '.star') != beside(second, '.', '.star')


def test_sha256(tmp_path):
    path = tmp_path / 'a'
    path.write_bytes(b'abc')  # FIPS 180-2, appendix B.1
    expected = (
        'ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad'
    )
    assert sha256_of(path) == expected
    verify_sha256(path, expected)
    verify_sha256(path, expected[:8].upper())
    with pytest.raises(ValueError, match=rf'{path}.*{expected}'):
        verify_sha256(path, '0' * 64)
