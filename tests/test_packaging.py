"""What is installed: the wheel's files, and the pinned dependencies."""

import configparser
import shutil
import subprocess
import sys
from pathlib import Path
from zipfile import ZipFile

import pytest
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

from tests.paths import ROOT

SOURCES = ['setup.cfg', 'setup.py', 'pyproject.toml', 'README.md', 'LICENSE']


def lines(text: str) -> list[str]:
    rows = [line.strip() for line in text.splitlines()]
    return [row for row in rows if row and not row.startswith('#')]


def requirements() -> list[Requirement]:
    """Read every dependency that setup.cfg names, extras included."""
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg', encoding='utf-8')
    rows = lines(config['options']['install_requires'])
    for text in config['options.extras_require'].values():
        rows += lines(text)
    return [Requirement(row) for row in rows]


def pins() -> list[Requirement]:
    text = (ROOT / 'constraints.txt').read_text(encoding='utf-8')
    return [Requirement(line) for line in lines(text)]


@pytest.fixture(scope='module')
def installed(tmp_path_factory) -> Path:
    """Build the wheel from a copy of the sources and unpack it."""
    folder = tmp_path_factory.mktemp('wheel')
    source = folder / 'source'
    skip = shutil.ignore_patterns('__pycache__')
    for name in ('star', 'configs'):
        shutil.copytree(ROOT / name, source / name, ignore=skip)
    for name in SOURCES:
        if (ROOT / name).is_file():
            shutil.copy(ROOT / name, source)
    command = [sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-index']
    command += ['--no-build-isolation', '--wheel-dir', folder, source]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300)
    assert done.returncode == 0, done.stderr
    (wheel,) = folder.glob('star_vsr-*-py3-none-any.whl')
    with ZipFile(wheel) as archive:
        archive.extractall(folder / 'site')
    return folder / 'site'


def test_wheel_holds_the_package_its_configs_and_assets(installed: Path):
    for folder, pattern in [
        ('star', '*.py'),
        ('configs', '*.py'),
        ('star/assets', '*.*'),
        ('star/report', '*.[cj]s*'),
    ]:
        expected = {
            path.relative_to(ROOT / folder)
            for path in (ROOT / folder).rglob(pattern)
        }
        target = installed / folder.replace('configs', 'star/configs')
        found = {path.relative_to(target) for path in target.rglob(pattern)}
        assert expected <= found, folder


def test_wheel_holds_nothing_else(installed: Path):
    tops = {path.name.split('-')[0] for path in installed.iterdir()}
    assert tops == {'star', 'star_vsr'}


def test_installed_package_finds_its_configs(installed: Path):
    # from its folder, so that this `star` is found before any other
    code = 'from star import paths; print(paths.config_path("star/tiny.py"))'
    command = [sys.executable, '-c', code]
    done = subprocess.run(
        command, capture_output=True, text=True, timeout=60, cwd=installed
    )
    expected = installed / 'star' / 'configs' / 'star' / 'tiny.py'
    assert done.stdout.strip() == str(expected), done.stderr


def test_constraints_pin_every_dependency():
    pinned = {canonicalize_name(pin.name) for pin in pins()}
    assert {canonicalize_name(r.name) for r in requirements()} <= pinned


def test_constraints_are_exact_and_within_bounds():
    bounds = {canonicalize_name(r.name): r for r in requirements()}
    for pin in pins():
        (specifier,) = pin.specifier
        assert specifier.operator == '==', pin
        bound = bounds.get(canonicalize_name(pin.name))
        assert bound is None or specifier.version in bound.specifier, pin


@pytest.mark.parametrize('version', ['3.10', '3.11', '3.12', '3.13'])
def test_constraints_pin_once_for_each_python(version: str):
    environment = {'python_version': version}
    names = [
        canonicalize_name(pin.name)
        for pin in pins()
        if pin.marker is None or pin.marker.evaluate(environment)
    ]
    assert len(names) == len(set(names))


def test_only_mmcv_and_mmagic_have_upper_bounds():
    bounded = {
        requirement.name
        for requirement in requirements()
        for specifier in requirement.specifier
        if specifier.operator != '>='
    }
    assert bounded == {'mmcv-lite', 'mmagic'}
