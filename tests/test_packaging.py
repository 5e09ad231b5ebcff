"""What is installed: the wheel's files, what it imports, what is pinned."""

import ast
import configparser
import os
import re
import shutil
import signal
import subprocess
import sys
import tarfile
from collections.abc import Iterator
from pathlib import Path
from urllib.request import urlopen
from zipfile import ZipFile

import pytest
from mmengine.fileio import load
from packaging.requirements import Requirement
from packaging.utils import canonicalize_name

import star
from tests.paths import ROOT

FOLDERS = ['star', 'configs', 'tools']
FILES = ['setup.cfg', 'pyproject.toml', 'MANIFEST.in', 'model-index.yml']
FILES += ['README.md', 'LICENSE']
# what mim and mmengine look for inside an installed package
MIM = ['configs', 'tools', 'model-index.yml']
LARGEST_WHEEL = 6 * 10**6
# distributions that are not named as their module
DISTRIBUTIONS = {
    'cv2': 'opencv-python',
    'mmcv': 'mmcv-lite',
    'PIL': 'pillow',
    'werkzeug': 'flask',
    'yaml': 'pyyaml',
}


def lines(text: str) -> list[str]:
    rows = [line.strip() for line in text.splitlines()]
    return [row for row in rows if row and not row.startswith('#')]


def read_config() -> configparser.ConfigParser:
    config = configparser.ConfigParser()
    config.read(ROOT / 'setup.cfg', encoding='utf-8')
    return config


def requirements() -> list[Requirement]:
    """Read every dependency that setup.cfg names, extras included."""
    config = read_config()
    rows = lines(config['options']['install_requires'])
    for text in config['options.extras_require'].values():
        rows += lines(text)
    return [Requirement(row) for row in rows]


def declared(text: str) -> set[str]:
    return {canonicalize_name(Requirement(row).name) for row in lines(text)}


def pins() -> list[Requirement]:
    text = (ROOT / 'constraints.txt').read_text(encoding='utf-8')
    return [Requirement(line) for line in lines(text)]


def run(*command: str | Path, **options) -> str:
    options = {'timeout': 300, **options}
    done = subprocess.run(command, capture_output=True, text=True, **options)
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def files_below(folder: Path) -> set[str]:
    """List files but what the interpreter leaves."""
    return {
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and '__pycache__' not in path.parts
    }


@pytest.fixture(scope='module')
def sdist(tmp_path_factory) -> Path:
    """Make the source distribution from a copy and unpack it."""
    folder = tmp_path_factory.mktemp('sdist')
    source = folder / 'source'
    skip = shutil.ignore_patterns('__pycache__')
    for name in FOLDERS:
        shutil.copytree(ROOT / name, source / name, symlinks=True, ignore=skip)
    for name in FILES:
        shutil.copy(ROOT / name, source)
    build = 'from setuptools import build_meta as build\n'
    build += f'build.build_sdist({str(folder)!r})'
    run(sys.executable, '-c', build, cwd=source)
    (archive,) = folder.glob('star_vsr-*.tar.gz')
    with tarfile.open(archive) as file:
        file.extractall(folder / 'unpacked', filter='data')
    (unpacked,) = (folder / 'unpacked').iterdir()
    return unpacked


@pytest.fixture(scope='module')
def wheel(sdist: Path) -> Path:
    """Build the wheel from the source distribution."""
    target = sdist.parent / 'wheel'
    run(
        *(sys.executable, '-m', 'pip', 'wheel', '--no-deps', '--no-index'),
        *('--no-build-isolation', '--wheel-dir', target, sdist),
    )
    (file,) = target.glob('star_vsr-*-py3-none-any.whl')
    return file


@pytest.fixture(scope='module')
def installed(wheel: Path) -> Path:
    """Unpack the wheel as pip does."""
    target = wheel.parent / 'site'
    with ZipFile(wheel) as archive:
        archive.extractall(target)
    return target


def python(installed: Path, folder: Path, code: str) -> str:
    """Run code outside the checkout, with the installed package."""
    environment = {**os.environ, 'PYTHONPATH': str(installed)}
    return run(sys.executable, '-c', code, cwd=folder, env=environment)


def test_wheel_holds_the_package_its_configs_and_tools(installed: Path):
    package = ROOT / 'star'
    expected = {f for f in files_below(package) if not f.startswith('.mim/')}
    for name in MIM[:2]:
        expected |= {f'.mim/{name}/{f}' for f in files_below(ROOT / name)}
    expected.add('.mim/model-index.yml')
    assert files_below(installed / 'star') == expected


def test_wheel_holds_nothing_else(installed: Path):
    tops = {path.name.split('-')[0] for path in installed.iterdir()}
    assert tops == {'star', 'star_vsr'}
    # by this mim finds the package of a distribution
    (names,) = installed.glob('*.dist-info/top_level.txt')
    assert names.read_text().split() == ['star']


def test_source_distribution_holds_copies_not_links(sdist: Path):
    for name in MIM:
        path = sdist / 'star' / '.mim' / name
        assert path.exists() and not path.is_symlink()
    assert not {'tests', 'projects'} & {path.name for path in sdist.iterdir()}


def test_wheel_is_small(wheel: Path):
    assert wheel.stat().st_size <= LARGEST_WHEEL


def test_installed_package_finds_its_configs(installed: Path, tmp_path: Path):
    code = 'from star.utils import paths\n'
    code += 'print(paths.config_path("star/tiny.py"))'
    expected = installed / 'star' / '.mim' / 'configs' / 'star' / 'tiny.py'
    assert python(installed, tmp_path, code) == str(expected)


