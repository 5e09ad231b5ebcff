"""The commands of the pages for users, typed in order on small clips.

Networks with random numbers stand in for published weights. A command that
says `# needs ...` is only parsed, which `test_docs.py` does.
"""

import os
import shutil
from pathlib import Path

import pytest

from star.cli.main import main, make_parser
from star.video.io import VideoReader
from tests.documents import read_document
from tests.paths import ROOT
from tests.stand_ins import (
    link_samples,
    make_sources,
    needs_more,
    read_words,
    with_twin,
    write_files,
)

NAMES = ('get_started', 'restore', 'remedies', 'faq', 'extend')
PAGES = [ROOT / f'docs/{name}.md' for name in NAMES]


class Reader:
    """Somebody who types the commands of a page.

    Args:
        folder: where they are typed.
    """

    def __init__(self, folder: Path) -> None:
        self.folder, self.last = folder, ''

    def type(self, command: str) -> None:
        """Run a command and look at what it leaves."""
        words = with_twin(read_words(command))
        make_sources(words, self.folder)
        result = self.find_result(words)
        again = command == self.last
        if result and not again:
            remove(result)
        before = time_of(result) if again else None
        assert main(words) == 0, command
        if result:
            check(self.folder, words, result)
        assert not again or time_of(result) == before, command
        self.last = command

    def find_result(self, words: list[str]) -> Path | None:
        """Return what a command will write, None if it restores nothing."""
        if words[0] != 'restore':
            return None
        args = make_parser('restore').parse(words[1:])
        return self.folder / args.dst


def time_of(result: Path | None) -> int:
    """Return when a result was written."""
    assert result is not None
    return result.stat().st_mtime_ns


def remove(result: Path) -> None:
    """Remove a result and what lies beside it."""
    for path in result.parent.glob(f'*{result.name}*'):
        shutil.rmtree(path) if path.is_dir() else path.unlink()


def check(folder: Path, words: list[str], result: Path) -> None:
    """Compare a result with its source."""
    args = make_parser('restore').parse(words[1:])
    if args.preview:
        preview = result.with_name(f'{result.name}.preview.mp4')
        assert preview.is_file() and not result.exists()
    elif result.name == 'restored':
        found = {p.relative_to(result) for p in result.rglob('*.mp4')}
        assert found == {Path('one.mp4'), Path('below/two.mp4')}
    else:
        before, size = measure(folder / args.src, args.allow_partial)
        after, large = measure(result)
        assert before == after
        expected = [round(side * (args.scale or 4)) for side in size]
        assert [*large] == expected
    if args.report:
        assert result.with_name(f'{result.name}.star.html').is_file()


def measure(path: Path, partly: bool = False) -> tuple[int, tuple[int, int]]:
    """Return the number of frames and their width and height."""
    with VideoReader(path, allow_partial=partly) as reader:
        count = sum(1 for _ in reader)
        return count, (reader.info.width, reader.info.height)


@pytest.mark.slow
@pytest.mark.parametrize('page', PAGES, ids=lambda page: page.stem)
def test_commands_run(
    page: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
):
    monkeypatch.chdir(tmp_path)
    monkeypatch.syspath_prepend(tmp_path)
    monkeypatch.setitem(os.environ, 'HF_HUB_OFFLINE', '1')
    link_samples(tmp_path)
    document = read_document(page)
    write_files(document, tmp_path)
    reader = Reader(tmp_path)
    typed = 0
    for command in document.commands:
        if command.startswith('star ') and not needs_more(command):
            reader.type(command)
            typed += 1
    assert typed >= 3
