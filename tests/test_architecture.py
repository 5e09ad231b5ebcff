"""How the house is built: imports go one way, sizes and names have limits.

Every rule is a function that returns what breaks it, and has a test which
shows that it can fail.
"""

import ast
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.paths import ROOT

LEAVES = {'registry', 'structures', 'utils'}
# room of star -> rooms it may import besides itself and the leaves
ALLOWED = {
    '__init__': set(),
    'utils': set(),
    'structures': set(),
    'registry': set(),
    'perceptual': set(),
    'video': set(),
    'diffusion': set(),
    'datasets': {'video'},
    'models': {'diffusion', 'perceptual', 'video'},
    'evaluation': {'perceptual', 'video'},
    'engine': {'video'},
    'report': {'video'},
    'user_study': {'video'},
    'sweep': {'report'},
    'apis': {'diffusion', 'models', 'video'},
    'app': {'apis', 'models', 'video'},
    'testing': {'diffusion', 'evaluation', 'models'},
    'cli': {
        'apis',
        'app',
        'datasets',
        'engine',
        'evaluation',
        'models',
        'perceptual',
        'report',
        'sweep',
        'user_study',
        'video',
    },
    '__main__': {'cli'},
    'integrations': {'apis', 'cli', 'models', 'video'},
}
# arguments that stand for a contract of star/models/contracts.py
CONTRACTS = {
    'autoencoder',
    'backbone',
    'controlnet',
    'events',
    'restorer',
    'schedule',
    'text_encoder',
}
MAX_LINES, MAX_ARGUMENTS, MAX_CONSTRUCTOR = 400, 6, 10
# diffusers' pipelines have all options as arguments of their call
LONG = ('__init__', '__call__')
FILES = sorted((ROOT / 'star').rglob('*.py'))
FOLDERS = ('star', 'tools', 'tests', 'projects', 'integrations')


def parse(path: Path) -> ast.Module:
    return ast.parse(path.read_text(encoding='utf-8'))


def imported(tree: ast.AST, package: str) -> set[str]:
    """Collect the dotted names of `star` that a file of `package` imports.

    Imports within functions and under TYPE_CHECKING count as well.
    """
    found = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            found |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            base = package.split('.')[: -node.level + 1 or None]
            module = [*base] if node.level else []
            module += [node.module] if node.module else []
            found |= {'.'.join([*module, a.name]) for a in node.names}
    return {name for name in found if name.split('.')[0] == 'star'}


def room_of(module: str) -> str:
    """Return the room of `star` that a dotted name belongs to."""
    return [*module.split('.'), '__init__'][1]


def forbidden_rooms(tree: ast.AST, package: str, own: str) -> set[str]:
    """Return the rooms that a file of room `own` imports and may not."""
    rooms = {room_of(name) for name in imported(tree, package)}
    leaves = set() if own in ('utils', 'structures') else LEAVES
    if own == 'registry':
        leaves = {'utils'}
    # `from star import __version__` is no room
    return (rooms & ALLOWED.keys()) - ALLOWED[own] - leaves - {own, '__init__'}


def import_graph(trees: dict[str, ast.Module]) -> dict[str, set[str]]:
    """Map each module to the modules it imports.

    Args:
        trees: parsed files by dotted name; packages end in `.__init__`.
    """
    graph = {}
    for name, tree in trees.items():
        package = name.rpartition('.')[0]
        targets = set()
        for target in imported(tree, package):
            for known in (target, target.rpartition('.')[0]):
                if known in trees or f'{known}.__init__' in trees:
                    known = known if known in trees else f'{known}.__init__'
                    targets.add(known)
                    break
        graph[name] = targets - {name}
    return graph


def find_cycle(graph: dict[str, set[str]]) -> list[str]:
    """Return the modules of a circle of imports; empty where there is none."""
    done: set[str] = set()

    def visit(name: str, path: list[str]) -> list[str]:
        if name in path:
            return [*path[path.index(name) :], name]
        if name in done:
            return []
        for target in sorted(graph[name]):
            if cycle := visit(target, [*path, name]):
                return cycle
        done.add(name)
        return []

    for name in sorted(graph):
        if cycle := visit(name, []):
            return cycle
    return []


def repeated_classes(trees: dict[str, ast.Module]) -> dict[str, list[str]]:
    """Return the class names that several files define, with the files."""
    found = defaultdict(list)
    for name, tree in trees.items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                found[node.name].append(name)
    return {name: where for name, where in found.items() if len(where) > 1}


def functions(tree: ast.AST) -> Iterator[ast.FunctionDef]:
    for node in ast.walk(tree):
        if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
            yield node


def arguments(node: ast.FunctionDef) -> list[ast.arg]:
    every = [*node.args.posonlyargs, *node.args.args, *node.args.kwonlyargs]
    return [each for each in every if each.arg not in ('self', 'cls')]


def untyped_contracts(tree: ast.AST) -> list[str]:
    """Return the arguments and fields that hide a contract behind `Any`."""
    found = []
    for node in ast.walk(tree):
        pairs = []
        if isinstance(node, ast.FunctionDef):
            pairs = [(a.arg, a.annotation) for a in arguments(node)]
        elif isinstance(node, ast.AnnAssign):
            name = ast.unparse(node.target).removeprefix('self.')
            pairs = [(name, node.annotation)]
        for name, annotation in pairs:
            if name in CONTRACTS and 'Any' in ast.unparse(
                annotation or ast.Constant('Any')
            ):
                found.append(f'{name}, line {node.lineno}')
    return found


