"""Style of the figures, and files of figures and their numbers."""

import io
from collections.abc import Iterable, Sequence
from pathlib import Path

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from star.utils.files import csv_text, write_bytes, write_text

# Okabe and Ito's, which colour-blind people can tell apart
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
        rows: of panels, >= 1.
        width: of a panel in inches.
        height: of a panel in inches.

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
    """Refuse a path that is a folder or does not end in .png.

    Raises:
        ValueError: it is such a path.
    """
    if path.suffix.lower() != '.png' or path.is_dir():
        raise ValueError(f'`out` must be a file that ends in .png, got {path}')


def to_png(figure: Figure) -> bytes:
    """Return a figure as PNG; equal figures give equal bytes."""
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=DPI, metadata={'Software': None})
    return file.getvalue()


def save_figure(figure: Figure, path: Path) -> None:
    """Write a figure as a PNG file; its folder is made if need be."""
    write_bytes(path, to_png(figure))


def save_numbers(
    path: Path, columns: Sequence[str], rows: Iterable[Sequence[object]]
) -> None:
    """Write the numbers of a figure as CSV.

    Args:
        path: of the file.
        columns: their names.
        rows: one value for each column; None is an empty cell.
    """
    write_text(path, csv_text([columns, *rows]))
