"""Makes one site of all documents, wherever in the project they lie.

A page has the path that it has in the project, so that its links to other
documents hold in the site as they do in a checkout.
"""

import re
from collections.abc import Iterator
from pathlib import Path

from mkdocs.config.defaults import MkDocsConfig
from mkdocs.structure.files import File, Files

ROOT = Path(__file__).resolve().parent.parent
METHODS = ('configs/*/README.md',)
PAGES = (
    *('README.md', 'CONTRIBUTING.md', 'CHANGELOG.md', 'data/README.md'),
    *('docs/**/*.md', 'projects/**/README.md', 'integrations/**/README.md'),
    *METHODS,
)
ASSETS = ('docs/**/*.css', 'docs/**/*.png')
_SHORT = re.compile(r'<code>([^<]{1,24})</code>')
_LINK = re.compile(r'\]\(([^)\s#:]+)\)')


def on_config(config: MkDocsConfig) -> None:
    """List methods that `nav` does not name at the end of their section."""
    names = [path.relative_to(ROOT).as_posix() for path in _match(METHODS)]
    for section in config.nav or ():
        if isinstance(section, dict) and 'Methods' in section:
            listed = str(config.nav)
            section['Methods'] += [n for n in sorted(names) if n not in listed]


def on_files(files: Files, config: MkDocsConfig) -> Files:
    """Replace the files of docs/ by all documents and what they show."""
    others = [file for file in files if file.src_dir != config.docs_dir]
    return Files([*(add_file(p, config) for p in find_files()), *others])


def on_page_content(html: str, **_: object) -> str:
    """Mark short code, which site.css keeps on one line: `--overwrite`."""
    return _SHORT.sub(r'<code class="short">\1</code>', html)


def find_files() -> list[Path]:
    """List the documents, their pictures and the files that they link."""
    pages, assets = _match(PAGES), _match(ASSETS)
    linked = {path for page in pages for path in _linked(page)}
    return sorted({*pages, *assets, *linked})


def add_file(path: Path, config: MkDocsConfig) -> File:
    """Give a file its place in the site: that of the project, less docs/."""
    name = path.relative_to(ROOT).as_posix()
    file = File(name, str(ROOT), config.site_dir, config.use_directory_urls)
    file.dest_uri = file.dest_uri.removeprefix('docs/')
    return file


def _match(patterns: tuple[str, ...]) -> list[Path]:
    return [path for pattern in patterns for path in ROOT.glob(pattern)]


def _linked(page: Path) -> Iterator[Path]:
    """Yield the files of the project that a page links to."""
    for link in _LINK.findall(page.read_text(encoding='utf-8')):
        path = (page.parent / link).resolve()
        if path.is_file() and path.is_relative_to(ROOT):
            yield path
