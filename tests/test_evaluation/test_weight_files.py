"""The tables of published files of weights that metrics need."""

import re

import pytest

from star.evaluation.weight_files import FILES as METRIC_FILES
from star.perceptual.weight_files import FILES as LPIPS_FILES
from star.utils.files import sha256_of
from star.utils.weight_files import find_file
from tests.paths import WEIGHTS

FILES = METRIC_FILES | LPIPS_FILES


@pytest.fixture
def cache(tmp_path, monkeypatch):
    """Keep torch hub's cache empty."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))


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
    found = find_file([FILES[name]], WEIGHTS)
    assert sha256_of(found) == FILES[name].sha256
