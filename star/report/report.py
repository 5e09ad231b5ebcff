"""Files of a report, made from a comparison."""

import json
from dataclasses import dataclass, field
from pathlib import Path

from star.report.comparison import Comparison
from star.report.export import FORMAT, to_csv, to_json
from star.report.frames import choose_clips
from star.report.markdown import to_markdown
from star.report.page import ClipSection, to_page
from star.report.pictures import PictureOptions, make_pictures
from star.report.remarks import Remark, find_remarks
from star.report.results import Key
from star.utils.files import read_json, write_text
from star.video.io import VideoError

DATA = 'report.json'
FILES = (DATA, 'index.html', 'report.md', 'table.csv')


@dataclass(frozen=True)
class ReportOptions:
    """Options of the page.

    Args:
        clips_per_set: number of clips of each set.
        clips: SET/NAME of clips to show instead.
        pictures: options of the pictures; None for no pictures.
    """

    clips_per_set: int = 2
    clips: list[str] = field(default_factory=list)
    pictures: PictureOptions | None = field(default_factory=PictureOptions)

    def __post_init__(self) -> None:
        if self.clips_per_set < 0:
            raise ValueError(
                f'`clips_per_set` must be >= 0, got {self.clips_per_set}'
            )


@dataclass(frozen=True)
class Report:
    """A finished report.

    Args:
        files: contents by file name, `FILES` in their order.
        remarks: warnings and notes.
        clips: number of clips on the page.
        pictured: number of clips with pictures.
    """

    files: dict[str, str]
    remarks: list[Remark]
    clips: int
    pictured: int


def make_report(comparison: Comparison, options: ReportOptions) -> Report:
    """Make all files of a report.

    Raises:
        ValueError: a clip is unknown, or a crop lies outside the frame.
    """
    remarks = find_remarks(comparison)
    keys = choose_clips(comparison, options.clips_per_set, options.clips)
    sections = []
    for key in keys:
        section, problem = _section(comparison, key, options.pictures)
        sections.append(section)
        remarks += [problem] if problem else []
    data = to_json(comparison, remarks)
    texts = (
        json.dumps(data, indent=1, allow_nan=False) + '\n',
        to_page(comparison, remarks, sections),
        to_markdown(comparison, remarks),
        to_csv(comparison),
    )
    pictured = sum(section.pictures is not None for section in sections)
    files = dict(zip(FILES, texts, strict=True))
    return Report(files, remarks, len(sections), pictured)


def check_folder(folder: Path) -> None:
    """Refuse a folder where a report would replace files of another kind.

    Raises:
        ValueError: it is a file, or has a file with a name of ours but no
            report.
    """
    if folder.exists() and not folder.is_dir():
        raise ValueError(f'{folder} is a file, no folder')
    existing = [name for name in FILES if (folder / name).exists()]
    if existing and not _is_ours(folder / DATA):
        raise ValueError(
            f'{folder / existing[0]} exists and belongs to no report of '
            'this command; choose another --out'
        )


def write_files(folder: Path, files: dict[str, str]) -> None:
    """Write the files of a report; other files in the folder stay.

    Args:
        folder: made if need be.
        files: contents by name. report.json comes first: `check_folder`
            takes a folder that has it for ours.
    """
    for name, text in files.items():
        write_text(folder / name, text)


def _section(
    comparison: Comparison, key: Key, options: PictureOptions | None
) -> tuple[ClipSection, Remark | None]:
    """Return a clip's section, and a note if its files cannot be read."""
    if options is None:
        return ClipSection(key, None), None
    try:
        return ClipSection(key, make_pictures(comparison, key, options)), None
    except (VideoError, OSError) as error:
        problem = f'no pictures: {error}'
        remark = Remark('note', f'{"/".join(key)}: {problem}')
        return ClipSection(key, None, problem), remark


def _is_ours(path: Path) -> bool:
    try:
        data = read_json(path)
    except ValueError:
        return False
    return isinstance(data, dict) and data.get('format') == FORMAT
