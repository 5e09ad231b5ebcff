"""Figures of one look, each written in one piece, its numbers beside it."""

import csv
import io
import os
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from star.utils.files import write_text

# Okabe and Ito's, told apart also by those who see fewer colours
COLOURS = (
    *('#0072b2', '#d55e00', '#009e73', '#cc79a7', '#e69f00', '#56b4e9'),
    '#000000',
)
SHAPES = 'osD^vP*'
DASHES = ('-', '--', '-.', ':')
DPI = 120


def new_figure(
    columns: int, rows: int = 1, width: float = 4.4, height: float = 3.4
) -> tuple[Figure, list[Axes]]:
    """Make a figure of panels with a faint grid.

    Args:
        columns: of panels, >= 1.
        rows: likewise.
        width: of a panel in inches.
        height: likewise.

    Returns:
        The figure and its panels, row by row.
    """
    size = (columns * width, rows * height)
    figure = Figure(figsize=size, layout='constrained')
    panels = list(figure.subplots(rows, columns, squeeze=False).flat)
    for panel in panels:
        panel.grid(alpha=0.3)
    return figure, panels


def check_png(path: Path) -> None:
    """Refuse a name under which no figure can be written.

    Raises:
        ValueError: it is a folder, or does not end in .png.
    """
    if path.suffix.lower() != '.png' or path.is_dir():
        raise ValueError(f'`out` must be a file that ends in .png, got {path}')


def to_png(figure: Figure) -> bytes:
    """Draw a figure as a PNG file; equal figures give equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=DPI, metadata={'Software': None})
    return file.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a PNG file; its folder is made if need be.

    Args:
        figure: equal figures give equal files.
        path: of the file.
    """
    data = to_png(figure)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part-{os.getpid()}')
    part.write_bytes(data)
    part.replace(path)


def save_numbers(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write the numbers of a figure as CSV; None leaves a field empty.

    Args:
        path: of the file.
        columns: their names.
        rows: as many values each.
    """
    text = io.StringIO()
    writer = csv.writer(text, lineterminator='\n')
    writer.writerow(columns)
    writer.writerows(rows)
    write_text(path, text.getvalue())
