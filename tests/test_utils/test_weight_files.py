"""Published files of weights are found, checked and downloaded once."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from star.utils.weight_files import WeightFile, file_digest, find_file

CONTENT = b'weights' * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
Known = dict[str, WeightFile]


def known(url: str, sha256: str = DIGEST, **more) -> Known:
    return {'net.pth': WeightFile(url, sha256, 'none', **more)}


def find(table: Known, folder: Path | None = None, **more) -> Path:
    return find_file(table, ['net.pth'], folder, **more)


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep torch hub's cache, and the way to the network, in a folder."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))
    (tmp_path / 'served').mkdir()
    return tmp_path / 'hub' / 'checkpoints'


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path) -> Iterator[str]:
    handler = partial(Quiet, directory=str(tmp_path / 'served'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{http.server_port}'
        http.shutdown()


def test_downloads_once(tmp_path: Path, cache: Path, server: str):
    (tmp_path / 'served' / 'there.pth').write_bytes(CONTENT)
    table = known(f'{server}/there.pth')
    path = find(table)
    assert path == cache / 'net.pth'
    assert path.read_bytes() == CONTENT
    (tmp_path / 'served' / 'there.pth').unlink()
    assert find(table) == path
    assert os.listdir(cache) == ['net.pth']


def test_refuses_a_wrong_download(tmp_path: Path, cache: Path, server: str):
    (tmp_path / 'served' / 'there.pth').write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match='is not the published file'):
        find(known(f'{server}/there.pth'))
    assert os.listdir(cache) == []


def test_tells_what_to_do_where_nothing_is_served(server: str):
    with pytest.raises(ValueError) as error:
        find(known(f'{server}/there.pth'))
    text = str(error.value)
    assert 'net.pth is not in the cache and cannot be downloaded' in text
    assert f'{server}/there.pth (' in text
    assert '404' in text
    assert text.endswith('name that with `weights_dir`')
    assert '\n' not in text


def test_tells_where_to_put_what_has_no_address(tmp_path: Path):
    with pytest.raises(ValueError, match=r'net\.pth is not in .*weights_dir'):
        find(known(''), tmp_path)
    rule = r'not in .*; get it from a\.org/b, use --weights'
    with pytest.raises(ValueError, match=rule):
        find(known('', page='a.org/b'), tmp_path, hint='use --weights')


def test_order_of_places(tmp_path: Path, cache: Path):
    table = known('', names=('other.pth',))
    cache.mkdir(parents=True)
    (cache / 'net.pth').write_bytes(CONTENT)
    assert find(table) == cache / 'net.pth'
    folder = tmp_path / 'folder'
    folder.mkdir()
    assert find(table, folder) == cache / 'net.pth'
    (folder / 'other.pth').write_bytes(CONTENT)
    assert find(table, folder) == folder / 'other.pth'
    (folder / 'net.pth').write_bytes(CONTENT)
    assert find(table, folder) == folder / 'net.pth'


def test_refuses_another_file_of_that_name(tmp_path: Path):
    (tmp_path / 'net.pth').write_bytes(b'other')
    with pytest.raises(ValueError, match=f'not the published .* not {DIGEST}'):
        find(known(''), tmp_path)


def test_a_prefix_of_the_digest_does(tmp_path: Path):
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    found = find(known('', DIGEST[:8]), tmp_path)
    assert file_digest(found) == DIGEST


def test_finds_what_a_package_brings():
    table = known('', '', package=('tests', 'paths.py'))
    assert find(table).name == 'paths.py'
    with pytest.raises(ValueError, match='is not in'):
        find(known('', '', package=('no_such_package', 'paths.py')))


def test_takes_the_first_that_is_there(tmp_path: Path):
    table = known('') | {'better.pth': WeightFile('', '', 'none')}
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    names = ['better.pth', 'net.pth']
    assert find_file(table, names, tmp_path).name == 'net.pth'
    (tmp_path / 'better.pth').write_bytes(b'any')
    assert find_file(table, names, tmp_path).name == 'better.pth'


def test_refuses_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(ValueError, match='`weights_dir`: there is no folder'):
        find(known(''), tmp_path / 'none')
