"""Reads documents: their commands, code, paths, options and links."""

import ast
import re
import shlex
import textwrap
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

from tests.paths import ROOT

PAGES = [
    ROOT / 'README.md',
    ROOT / 'CONTRIBUTING.md',
    ROOT / 'data/README.md',
    *sorted(ROOT.glob('docs/**/*.md')),
    *sorted(ROOT.glob('configs/*/README.md')),
    *sorted(ROOT.glob('projects/**/README.md')),
    *sorted(ROOT.glob('integrations/**/README.md')),
]
STARTS = ('star', 'python', 'make', 'mim', 'pip', 'pytest', 'tensorboard')
_COMMAND = re.compile(rf'(?:{"|".join(STARTS)}|tools/\S+\.sh)(?:\s|$)')
_FENCE = re.compile(r'^( *)(```+)(\w*)\n(.*?)^\1\2[ ]*$', re.M | re.S)
_INDENTED = re.compile(r'(?:\A|(?<=\n\n))(?:(?:    .*| *)(?:\n|\Z))+')
_FILE = re.compile(r'`([\w/]+\.py)`:\n\n```python\n(.*?)^```$', re.M | re.S)
_SPAN = re.compile(r'(`+)(.+?)\1', re.S)
_LINK = re.compile(r'\]\(([^)\s]+)\)')
_HEADING = re.compile(r'^#+ (.+)$', re.M)
_CODE = re.compile(r'(from|import|@|class|def) |\w+ = ')


@dataclass(frozen=True)
class Document:
    """What a document tells the reader to type, open or read.

    Attributes:
        path: of the file.
        commands: lines of code blocks that begin with a known command.
        mentions: code within sentences.
        python: blocks of Python.
        files: content of the files that it shows, below "`PATH`:".
        links: targets of links to files.
        anchors: of its own headings.
    """

    path: Path
    commands: list[str] = field(default_factory=list)
    mentions: list[str] = field(default_factory=list)
    python: list[str] = field(default_factory=list)
    files: dict[str, str] = field(default_factory=dict)
    links: list[str] = field(default_factory=list)
    anchors: set[str] = field(default_factory=set)

    @property
    def modules(self) -> set[str]:
        """Names of the modules among its files."""
        names = (name.removesuffix('.py') for name in self.files)
        return {name.replace('/', '.') for name in names}


def name_of(path: Path) -> str:
    """Return the place of a file in the project, for the ids of tests."""
    return path.relative_to(ROOT).as_posix()


def read_document(path: Path, text: str | None = None) -> Document:
    """Take a Markdown document apart.

    Args:
        path: of the file; links are relative to it.
        text: instead of what the file has.
    """
    text = path.read_text(encoding='utf-8') if text is None else text
    found = Document(path, anchors=set(_anchors(text)))
    found.files.update(_FILE.findall(text))

    def take_fence(match: re.Match) -> str:
        _add_block(found, match[4], match[3])
        return ''

    def take_indented(match: re.Match) -> str:
        _add_block(found, match[0])
        return '\n'

    text = _INDENTED.sub(take_indented, _FENCE.sub(take_fence, text))
    found.mentions.extend(' '.join(s.split()) for _, s in _SPAN.findall(text))
    found.links.extend(t for t in _LINK.findall(text) if '://' not in t)
    return found


def read_docstrings(path: Path) -> Document:
    """Take the docstrings of a Python file apart, as --help shows them."""
    tree = ast.parse(path.read_text(encoding='utf-8'))
    nodes = [tree, *(n for n in tree.body if isinstance(n, ast.FunctionDef))]
    text = '\n\n'.join(ast.get_docstring(node) or '' for node in nodes)
    # lines of a command that go on are indented further
    return read_document(path, re.sub(r'\\?\n {8,}', ' ', text))


def _add_block(document: Document, block: str, kind: str = '') -> None:
    block = textwrap.dedent(block).strip('\n')
    commands = [line for line in join_lines(block) if _COMMAND.match(line)]
    if kind == 'python' or (not kind and not commands and _CODE.match(block)):
        document.python.append(block)
        return
    document.commands.extend(commands)


def join_lines(block: str) -> Iterator[str]:
    """Yield the commands of a block; a backslash or a quote joins lines."""
    waiting = ''
    for line in block.replace('\\\n', ' ').split('\n'):
        waiting = f'{waiting} {line}' if waiting else line
        try:
            shlex.split(waiting, comments=True)
        except ValueError:  # an open quotation
            continue
        yield ' '.join(waiting.split())
        waiting = ''


def _anchors(text: str) -> Iterator[str]:
    """Yield the anchors that GitHub gives headings."""
    for heading in _HEADING.findall(_FENCE.sub('', text)):
        words = re.sub(r'[^\w\- ]', '', heading).lower()
        yield words.replace(' ', '-')
