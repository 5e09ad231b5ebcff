"""Pictures are in their row and column."""

import numpy as np

from star.report.strips import draw_strips


def test_order():
    values = np.arange(6, dtype=np.uint8).reshape(2, 3)
    pictures = [
        [np.full((4, 5, 3), 40 * v, np.uint8) for v in row] for row in values
    ]
    rows = dict(zip(('low', 'high'), pictures, strict=True))
    figure = draw_strips(['a', 'b', 'c'], rows)
    shown = [
        int(panel.images[0].get_array()[0, 0, 0]) for panel in figure.axes
    ]
    assert shown == [0, 40, 80, 120, 160, 200]
    titles = [panel.get_title() for panel in figure.axes]
    assert titles == ['a', 'b', 'c', '', '', '']
    names = [panel.get_ylabel() for panel in figure.axes]
    assert names == ['low', '', '', 'high', '', '']
