"""Print the section of a version in CHANGELOG.md, for a release's page.

python tools/release_notes.py 0.1.0
"""

import argparse
import re
import sys
from pathlib import Path

from star.cli.common import DONE, Parser, execute

CHANGELOG = Path(__file__).resolve().parent.parent / 'CHANGELOG.md'
_HEAD = re.compile(r'^## \[(?P<version>[^]]+)\].*$', re.M)


def find_notes(text: str, version: str) -> str:
    """Find the section of a version.

    Args:
        text: of the changelog.
        version: such as '0.1.0', or 'Unreleased'.

    Returns:
        The section without its heading, with line ends as they are.

    Raises:
        ValueError: there is no such section, or nothing is in it.
    """
    heads = list(_HEAD.finditer(text))
    names = [head['version'] for head in heads]
    if version not in names:
        raise ValueError(
            f'{version!r}: CHANGELOG.md has no such version, but '
            f'{", ".join(names) or "none"}'
        )
    place = names.index(version)
    ends = [*(head.start() for head in heads[1:]), len(text)]
    notes = text[heads[place].end() : ends[place]].strip()
    if not re.search(r'^[-*] ', notes, re.M):
        raise ValueError(f'{version!r}: its section in CHANGELOG.md is empty')
    return notes + '\n'


def parse_args(words: list[str] | None = None) -> argparse.Namespace:
    parser = Parser('release_notes.py', __doc__)
    parser.add_argument('version', metavar='VERSION')
    return parser.parse(words)


def main(words: list[str] | None = None) -> int:
    """Print the section and return the exit code."""
    return execute(show, parse_args(words))


def show(args: argparse.Namespace) -> int:
    text = CHANGELOG.read_text(encoding='utf-8')
    print(find_notes(text, args.version), end='')
    return DONE


if __name__ == '__main__':
    sys.exit(main())
