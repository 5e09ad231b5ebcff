"""Files of weights are found, checked, and read without running code."""

import hashlib
import os
import pickle
import re
from collections.abc import Iterator
from functools import partial
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from star.evaluation.weight_files import FILES, WeightFile
from star.evaluation.weights import (
    file_digest,
    fill,
    find_any,
    find_weights,
    load_state,
)
from tests.paths import WEIGHTS

CONTENT = b'weights' * 1000
DIGEST = hashlib.sha256(CONTENT).hexdigest()
STATE = {'weight': torch.arange(6.0).view(2, 3), 'bias': torch.ones(2)}


def test_reads_both_kinds(tmp_path):
    save_file(STATE, tmp_path / 'a.safetensors')
    torch.save(STATE, tmp_path / 'b.pth')
    for name in ('a.safetensors', 'b.pth'):
        state = load_state(tmp_path / name)
        assert state.keys() == STATE.keys()
        assert all(torch.equal(state[k], STATE[k]) for k in STATE)


class Code:
    def __reduce__(self):
        return print, ('it ran',)


def test_runs_no_code(tmp_path, capsys: pytest.CaptureFixture):
    path = tmp_path / 'evil.pth'
    path.write_bytes(pickle.dumps({'weight': Code()}))
    with pytest.raises(ValueError, match=r'evil\.pth'):
        load_state(path)
    assert 'it ran' not in capsys.readouterr().out


@pytest.mark.parametrize('content', [b'', b'noise' * 100])
def test_refuses_noise(tmp_path, content: bytes):
    for name in ('a.pth', 'a.safetensors'):
        (tmp_path / name).write_bytes(content)
        with pytest.raises(ValueError, match=f'`weights`: .*{name}'):
            load_state(tmp_path / name)


def test_refuses_what_is_no_state_dict(tmp_path):
    torch.save({'epoch': 3}, tmp_path / 'a.pth')
    with pytest.raises(ValueError, match='holds no state dict'):
        load_state(tmp_path / 'a.pth')


def test_fill_is_strict():
    layer = nn.Linear(3, 2)
    fill(layer, STATE, 'file')
    assert torch.equal(layer.weight, STATE['weight'])
    with pytest.raises(ValueError, match=r'file does not fit: .*bias'):
        fill(layer, {'weight': STATE['weight']}, 'file')
    with pytest.raises(ValueError, match='does not fit'):
        fill(nn.Linear(4, 2), STATE, 'file')


@pytest.fixture
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Keep torch hub's cache, and the way to the network, in a folder."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))
    (tmp_path / 'served').mkdir()
    return tmp_path / 'hub' / 'checkpoints'


@pytest.fixture
def known(monkeypatch: pytest.MonkeyPatch):
    """Add a file to the table."""

    def add(url: str, sha256: str = DIGEST, **more) -> None:
        entry = WeightFile(url, sha256, 'none', **more)
        monkeypatch.setitem(FILES, 'net.pth', entry)

    return add


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *args: object) -> None:
        pass


@pytest.fixture
def server(tmp_path: Path, cache: Path) -> Iterator[str]:
    handler = partial(Quiet, directory=str(tmp_path / 'served'))
    with ThreadingHTTPServer(('127.0.0.1', 0), handler) as http:
        Thread(target=http.serve_forever, daemon=True).start()
        yield f'http://127.0.0.1:{http.server_port}'
        http.shutdown()


def test_downloads_once(tmp_path: Path, cache: Path, server: str, known):
    (tmp_path / 'served' / 'there.pth').write_bytes(CONTENT)
    known(f'{server}/there.pth')
    path = find_weights('net.pth')
    assert path == cache / 'net.pth'
    assert path.read_bytes() == CONTENT
    (tmp_path / 'served' / 'there.pth').unlink()
    assert find_weights('net.pth') == path
    assert os.listdir(cache) == ['net.pth']


def test_refuses_a_wrong_download(tmp_path, cache: Path, server: str, known):
    (tmp_path / 'served' / 'there.pth').write_bytes(CONTENT[:-1])
    known(f'{server}/there.pth')
    with pytest.raises(ValueError, match='is not the published file'):
        find_weights('net.pth')
    assert os.listdir(cache) == []


