"""The documentation site is complete, strict and needs no network."""

import json
import re
import shutil
from pathlib import Path
from pkgutil import resolve_name
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


def test_the_api_names_what_exists():
    names = [
        name
        for page in API
        for name in re.findall(r'^::: (\S+)$', page.read_text(), re.M)
    ]
    assert len(names) > 20
    for name in names:
        module, _, last = name.rpartition('.')
        assert resolve_name(name) is not None, name
        assert module.startswith('star') and last


def test_fetching_is_found():
    html = '<script src="https://a/b.js"></script><img src="images/a.png">'
    html += '<link rel="stylesheet" href="//a/b.css"><a href="https://a">'
    assert len(fetched(html)) == 2


@pytest.mark.parametrize(
    'text',
    ['[a](other.md)', '[a](docs/page.md#no)', '[a](/docs/page.md)', ''],
    ids=['file', 'anchor', 'absolute', 'none'],
)
def test_a_wrong_link_is_an_error(text: str, tmp_path: Path):
    from mkdocs.exceptions import Abort

    (tmp_path / 'docs').mkdir()
    shutil.copy(ROOT / 'docs/hooks.py', tmp_path / 'docs')
    (tmp_path / 'docs/page.md').write_text('# A page\n\n## Yes\n')
    readme = f'# Home\n\n[a](docs/page.md#yes) {text}\n'
    (tmp_path / 'README.md').write_text(readme)
    config = (ROOT / 'mkdocs.yml').read_text(encoding='utf-8')
    head = config.partition('\nnav:')[0].partition('\nwatch:')[0]
    nav = yaml.safe_dump({'nav': ['README.md', 'docs/page.md']})
    (tmp_path / 'mkdocs.yml').write_text(f'{head}\n{nav}')
    less = {'plugins': [], 'extra_css': []}
    if text:
        with pytest.raises(Abort):
            build(tmp_path, tmp_path / 'site', **less)
    else:
        page = build(tmp_path, tmp_path / 'site', **less) / 'page.html'
        assert 'id="yes"' in page.read_text()
