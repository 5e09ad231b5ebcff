"""Metrics' files of weights are named, and read without running code."""

import pickle
import re

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from star.evaluation.weight_files import FILES
from star.evaluation.weights import fill, find_any, find_weights, load_state
from star.utils.weight_files import WeightFile, file_digest
from tests.paths import WEIGHTS

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
def cache(tmp_path, monkeypatch):
    """Keep torch hub's cache empty."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))


def test_a_named_file_goes_before_the_published_one(tmp_path, monkeypatch):
    entry = WeightFile('', '', 'none')
    monkeypatch.setitem(FILES, 'net.pth', entry)
    (tmp_path / 'net.pth').write_bytes(b'published')
    named = tmp_path / 'anything.bin'
    named.write_bytes(b'not the published one')
    assert find_weights('net.pth', named, tmp_path) == named
    assert find_weights('net.pth', None, tmp_path) == tmp_path / 'net.pth'
    names = ('raft-things.pth', 'net.pth')
    assert find_any(names, named, tmp_path) == named
    assert find_any(names, None, tmp_path) == tmp_path / 'net.pth'
    with pytest.raises(ValueError, match=r'there is no file none\.pth'):
        find_any(names, 'none.pth', tmp_path)


def test_refuses_a_folder_that_is_not_there(tmp_path):
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
def test_table_against_shared_files(name: str, cache):
    names = (name, *FILES[name].names)
    if not any(WEIGHTS and (WEIGHTS / n).is_file() for n in names):
        pytest.skip(f'no {name} (set STAR_WEIGHTS)')
    found = find_weights(name, weights_dir=WEIGHTS)
    assert file_digest(found) == FILES[name].sha256
