"""Nothing in the documents names a command, option or file that is not."""

import ast
import re
from functools import lru_cache
from importlib import import_module
from pathlib import Path

import pytest

import star.datasets.transforms
import star.engine
import star.evaluation
import star.models  # noqa: F401
from star.apis.inference.build import load_config
from star.cli.options.choices import COLOR_FIXES
from star.registry import DATASETS, HOOKS, METRICS, MODELS, STOCK, TRANSFORMS
from star.utils.config import flatten
from star.utils.paths import config_root
from tests.commands import find_path, find_problem, known_options
from tests.documents import (
    PAGES,
    Document,
    name_of,
    read_docstrings,
    read_document,
)
from tests.paths import ROOT

HELP = [
    *sorted(ROOT.glob('tools/**/*.py')),
    *sorted(ROOT.glob('star/cli/options/*.py')),
    *sorted(ROOT.glob('projects/*/tools/*.py')),
]
CONFIGS = sorted(ROOT.glob('configs/[!_]*/*.py'))
REGISTRIES = (
    *(MODELS, DATASETS, TRANSFORMS, METRICS, HOOKS),
    *STOCK.values(),
)
# of other projects
FOREIGN = re.compile(r'tools/dataset_converters/\w+/README\.md|datasets/.*')
# options of pip, pytest and the like
FOREIGN_OPTIONS = {'--help', '--version'}
_OWN = re.compile(
    r'(configs|docs|projects|star|tests|tools|\.ci)/[\w./*-]*'
    r'|data/(README|samples)[\w./*-]*'
)


def wrong_commands(document: Document) -> list[str]:
    """Find commands that the real parsers refuse."""
    blocks = [find_problem(command) for command in document.commands]
    spans = [
        find_problem(span, whole=False)
        for span in document.mentions
        if re.match(r'(star|python|make|mim|pytest|pip) |tools/\S+\.sh', span)
    ]
    return [problem for problem in [*blocks, *spans] if problem]


def wrong_options(document: Document) -> list[str]:
    """Find options in sentences that no command has."""
    return [
        option
        for span in document.mentions
        if not re.match(r'(pip|pytest|apt-get|git) ', span)
        for option in re.findall(r'(?<![\w-])--[a-z][\w-]*', span)
        if option not in known_options() | FOREIGN_OPTIONS
    ]


def wrong_paths(document: Document) -> list[str]:
    """Find files in sentences that the project does not have."""
    return [
        span
        for span in document.mentions
        if _OWN.fullmatch(span)
        if not FOREIGN.fullmatch(span)
        if not find_path(span, document.path.parent)
    ]


def wrong_links(document: Document) -> list[str]:
    """Find links to files or headings that do not exist."""
    found = []
    for link in document.links:
        file, _, anchor = link.partition('#')
        target = document.path.parent / file
        if not target.exists():
            found.append(link)
        elif anchor:
            other = read_document(target) if file else document
            found += [link] if anchor not in other.anchors else []
    return found


def wrong_python(document: Document, classes: set[str]) -> list[str]:
    """Find code that does not compile, or names what does not exist.

    Args:
        document: with blocks of Python.
        classes: that the reader has been shown how to make.
    """
    found = []
    for block in document.python:
        try:
            tree = ast.parse(block)
        except SyntaxError as error:
            found.append(f'{error}: {block}')
            continue
        for node in ast.walk(tree):
            found += _missing_imports(node, document.modules)
            found += [k for k in _types(node) if not _is_known(k, classes)]
    return found


def _missing_imports(node: ast.AST, own: set[str]) -> list[str]:
    names: list[str] = []
    if isinstance(node, ast.Import):
        names = [alias.name for alias in node.names]
    elif isinstance(node, ast.ImportFrom) and node.module not in own:
        names = [f'{node.module}:{alias.name}' for alias in node.names]
    return [name for name in names if not _can_import(name)]


def _can_import(name: str) -> bool:
    module, _, attribute = name.partition(':')
    try:
        found = import_module(module)
    except ImportError:
        return False
    return not attribute or hasattr(found, attribute)


def _types(node: ast.AST) -> list[str]:
    """Return the types that a `dict(type='NAME')` names."""
    if not isinstance(node, ast.Call) or ast.unparse(node.func) != 'dict':
        return []
    values = [k.value for k in node.keywords if k.arg == 'type']
    return [v.value for v in values if isinstance(v, ast.Constant)]


def _is_known(name: str, classes: set[str]) -> bool:
    return name in classes or any(r.get(name) for r in REGISTRIES)


def classes_of(document: Document) -> set[str]:
    """Return the classes that the blocks of a document define."""
    names = (re.findall(r'^class (\w+)', b, re.M) for b in document.python)
    return {name for each in names for name in each}


