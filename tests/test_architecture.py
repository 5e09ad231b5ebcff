"""Imports go one way: what each part of the project may import of it."""

import ast
from pathlib import Path

import pytest

from tests.paths import ROOT

# part -> parts it may import; every part may import LEAVES and itself.
LEAVES = {
    'registry',
    'structures',
    'compat',
    'paths',
    'memory',
    'records',
    'state_dicts',
    'weight_files',
}
ALLOWED = {
    '__init__': set(),
    'registry': {'compat'},
    'structures': set(),
    'compat': set(),
    'paths': set(),
    'memory': set(),
    'records': set(),
    'state_dicts': set(),
    'weight_files': set(),
    'video': set(),
    'diffusion': set(),
    'datasets': {'video'},
    'models': {'diffusion', 'video'},
    'evaluation': set(),
    'engine': {'video'},
    'report': {'video'},
    'user_study': {'video'},
    'apis': {'models', 'diffusion', 'video'},
    'sweep': {'report'},
}
LEAF_PARTS = LEAVES | {'__init__'}
FILES = sorted((ROOT / 'star').rglob('*.py'))


def part_of(module: str) -> str:
    """Name the part of `star` a dotted module name belongs to."""
    return [*module.split('.'), '__init__'][1]


def imported(tree: ast.AST, package: str) -> set[str]:
    """Collect the parts of `star` that a parsed file of `package` imports."""
    parts = set()
    for node in ast.walk(tree):
        names = []
        if isinstance(node, ast.Import):
            names = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            base = package.split('.')[: -node.level + 1 or None]
            module = [*base] if node.level else []
            module += [node.module] if node.module else []
            names = ['.'.join([*module, a.name]) for a in node.names]
        parts |= {part_of(n) for n in names if n.split('.')[0] == 'star'}
    # `from star import __version__` is no part
    return {part for part in parts if part in ALLOWED}


def check(path: Path) -> set[str]:
    """Find the parts that a file imports and may not."""
    *package, stem = path.relative_to(ROOT).with_suffix('').parts
    own = package[1] if len(package) > 1 else stem
    allowed = ALLOWED[own] | (set() if own in LEAF_PARTS else LEAVES) | {own}
    tree = ast.parse(path.read_text(encoding='utf-8'))
    return imported(tree, '.'.join(package)) - allowed - {'__init__'}


@pytest.mark.parametrize(
    'path', FILES, ids=lambda path: str(path.relative_to(ROOT))
)
def test_imports_are_allowed(path: Path):
    assert check(path) == set()


@pytest.mark.parametrize(
    ('source', 'package', 'expected'),
    [
        ('import star.models.layers.liem', 'star.apis', {'models'}),
        ('from star.video import io', 'star.models', {'video'}),
        ('from star import compat', 'star.engine', {'compat'}),
        ('from star import __version__', 'star.engine', set()),
        ('from . import liem', 'star.models', {'models'}),
        ('from ..video.io import A', 'star.models', {'video'}),
        ('from .blocks import A', 'star.models.backbones', {'models'}),
        ('def f():\n    from star import models', 'star', {'models'}),
        ('import starlette, torch', 'star', set()),
    ],
)
def test_finds_imports(source: str, package: str, expected: set[str]):
    assert imported(ast.parse(source), package) == expected


def test_parts_of_the_library_are_all_named():
    parts = {path.relative_to(ROOT / 'star').parts[0] for path in FILES}
    assert {part.removesuffix('.py') for part in parts} <= ALLOWED.keys()


def test_tools_go_through_the_library():
    """Nothing in the library or a config imports a tool or a test."""
    for path in [*FILES, *(ROOT / 'configs').rglob('*.py')]:
        tree = ast.parse(path.read_text(encoding='utf-8'))
        for node in ast.walk(tree):
            if isinstance(node, ast.Import):
                roots = {alias.name.split('.')[0] for alias in node.names}
            elif isinstance(node, ast.ImportFrom) and not node.level:
                roots = {str(node.module).split('.')[0]}
            else:
                continue
            assert not roots & {'tools', 'tests'}, path