def test_config_of_somebody_else_starts_from_ours(
    installed: Path, tmp_path: Path
):
    config = tmp_path / 'mine.py'
    config.write_text(
        "_base_ = 'star::star/i2vgen.py'\n"
        'model = dict(losses=dict(frequency=dict(beta=2)))\n'
    )
    code = (
        'import star.registry\n'
        'from mmengine import Config\n'
        'config = Config.fromfile("mine.py")\n'
        'print(config.model.losses.frequency.beta, config.model.type,'
        ' config.train_cfg.max_iters, star.__file__)'
    )
    found = python(installed, tmp_path, code).split()
    package = installed / 'star' / '__init__.py'
    assert found == ['2', 'STARModel', '15000', str(package)]


def type_checking(tree: ast.AST) -> set[ast.AST]:
    """Collect what only a type checker reads."""
    return {
        inner
        for node in ast.walk(tree)
        if isinstance(node, ast.If)
        and ast.unparse(node.test) == 'TYPE_CHECKING'
        for inner in ast.walk(node)
    }


def top_modules(tree: ast.AST) -> Iterator[str]:
    """List top-level modules that import statements name."""
    for node in {*ast.walk(tree)} - type_checking(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name.partition('.')[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom) and node.module:
            yield node.module.partition('.')[0]


def required_modules(tree: ast.AST) -> Iterator[tuple[str, str]]:
    """List calls of `compat.require`: top-level module and extra."""
    for node in ast.walk(tree):
        if not isinstance(node, ast.Call) or len(node.args) != 2:
            continue
        if ast.unparse(node.func) in ('require', 'compat.require'):
            module, extra = map(ast.literal_eval, node.args)
            yield module.partition('.')[0], extra


def distribution(module: str) -> str:
    return canonicalize_name(DISTRIBUTIONS.get(module, module))


@pytest.fixture(scope='module')
def trees() -> dict[str, ast.AST]:
    paths = (ROOT / 'star').rglob('*.py')
    return {
        path.relative_to(ROOT).as_posix(): ast.parse(
            path.read_text(encoding='utf-8')
        )
        for path in paths
    }


def test_every_imported_package_is_required(trees: dict[str, ast.AST]):
    core = declared(read_config()['options']['install_requires'])
    missing = set()
    for path, tree in trees.items():
        known = {'star', *sys.stdlib_module_names}
        known |= {module for module, _ in required_modules(tree)}
        missing |= {
            (path, module)
            for module in {*top_modules(tree)} - known
            if distribution(module) not in core
        }
    assert not missing


def test_every_optional_package_is_in_its_extra(trees: dict[str, ast.AST]):
    config = read_config()
    core = declared(config['options']['install_requires'])
    calls = {
        (path, *call)
        for path, tree in trees.items()
        for call in required_modules(tree)
    }
    assert calls
    for path, module, extra in calls:
        known = declared(config['options.extras_require'][extra]) | core
        assert distribution(module) in known, (path, module, extra)


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


def test_citation_states_the_version():
    citation = load(ROOT / 'CITATION.cff', file_format='yaml')
    assert citation['version'] == star.__version__


def test_nodes_state_the_version():
    path = ROOT / 'integrations' / 'comfyui' / 'pyproject.toml'
    if not path.is_file():
        pytest.skip('there are no nodes')
    found = re.findall('^version = "(.*)"$', path.read_text(), re.M)
    assert found == [star.__version__]


def test_an_index_takes_the_distributions(sdist: Path, wheel: Path):
    pytest.importorskip('twine')
    (archive,) = sdist.parent.parent.glob('star_vsr-*.tar.gz')
    files = (archive, wheel)
    assert {file.name.split('-')[1][:5] for file in files} == {
        star.__version__
    }
    checked = run(sys.executable, '-m', 'twine', 'check', '--strict', *files)
    assert checked.count('PASSED') == 2


@pytest.mark.download
def test_wheel_and_app_work_in_an_empty_environment(
    wheel: Path, tmp_path: Path
):
    run(sys.executable, '-m', 'venv', tmp_path / 'empty')
    programs = tmp_path / 'empty' / 'bin'
    run(
        *(programs / 'python', '-m', 'pip', 'install', f'{wheel}[app]'),
        *('--constraint', ROOT / 'constraints.txt'),
        timeout=3600,
    )
    shutil.copy(ROOT / 'data' / 'samples' / 'cat.mp4', tmp_path / 'old.mp4')
    words = ('restore', 'old.mp4', 'new.mp4', '--frames', '2')
    run(programs / 'star', *words, cwd=tmp_path)
    assert (tmp_path / 'new.mp4').stat().st_size > 1000
    check_app(programs / 'star', tmp_path)


def check_app(program: Path, folder: Path) -> None:
    """Start the app on a free port, ask for its page, stop it."""
    words = ('app', '--port', '0', '--no-browser')
    with subprocess.Popen(
        [program, *words], cwd=folder, stderr=subprocess.PIPE, text=True
    ) as app:
        lines = iter(app.stderr.readline, '')
        address = next(
            line.split()[0] for line in lines if line.startswith('http')
        )
        try:
            with urlopen(address, timeout=60) as answer:
                assert answer.status == 200 and b'gradio' in answer.read()
        finally:
            app.send_signal(signal.SIGINT)
            app.wait(60)


def test_ci_runs_the_oldest_and_the_newest_python():
    config = read_config()
    named = re.findall(r':: (3\.\d+)', config['metadata']['classifiers'])
    job = load(ROOT / '.github' / 'workflows' / 'ci.yml')['jobs']['check']
    assert job['strategy']['matrix']['python'] == [named[0], named[-1]]
    assert job['steps'][-1]['run'] == '.ci/run'
    oldest = config['options']['python_requires']
    assert oldest == f'>={named[0]}'
