"""Writing a report replaces an older report, and no other file."""

from pathlib import Path

import pytest

from star.report.report import DATA, FILES, check_folder, write_files

OURS = '{"format": "star-report/1"}'


def test_writes_and_replaces(tmp_path: Path):
    out = tmp_path / 'new' / 'report'
    check_folder(out)
    write_files(out, {name: OURS for name in FILES})
    (out / 'notes.txt').write_text('mine')
    check_folder(out)
    write_files(out, {DATA: OURS, 'index.html': 'second'})
    assert (out / 'index.html').read_text() == 'second'
    assert (out / 'notes.txt').read_text() == 'mine'
    assert sorted(p.name for p in out.iterdir()) == sorted(
        [*FILES, 'notes.txt']
    )


@pytest.mark.parametrize('name', FILES)
def test_files_of_others_are_kept(tmp_path: Path, name: str):
    (tmp_path / name).write_text('{"format": "another"}')
    with pytest.raises(ValueError, match=f'{name} exists and belongs to no'):
        check_folder(tmp_path)


def test_a_file_is_no_folder(tmp_path: Path):
    (tmp_path / 'file').touch()
    with pytest.raises(ValueError, match='is a file, no folder'):
        check_folder(tmp_path / 'file')
