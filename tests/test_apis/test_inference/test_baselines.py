"""Baselines get their files of weights, or one line says what is missing."""

import os
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from torch import nn

from star.apis.inference.baselines import load_files, names_files
from star.models.editors import Bicubic, NetworkBaseline, Recipe
from star.models.editors.weight_files import FILES
from star.utils.weight_files import WeightFile


class Two(NetworkBaseline):
    """Needs two files."""

    def __init__(self, *names: str | None) -> None:
        super().__init__(Recipe(1))
        self.network, self.names = nn.Linear(1, 1), names
        self.paths: list[str] = []

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        return self.names

    def load_weights(self, *paths) -> None:
        self.paths = [path.name for path in paths]

    def restore_frames(self, x: torch.Tensor) -> torch.Tensor:
        return x


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Hold files of known names, far from the network."""
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))
    for name in ('a.pth', 'b.pth'):
        monkeypatch.setitem(FILES, name, WeightFile(name))
        (tmp_path / name).write_bytes(b'x')
    (tmp_path / 'own.pth').write_bytes(b'x')
    return tmp_path


def test_kinds_of_configs():
    for kind, expected in (
        ('Bicubic', True),
        ('RealESRGANCompact', True),
        ('STARModel', False),
    ):
        assert names_files(Config({'model': {'type': kind}})) == expected


def test_all_files_are_found(folder):
    model = Two('a.pth', 'b.pth')
    paths = load_files(model, folder)
    assert paths == [folder / 'a.pth', folder / 'b.pth']
    assert model.paths == ['a.pth', 'b.pth']
    load_files(model, None, folder)
    assert model.paths == ['a.pth', 'b.pth']
    load_files(model, folder / 'own.pth', folder)  # in place of the first
    assert model.paths == ['own.pth', 'b.pth']
    load_files(model, 'b.pth', folder)
    assert model.paths == ['b.pth', 'b.pth']
    load_files(Two(str(folder / 'own.pth')))


@pytest.mark.parametrize(
    ('names', 'source', 'rule'),
    [
        (('a.pth',), None, 'a.pth is not in the cache; name the file, or a'),
        ((None,), None, 'Two has no weights: name a file with `weights`'),
        (('a.pth',), 'none.pth', 'there is no file none.pth, and no publ'),
        (('none.pth',), None, 'there is no file none.pth'),
    ],
)
def test_what_is_not_there(folder, names, source, rule):
    model = Two(*names)
    with pytest.raises(ValueError, match=rule) as caught:
        load_files(model, source)
    assert '\n' not in str(caught.value) and not model.paths
    assert not os.path.exists(folder / 'hub')


def test_says_where_a_file_is_to_be_had(folder, monkeypatch):
    name = 'RealViformer_weights.pth'
    with pytest.raises(ValueError, match=r'get it from https://drive\.google'):
        load_files(Two(name), folder)
    (folder / 'weights.pth').write_bytes(b'of something else')
    with pytest.raises(ValueError, match='SHA-256 is'):
        load_files(Two(name), folder)
    entry = replace(FILES[name], sha256='')
    monkeypatch.setitem(FILES, name, entry)
    assert load_files(Two(name), folder) == [folder / 'weights.pth']


def test_methods_without_weights(folder):
    assert load_files(Bicubic()) == []
    with pytest.raises(ValueError, match='`weights` means nothing to Bicub'):
        load_files(Bicubic(), folder / 'own.pth')


@pytest.mark.parametrize('name', FILES)
def test_table(name):
    entry = FILES[name]
    assert entry.licence
    assert [entry.url, entry.repo, entry.source].count('') == 2
    assert entry.repo or (entry.url or entry.source).startswith('https://')
    names = tuple(f'/{known}' for known in (name, *entry.names))
    assert not entry.url or entry.url.endswith(names)
    assert set(entry.sha256) <= set('0123456789abcdef')
    assert len(entry.sha256) in (0, 8, 12, 64)