@lru_cache
def shown_classes() -> set[str]:
    """Return the classes that a document or the example project defines."""
    pages = set().union(*(classes_of(read_document(p)) for p in PAGES))
    texts = [p.read_text() for p in ROOT.glob('projects/*/*.py')]
    made = set(re.findall(r'^class (\w+)', '\n'.join(texts), re.M))
    return pages | made


every_page = pytest.mark.parametrize('path', PAGES, ids=name_of)


@every_page
def test_commands(path: Path):
    assert wrong_commands(read_document(path)) == []


@every_page
def test_options(path: Path):
    assert wrong_options(read_document(path)) == []


@every_page
def test_files_and_links(path: Path):
    document = read_document(path)
    assert wrong_paths(document) + wrong_links(document) == []


@every_page
def test_python(path: Path):
    assert wrong_python(read_document(path), shown_classes()) == []


@pytest.mark.parametrize('path', HELP, ids=name_of)
def test_help(path: Path):
    document = read_docstrings(path)
    assert wrong_commands(document) + wrong_options(document) == []


@pytest.mark.parametrize('path', CONFIGS, ids=name_of)
def test_configs_say_how_a_file_is_made(path: Path):
    for name, value in flatten(load_config(path)).items():
        if name.endswith('.made_by'):
            assert find_problem(ast.literal_eval(value)) is None


def test_messages_name_commands_that_exist():
    for path in sorted((ROOT / 'star').rglob('*.py')):
        text = re.sub(r"'\n\s+f?'", '', path.read_text(encoding='utf-8'))
        for command in re.findall(r'`(star [a-z][^`{]*)`', text):
            problem = find_problem(command, whole=False)
            assert problem is None, f'{path}: {problem}'


def test_configs_that_a_page_builds_on_exist():
    for path in PAGES:
        text = path.read_text(encoding='utf-8')
        for name in re.findall(r"'star::([^']+)'", text):
            assert (config_root() / name).is_file(), f'{path}: {name}'


def test_every_colour_fix_is_explained():
    text = (ROOT / 'docs/remedies.md').read_text(encoding='utf-8')
    rows = set(re.findall(r'^\| `(\w+)` \|', text, re.M))
    assert set(COLOR_FIXES) <= rows


BAD = """
# A page

    star restore in.mp4 out.mp4 --colour-fix wavelet
    star restore in.mp4 out.mp4 --color-fix adain  # right
    star restore in.mp4
    star train no_such_config
    star train tiny --cfg-options \\
        network.losses=1
    star test i2vgen --sets UDM11
    star test i2vgen --metrics PSNRR
    star sweep tiny --seeds 0 --work-dir w --test-args='--emma
        --sets UDM10'
    star polish in.mp4
    python tools/analysis_tools/plot_weights.py --out a.png --gamma 2
    python tools/analysis_tools/plot_nothing.py
    python tools/train.py tiny --gpu 2
    tools/dist_train.sh configs/star/i2vgen.py
    make tests
    mim train star-vsr i2vgen.py --dry
    pip install "star-vsr[everything]"

Use `--colour-fix`, `star convert nothing`, `star train --resumee`,
`configs/star/huge.py`, or [that](nowhere.md) and [this](#b-page).

```python
from star.apis import init_models
test_evaluator = [dict(type='PSNRR')]
```

```python
a = (
```
"""


def test_the_checks_find_what_is_wrong():
    page = read_document(ROOT / 'docs' / 'bad.md', BAD)
    found = wrong_commands(page)
    good = 'star restore in.mp4 out.mp4 --color-fix adain # right'
    wrong = [command for command in page.commands if command != good]
    wrong += ['star convert nothing', 'star train --resumee']
    assert len(wrong) == 17
    for command, problem in zip(wrong, found, strict=True):
        assert problem.startswith(f'{command}: ')
    assert wrong_options(page) == ['--colour-fix', '--resumee']
    assert wrong_paths(page) == ['configs/star/huge.py']
    assert wrong_links(page) == ['nowhere.md', '#b-page']
    first, second, third = wrong_python(page, set())
    assert (first, second) == ('star.apis:init_models', 'PSNRR')
    assert 'never closed' in third


def test_the_checks_leave_places_open():
    text = """
# Two words

    star test CONFIG [FILE] --frames N --set mine=FOLDER
    star prepare test-sets SET SRC DST
    star prepare test-sets udm10 ...

See [there](#two-words), `star study`, `star restore --config`, `make demo`,
`star/registry.py`, `configs/*/README.md` and `--weights FOLDER`.
"""
    page = read_document(ROOT / 'docs' / 'good.md', text)
    assert len(page.commands) == 3 and len(page.mentions) == 6
    assert wrong_commands(page) + wrong_options(page) == []
    assert wrong_paths(page) + wrong_links(page) == []
