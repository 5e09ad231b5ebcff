"""Write a report's files."""

import json
import os
from pathlib import Path

from star.report.export import FORMAT

DATA = 'report.json'
FILES = ('index.html', 'report.md', 'table.csv', DATA)


def check_folder(folder: Path) -> None:
    """Refuse a folder in which files that are no report's would be lost.

    Raises:
        ValueError: it is a file, or holds a file of one of our names but no
            report of ours.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'{folder}: no folder')
    there = [name for name in FILES if (folder / name).exists()]
    if there and not _is_ours(folder / DATA):
        raise ValueError(
            f'{folder}: {there[0]} is there and belongs to no report of '
            'this tool; choose another --out'
        )


def write_files(folder: Path, texts: dict[str, str]) -> None:
    """Write files, each in one piece; others in the folder stay.

    Args:
        folder: made if it is not there.
        texts: by name of file.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # the data first: it marks the others as ours
    for name in sorted(texts, key=lambda name: name != DATA):
        part = folder / f'.{name}.part'
        part.write_text(texts[name], encoding='utf-8', newline='\n')
        os.replace(part, folder / name)


def _is_ours(path: Path) -> bool:
    try:
        data = json.loads(path.read_text(encoding='utf-8'))
    except (OSError, ValueError):
        return False
    return isinstance(data, dict) and data.get('format') == FORMAT
