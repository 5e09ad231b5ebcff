"""From runs to the files of a report."""

import json
from dataclasses import dataclass, field

from star.report.comparison import Comparison
from star.report.export import to_csv, to_json
from star.report.frames import choose_clips
from star.report.markdown import to_markdown
from star.report.page import ClipPart, to_page
from star.report.pictures import PictureOptions, make_pictures
from star.report.remarks import Remark, find_remarks
from star.report.runs import Key
from star.video.io import VideoError


@dataclass(frozen=True)
class ReportOptions:
    """What the page shows.

    Args:
        clips_per_set: how many clips of each set.
        clips: SET/NAME of clips to show instead.
        pictures: how they are made; None for no pictures.
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
        files: contents by file name.
        remarks: what a reader must know.
        clips: number of clips on the page.
        pictured: how many of them have pictures.
    """

    files: dict[str, str]
    remarks: list[Remark]
    clips: int
    pictured: int


def make_report(comparison: Comparison, options: ReportOptions) -> Report:
    """Make all files of a report.

    Raises:
        ValueError: a clip that is not there, or a crop outside the frame.
    """
    remarks = find_remarks(comparison)
    keys = choose_clips(comparison, options.clips_per_set, options.clips)
    parts = []
    for key in keys:
        part, problem = _part(comparison, key, options.pictures)
        parts.append(part)
        remarks += [problem] if problem else []
    data = to_json(comparison, remarks)
    files = {
        'report.json': json.dumps(data, indent=1, allow_nan=False) + '\n',
        'table.csv': to_csv(comparison),
        'report.md': to_markdown(comparison, remarks),
        'index.html': to_page(comparison, remarks, parts),
    }
    pictured = sum(part.pictures is not None for part in parts)
    return Report(files, remarks, len(parts), pictured)


def _part(
    comparison: Comparison, key: Key, options: PictureOptions | None
) -> tuple[ClipPart, Remark | None]:
    """Make a clip's pictures; say so where its files cannot be read."""
    if options is None:
        return ClipPart(key, None), None
    try:
        return ClipPart(key, make_pictures(comparison, key, options)), None
    except (VideoError, OSError) as error:
        problem = f'no pictures: {error}'
        remark = Remark('note', f'{"/".join(key)}: {problem}')
        return ClipPart(key, None, problem), remark
