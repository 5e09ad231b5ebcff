"""Every block of Python in the documents runs, on small stand-ins.

A block that says `# needs ...` is only compiled, which `test_docs.py` does.
"""

import sys
from pathlib import Path
from typing import Any

import pytest
import torch
from mmengine.config import Config
from mmengine.registry import Registry

from star.evaluation import VideoMetric
from star.testing import check_metric
from tests.documents import PAGES, Document, name_of, read_document
from tests.stand_ins import (
    make_source,
    make_tensor,
    needs_more,
    write_files,
)

# pages whose networks take long
SLOW = ('docs/diffusers.md',)
DOCUMENTS = [read_document(page) for page in PAGES]
METRIC = 'from projects.example_project.gradient_error import *\n'


def mark(document: Document) -> Any:
    """Return a document as a parameter."""
    name = name_of(document.path)
    marks = [pytest.mark.slow] if name in SLOW else []
    return pytest.param(document, marks=marks, id=name)


def start_names() -> dict[str, Any]:
    """Return what the text gives a block, and does not define again."""
    from projects.example_project import gradient_error

    return {
        'clip': torch.from_numpy(make_tensor()),
        # CONTRIBUTING.md leaves out the head of a file that it links
        'METRICS': Registry('a metric of the reader'),
        'VideoMetric': VideoMetric,
        'gradient_error': gradient_error.gradient_error,
        'check_metric': check_metric,
    }


def run_block(block: str, names: dict[str, Any], path: Path) -> None:
    """Run a block; one of a config is read as such."""
    if block.startswith('_base_ = '):
        path.write_text(block, encoding='utf-8')
        assert Config.fromfile(path)
    elif not needs_more(block):
        exec(compile(block, str(path), 'exec'), names)


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Go to a folder with what the pages name, and forget its modules."""
    make_source(tmp_path / 'old.mp4')
    (tmp_path / 'my_project').mkdir()
    (tmp_path / 'my_project/gradient_error.py').write_text(METRIC)
    known = set(sys.modules)
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    yield tmp_path
    for name in set(sys.modules) - known:
        file = getattr(sys.modules[name], '__file__', None)
        if file and Path(file).is_relative_to(tmp_path):
            del sys.modules[name]


@pytest.mark.parametrize(
    'document', [mark(found) for found in DOCUMENTS if found.python]
)
def test_blocks_run(document: Document, folder: Path):
    write_files(document, folder)
    files = {content.rstrip() for content in document.files.values()}
    names = start_names()
    for i, block in enumerate(document.python):
        if block not in files:
            run_block(block, names, folder / f'block_{i}.py')


def test_what_blocks_make(folder: Path):
    run_block('made = clip + 1', names := start_names(), folder / 'a.py')
    assert (names['made'] == names['clip'] + 1).all()
    run_block('# needs a GPU\nwrong()', names, folder / 'b.py')
    with pytest.raises(NameError, match='wrong'):
        run_block('wrong()', names, folder / 'c.py')
    with pytest.raises(FileNotFoundError, match='no_such_config'):
        config = "_base_ = 'star::star/no_such_config.py'"
        run_block(config, names, folder / 'd.py')
