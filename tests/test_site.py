"""The documentation site is complete, strict and needs no network."""

import ast
import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
import yaml

from tests.documents import PAGES, name_of
from tests.paths import ROOT

mkdocs_build = pytest.importorskip('mkdocs.commands.build')
pytest.importorskip('mkdocstrings_handlers.python')
pytest.importorskip('material')

API = sorted(ROOT.glob('docs/api/*.md'))
# what a browser fetches by itself
_FETCHED = re.compile(
    r'<(?:script|img|iframe|video|source)\b[^>]*\bsrc="([^"]+)"'
    r'|<link\b[^>]*\brel="(?:stylesheet|preconnect|icon|preload)"[^>]*>'
)
_URL = re.compile(r'(?:https?:)?//')


def build(root: Path, folder: Path, **changes: Any) -> Path:
    """Build the site of a project into a folder.

    Raises:
        mkdocs.exceptions.Abort: there was a warning.
    """
    from mkdocs.config import load_config

    config = load_config(
        str(root / 'mkdocs.yml'), site_dir=str(folder), **changes
    )
    mkdocs_build.build(config)
    return folder


def place_of(page: Path) -> str:
    """Return where the site has a document."""
    name = name_of(page).removeprefix('docs/').removesuffix('.md')
    return re.sub(r'\bREADME$', 'index', name) + '.html'


def fetched(html: str) -> list[str]:
    """List what a page makes a browser fetch from elsewhere."""
    tags = [match[0] for match in _FETCHED.finditer(html)]
    return [tag for tag in tags if _URL.search(tag)]


@pytest.fixture(
    scope='module',
    params=['pages', pytest.param('whole', marks=pytest.mark.slow)],
)
def site(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Path:
    """Build the site; the quick form has no API and no search."""
    less = {'plugins': []} if request.param == 'pages' else {}
    folder = tmp_path_factory.mktemp('site')
    return build(ROOT, folder / request.param, **less)


def test_every_document_is_a_page(site: Path):
    for page in PAGES:
        html = (site / place_of(page)).read_text(encoding='utf-8')
        title = re.search(r'^# (.+)$', page.read_text(encoding='utf-8'), re.M)
        assert title and title[1].split('`')[0].split('&')[0][:20] in html
    assert (site / 'images/demo.png').is_file()


def test_no_page_needs_the_network(site: Path):
    pages = list(site.rglob('*.html'))
    assert len(pages) > 20
    for page in pages:
        assert fetched(page.read_text(encoding='utf-8')) == [], page
    for style in site.rglob('*.css'):
        text = style.read_text(encoding='utf-8')
        assert not re.search(r'url\("?(https?:)?//', text), style


def test_docstrings_are_shown(site: Path):
    if site.name != 'whole':
        pytest.skip('the quick form has no docstrings')
    html = (site / 'api/restore.html').read_text(encoding='utf-8')
    text = re.sub(r'<[^>]+>', '', html)
    assert 'As many frames come out as went in' in text
    assert 'id="star.apis.init_model"' in html
    index = json.loads((site / 'search/search_index.json').read_text())
    places = {entry['location'].partition('#')[0] for entry in index['docs']}
    assert {'api/restore.html', 'files.html'} <= places


def find_name(name: str) -> bool:
    """Return whether a dotted name is a module, or a name within one."""
    path = ROOT / name.replace('.', '/')
    if path.is_dir() or path.with_suffix('.py').is_file():
        return True
    file = path.parent.with_suffix('.py')
    file = file if file.is_file() else path.parent / '__init__.py'
    tree = ast.parse(file.read_text(encoding='utf-8'))
    names = {getattr(node, 'name', None) for node in tree.body}
    names |= {n.name for n in ast.walk(tree) if isinstance(n, ast.alias)}
    return path.name in names


def test_the_api_names_what_exists():
    names = [
        name
        for page in API
        for name in re.findall(r'^::: (\S+)$', page.read_text(), re.M)
    ]
    assert len(names) > 20
    assert [name for name in names if not find_name(name)] == []
    assert not find_name('star.apis.restore_videos')


def test_fetching_is_found():
    html = '<script src="https://a/b.js"></script><img src="images/a.png">'
    html += '<link rel="stylesheet" href="//a/b.css"><a href="https://a">'
    assert len(fetched(html)) == 2


def test_wrong_links_are_errors(tmp_path: Path):
    from mkdocs.exceptions import Abort

    good, bad = (
        '[a](docs/page.md#yes)',
        ['other.md', 'docs/page.md#no', '/a.md'],
    )
    write_project(tmp_path, good)
    page = build(tmp_path, tmp_path / 'site', plugins=[]) / 'page.html'
    assert 'id="yes"' in page.read_text(encoding='utf-8')
    write_project(tmp_path, ' '.join([good, *(f'[a]({x})' for x in bad)]))
    with pytest.raises(Abort, match='3 warnings'):
        build(tmp_path, tmp_path / 'site', plugins=[])


def write_project(root: Path, text: str) -> None:
    """Write a project of two pages with our settings."""
    (root / 'docs').mkdir(exist_ok=True)
    for name in ('hooks.py', 'site.css'):
        shutil.copy(ROOT / 'docs' / name, root / 'docs')
    (root / 'docs/page.md').write_text('# A page\n\n## Yes\n')
    (root / 'README.md').write_text(f'# Home\n\n{text}\n')
    config = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    head = config.partition('\nwatch:')[0]
    nav = yaml.safe_dump({'nav': ['README.md', 'docs/page.md']})
    (root / 'mkdocs.yml').write_text(f'{head}\n{nav}')
