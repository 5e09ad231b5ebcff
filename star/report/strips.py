"""Pictures in a grid with names for its rows and columns."""

from collections.abc import Mapping, Sequence

import numpy as np
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine

_WIDTH = 1.35  # inches of a picture


def draw_strips(
    columns: Sequence[str], rows: Mapping[str, Sequence[np.ndarray]]
) -> Figure:
    """Draw pictures in a grid, without interpolation.

    Args:
        columns: names of the columns.
        rows: by name, one picture for each column, (H, W, 3) uint8 RGB.
    """
    height, width = next(iter(rows.values()))[0].shape[:2]
    size = (
        0.4 + _WIDTH * len(columns),
        0.4 + _WIDTH * height / width * len(rows),
    )
    spaces = ConstrainedLayoutEngine(
        w_pad=0.02, h_pad=0.02, wspace=0, hspace=0
    )
    figure = Figure(figsize=size, layout=spaces)
    panels = figure.subplots(len(rows), len(columns), squeeze=False)
    for line, (name, pictures) in zip(panels, rows.items(), strict=True):
        for panel, picture in zip(line, pictures, strict=True):
            _picture(panel, picture)
        line[0].set_ylabel(name, fontsize='small')
    for panel, name in zip(panels[0], columns, strict=True):
        panel.set_title(name, fontsize='small', pad=3)
    return figure


def _picture(panel: Axes, picture: np.ndarray) -> None:
    panel.imshow(picture, interpolation='nearest')
    panel.set_xticks([])
    panel.set_yticks([])
