from pathlib import Path

import pytest

from star.utils import paths
from tests.paths import ROOT


@pytest.fixture
def package(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Make a package without configs, and let `paths` look there."""
    folder = tmp_path.resolve() / 'site' / 'star'
    folder.mkdir(parents=True)
    monkeypatch.setattr(paths, '_PACKAGE', folder)
    return folder


def make_config(folder: Path) -> Path:
    config = folder / 'star' / 'tiny.py'
    config.parent.mkdir(parents=True)
    config.touch()
    return config


def test_checkout_configs_are_those_at_the_top():
    assert paths.config_root() == ROOT / 'configs'
    expected = ROOT / 'configs' / 'star' / 'tiny.py'
    assert paths.config_path('star/tiny.py') == expected


def test_installed_configs_go_before_a_neighbour(package: Path):
    make_config(package.parent / 'configs')  # another distribution's
    config = make_config(package / '.mim' / 'configs')
    assert paths.config_path('star/tiny.py') == config


@pytest.mark.parametrize('link', ['', '../../configs'])
def test_checkout_without_symbolic_links_finds_its_configs(
    package: Path, link: str
):
    config = make_config(package.parent / 'configs')
    if link:  # what git leaves in place of a link it cannot make
        (package / '.mim').mkdir()
        (package / '.mim' / 'configs').write_text(link)
    assert paths.config_path('star/tiny.py') == config


def test_unknown_config_is_named():
    with pytest.raises(ValueError, match=r"got 'star/no\.py'"):
        paths.config_path('star/no.py')


def test_asset_lies_in_the_package(package: Path):
    (package / 'assets').mkdir()
    (package / 'assets' / 'a.safetensors').touch()
    assert paths.asset_path('a.safetensors').is_file()
    with pytest.raises(ValueError, match=r"got 'b\.safetensors'"):
        paths.asset_path('b.safetensors')