def test_tells_what_to_do_where_nothing_is_served(server: str, cache, known):
    known(f'{server}/there.pth')
    with pytest.raises(ValueError) as error:
        find_weights('net.pth')
    text = str(error.value)
    assert 'net.pth is not in the cache and cannot be downloaded' in text
    assert f'{server}/there.pth (' in text
    assert '404' in text
    assert 'weights_dir' in text
    assert '\n' not in text


def test_tells_where_to_put_what_has_no_address(tmp_path, cache: Path, known):
    known('')
    with pytest.raises(ValueError, match=r'net\.pth is not in .*weights_dir'):
        find_weights('net.pth', weights_dir=tmp_path)


def test_order_of_places(tmp_path: Path, cache: Path, known):
    known('', names=('other.pth',))
    cache.mkdir(parents=True)
    (cache / 'net.pth').write_bytes(CONTENT)
    assert find_weights('net.pth') == cache / 'net.pth'
    folder = tmp_path / 'folder'
    folder.mkdir()
    assert find_weights('net.pth', None, folder) == cache / 'net.pth'
    (folder / 'other.pth').write_bytes(CONTENT)
    assert find_weights('net.pth', None, folder) == folder / 'other.pth'
    (folder / 'net.pth').write_bytes(CONTENT)
    assert find_weights('net.pth', None, folder) == folder / 'net.pth'
    named = tmp_path / 'anything.bin'
    named.write_bytes(b'not the published one')
    assert find_weights('net.pth', named, folder) == named


def test_refuses_another_file_of_that_name(tmp_path: Path, cache, known):
    known('')
    (tmp_path / 'net.pth').write_bytes(b'other')
    with pytest.raises(ValueError, match=f'not the published .* not {DIGEST}'):
        find_weights('net.pth', weights_dir=tmp_path)


def test_a_prefix_of_the_digest_does(tmp_path: Path, cache, known):
    known('', DIGEST[:8])
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    found = find_weights('net.pth', weights_dir=tmp_path)
    assert file_digest(found) == DIGEST


def test_finds_what_a_package_brings(cache: Path, known):
    known('', '', package=('tests', 'paths.py'))
    assert find_weights('net.pth').name == 'paths.py'
    known('', '', package=('no_such_package', 'paths.py'))
    with pytest.raises(ValueError, match='is not in'):
        find_weights('net.pth')


def test_takes_the_first_that_is_there(tmp_path, cache, known):
    known('')
    (tmp_path / 'net.pth').write_bytes(CONTENT)
    names = ('raft-things.pth', 'net.pth')
    assert find_any(names, None, tmp_path).name == 'net.pth'
    with pytest.raises(ValueError, match=r'there is no file none\.pth'):
        find_any(names, 'none.pth', tmp_path)


def test_refuses_a_folder_that_is_not_there(tmp_path: Path):
    with pytest.raises(ValueError, match='`weights_dir`: there is no folder'):
        find_weights('DOVER.pth', weights_dir=tmp_path / 'none')


@pytest.mark.parametrize('name', FILES)
def test_table(name: str):
    """A digest in a file's name is that of the table."""
    entry = FILES[name]
    assert entry.licence
    assert re.fullmatch('[0-9a-f]{8}|[0-9a-f]{64}|', entry.sha256)
    assert entry.url.startswith('https://') or not entry.url
    for published in (name, *entry.names):
        digest = re.search(r'-([0-9a-f]{8})\.pth$', published)
        assert digest is None or entry.sha256.startswith(digest[1])


@pytest.mark.parametrize('name', FILES)
def test_table_against_shared_files(name: str, cache: Path):
    names = (name, *FILES[name].names)
    if not any(WEIGHTS and (WEIGHTS / n).is_file() for n in names):
        pytest.skip(f'no {name} (set STAR_WEIGHTS)')
    found = find_weights(name, weights_dir=WEIGHTS)
    assert file_digest(found) == FILES[name].sha256