def long_signatures(tree: ast.AST) -> list[str]:
    """Return the functions with too many arguments."""
    return [
        f'{node.name}, line {node.lineno}: {len(arguments(node))}'
        for node in functions(tree)
        if len(arguments(node))
        > (MAX_CONSTRUCTOR if node.name in LONG else MAX_ARGUMENTS)
    ]


def long_files(paths: list[Path]) -> list[str]:
    """Return the files with too many lines."""
    sizes = {p: len(p.read_text(encoding='utf-8').splitlines()) for p in paths}
    return [f'{p.name}: {n}' for p, n in sizes.items() if n > MAX_LINES]


TREES = {'.'.join(p.relative_to(ROOT).with_suffix('').parts): p for p in FILES}
TREES = {name: parse(path) for name, path in TREES.items()}
every_module = pytest.mark.parametrize('name', TREES)


@every_module
def test_imports_are_allowed(name: str):
    own = name.split('.')[1]
    package = name.rpartition('.')[0]
    assert forbidden_rooms(TREES[name], package, own) == set()


@every_module
def test_contracts_are_named(name: str):
    assert untyped_contracts(TREES[name]) == []


@every_module
def test_signatures_are_short(name: str):
    assert long_signatures(TREES[name]) == []


def test_integrations_call_the_library():
    own = 'integrations'
    for path in (ROOT / own).rglob('*.py'):
        assert forbidden_rooms(parse(path), own, own) == set(), path


def test_no_imports_in_a_circle():
    assert find_cycle(import_graph(TREES)) == []


def test_no_class_name_is_used_twice():
    assert repeated_classes(TREES) == {}


def test_files_are_short():
    paths = [p for each in FOLDERS for p in (ROOT / each).rglob('*.py')]
    assert long_files(paths) == []


def test_rooms_are_all_named():
    rooms = {path.relative_to(ROOT / 'star').parts[0] for path in FILES}
    assert {room.removesuffix('.py') for room in rooms} <= ALLOWED.keys()


def test_nothing_in_the_library_imports_what_uses_it():
    for path in [*FILES, *(ROOT / 'configs').rglob('*.py')]:
        for node in ast.walk(parse(path)):
            if isinstance(node, ast.Import):
                roots = {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots = {str(node.module).split('.')[0]}
            else:
                continue
            assert not roots & {*FOLDERS[1:]}, path


@pytest.mark.parametrize(
    ('source', 'package', 'own', 'expected'),
    [
        ('import star.apis.test', 'star.models', 'models', {'apis'}),
        ('from star.video import io', 'star.models', 'models', set()),
        ('from star.utils import files', 'star.video', 'video', set()),
        ('from star import registry', 'star.utils', 'utils', {'registry'}),
        ('from star import __version__', 'star.engine', 'engine', set()),
        ('from ..engine.ema import A', 'star.models', 'models', {'engine'}),
        ('from .blocks import A', 'star.models.backbones', 'models', set()),
        ('def f():\n from star import cli', 'star.apis', 'apis', {'cli'}),
        ('import starlette, torch', 'star.video', 'video', set()),
    ],
)
def test_finds_forbidden_imports(
    source: str, package: str, own: str, expected: set[str]
):
    assert forbidden_rooms(ast.parse(source), package, own) == expected


def test_finds_circles():
    sources = {
        'star.a.__init__': 'from star.a.b import B',
        'star.a.b': 'if TYPE_CHECKING:\n    from star.c import C',
        'star.c': 'def f():\n    from star import a',
        'star.d': 'import star.c',
    }
    trees = {name: ast.parse(text) for name, text in sources.items()}
    expected = ['star.a.__init__', 'star.a.b', 'star.c', 'star.a.__init__']
    assert find_cycle(import_graph(trees)) == expected
    trees['star.c'] = ast.parse('')
    assert find_cycle(import_graph(trees)) == []


def test_finds_repeated_classes():
    source = ast.parse('class A: pass\ndef f():\n    class B: pass')
    trees = {'x': source, 'y': ast.parse('class B: pass')}
    assert repeated_classes(trees) == {'B': ['x', 'y']}


@pytest.mark.parametrize(
    ('source', 'count'),
    [
        ('def f(autoencoder: Any): pass', 1),
        ('def f(model, *, backbone: Any | None = None): pass', 1),
        ('def f(schedule): pass', 1),
        ('class A:\n    events: Any', 1),
        ('def f(backbone: Backbone, other: Any): pass', 0),
    ],
)
def test_finds_hidden_contracts(source: str, count: int):
    assert len(untyped_contracts(ast.parse(source))) == count


@pytest.mark.parametrize(
    ('name', 'count', 'expected'),
    [('f', 6, 0), ('f', 7, 1), ('__init__', 10, 0), ('__init__', 11, 1)],
)
def test_counts_arguments(name: str, count: int, expected: int):
    names = ', '.join(f'a{i}' for i in range(count - 1))
    tree = ast.parse(f'def {name}(self, {names}, *, b): pass')
    assert len(long_signatures(tree)) == expected


def test_counts_lines(tmp_path: Path):
    for lines in (MAX_LINES, MAX_LINES + 1):
        (tmp_path / f'{lines}.py').write_text('x = 1\n' * lines)
    found = long_files(sorted(tmp_path.iterdir()))
    assert found == [f'{MAX_LINES + 1}.py: {MAX_LINES + 1}']
