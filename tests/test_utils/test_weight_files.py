"""Published files of weights are found, checked and downloaded once."""

import hashlib
import os
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest

from star.utils.paths import asset_path
from star.utils.weight_files import (
    WeightFile,
    choose_file,
    fetch,
    find_file,
    find_local,
)

CONTENT = b'weights' * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()


def known(url: str, sha256: str = DIGEST, **more) -> WeightFile:
    return WeightFile('net.pth', url, sha256, **more)


def find(file: WeightFile, folder: Path | None = None, **more) -> Path:
    return find_file([file], folder, **more)


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
    file = known(f'{server}/there.pth')
    path = find(file)
    assert path == cache / 'net.pth'
    assert path.read_bytes() == CONTENT
    (tmp_path / 'served' / 'there.pth').unlink()
    assert find(file) == path
    assert os.listdir(cache) == ['net.pth']


def test_refuses_a_wrong_download(tmp_path: Path, cache: Path, server: str):
    (tmp_path / 'served' / 'there.pth').write_bytes(CONTENT[:-1])
    with pytest.raises(ValueError, match='SHA-256 is'):
        find(known(f'{server}/there.pth'))
    assert os.listdir(cache) == []


def test_tells_what_to_do_where_nothing_is_served(server: str):
    with pytest.raises(ValueError) as error:
        find(known(f'{server}/there.pth'))
    text = str(error.value)
    assert 'net.pth is not in the cache and cannot be downloaded' in text
    assert f'{server}/there.pth (' in text
    assert '404' in text
    assert text.endswith('or its folder with `weights_dir`')
    assert '\n' not in text


def test_tells_where_to_put_what_has_no_address(tmp_path: Path):
    with pytest.raises(ValueError, match=r'net\.pth is not in .*weights_dir'):
        find(known(''), tmp_path)
    rule = r'not in .*; get it from a\.org/b, use --weights'
    with pytest.raises(ValueError, match=rule):
        find(known('', source='a.org/b'), tmp_path, hint='use --weights')


def test_order_of_places(tmp_path: Path, cache: Path):
    file = known('', names=('other.pth',))
    cache.mkdir(parents=True)
    (cache / 'net.pth').write_bytes(CONTENT)
    assert find(file) == cache / 'net.pth'
    folder = tmp_path / 'folder'
    folder.mkdir()
    assert find(file, folder) == cache / 'net.pth'
    (folder / 'other.pth').write_bytes(CONTENT)
    assert find(file, folder) == folder / 'other.pth'
    (folder / 'net.pth').write_bytes(CONTENT)
    assert find(file, folder) == folder / 'net.pth'


def test_refuses_another_file_of_that_name(tmp_path: Path):
    (tmp_path / 'net.pth').write_bytes(b'other')
    with pytest.raises(ValueError, match=f'net.pth: SHA-256 is .* {DIGEST}'):
        find(known(''), tmp_path)


def test_a_prefix_of_the_digest_does(tmp_path: Path):
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    found = find(known('', DIGEST[:8]), tmp_path)
    assert found == tmp_path / 'net.pth'


def test_finds_what_a_package_brings():
    file = known('', '', package=('tests', 'paths.py'))
    assert find(file).name == 'paths.py'
    with pytest.raises(ValueError, match='is not in'):
        find(known('', '', package=('no_such_package', 'paths.py')))


def test_takes_the_first_that_is_there(tmp_path: Path):
    files = [WeightFile('better.pth'), known('')]
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    assert find_file(files, tmp_path).name == 'net.pth'
    (tmp_path / 'better.pth').write_bytes(b'any')
    assert find_file(files, tmp_path).name == 'better.pth'


def test_a_named_file_goes_before_the_published_one(tmp_path: Path):
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    named = tmp_path / 'anything.bin'
    named.write_bytes(b'not the published one')
    assert choose_file([known('')], named, tmp_path) == named
    found = choose_file([known('')], None, tmp_path)
    assert found == tmp_path / 'net.pth'
    with pytest.raises(ValueError, match=r'there is no file none\.pth'):
        choose_file([known('')], 'none.pth', tmp_path)


def test_looking_without_verifying(tmp_path: Path):
    (tmp_path / 'net.pth').write_bytes(b'other')
    assert find_local(known(''), None) is None
    found = find_local(known(''), tmp_path, verify=False)
    assert found == tmp_path / 'net.pth'


def test_a_file_that_ships_with_the_package():
    name = 'star_tiny_compact.safetensors'
    assert fetch(WeightFile(name)) == asset_path(name)
    with pytest.raises(FileNotFoundError, match='no_such_file'):
        fetch(WeightFile('no_such_file'))


def test_hub(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    asked = []

    def download(repo: str, name: str, local_files_only: bool) -> str:
        asked.append((repo, name, local_files_only))
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.write_bytes(CONTENT)
        return str(path)

    def look(repo: str, name: str) -> str | None:
        path = tmp_path / name
        return str(path) if path.is_file() else None

    monkeypatch.setattr('huggingface_hub.hf_hub_download', download)
    monkeypatch.setattr('huggingface_hub.try_to_load_from_cache', look)
    file = WeightFile('a/b.pt', repo='org/c', beside=['v'], sha256=DIGEST)
    assert find_local(file) is None
    assert fetch(file) == find_local(file) == tmp_path / 'a/b.pt'
    assert fetch(file, offline=True) == tmp_path / 'a/b.pt'
    names = [(name, offline) for _, name, offline in asked]
    assert names == [(n, o) for o in (False, True) for n in ('a/b.pt', 'a/v')]
    with pytest.raises(ValueError, match='SHA-256'):
        fetch(WeightFile('a/b.pt', repo='org/c', sha256='0'))


def test_refuses_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(ValueError, match='`weights_dir`: there is no folder'):
        find(known(''), tmp_path / 'none')
