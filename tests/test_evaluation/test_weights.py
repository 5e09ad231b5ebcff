"""Metrics' files of weights: the table, and which file is taken."""

import re

import pytest

from star.evaluation.weight_files import FILES
from star.evaluation.weights import find_any, find_weights
from star.utils.files import sha256_of
from star.utils.weight_files import WeightFile
from tests.paths import WEIGHTS


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keep torch hub's cache empty."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))


def test_a_named_file_goes_before_the_published_one(tmp_path, monkeypatch):
    entry = WeightFile('net.pth')
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
    assert sha256_of(found) == FILES[name].sha256
