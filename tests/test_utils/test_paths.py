import pytest

from star.utils import paths
from tests.paths import ROOT


def test_checkout_configs_are_those_at_the_top():
    assert paths.config_root() == ROOT / 'configs'
    expected = ROOT / 'configs' / 'star' / 'tiny.py'
    assert paths.config_path('star/tiny.py') == expected


def test_installed_configs_go_first(tmp_path, monkeypatch):
    package = tmp_path / 'star'
    config = package / 'configs' / 'star' / 'tiny.py'
    config.parent.mkdir(parents=True)
    config.touch()
    (tmp_path / 'configs').mkdir()
    monkeypatch.setattr(paths, '_PACKAGE', package)
    assert paths.config_path('star/tiny.py') == config


def test_unknown_config_is_named():
    with pytest.raises(ValueError, match=r"got 'star/no\.py'"):
        paths.config_path('star/no.py')


def test_asset_lies_in_the_package(tmp_path, monkeypatch):
    (tmp_path / 'assets').mkdir()
    (tmp_path / 'assets' / 'a.safetensors').touch()
    monkeypatch.setattr(paths, '_PACKAGE', tmp_path)
    assert paths.asset_path('a.safetensors').is_file()
    with pytest.raises(ValueError, match=r"got 'b\.safetensors'"):
        paths.asset_path('b.safetensors')
