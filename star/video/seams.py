"""The strength of seams between windows, segments and tiles."""

from collections.abc import Sequence

import numpy as np

_FRAMES = 6  # on either side of a border in time that it is compared with
_LINES = 12  # on either side of a border in space


def time_seam(
    changes: Sequence[float] | np.ndarray, borders: Sequence[int]
) -> np.ndarray:
    """Compare the changes at borders in time with those around them.

    Args:
        changes: of each frame to the one before, (T,), >= 0; NaN where there
            is none, as for the first. Better than the change of a result
            itself is its ratio to the input's, which motion leaves alone.
        borders: numbers of the frames at which a window or segment begins to
            count; others than frames of the clip are passed over.

    Returns:
        (len(borders),) change at the border over the median of the frames
        around that are no borders: about 1 if there is no seam, more if one
        flickers, NaN where there is nothing to compare.
    """
    values = np.asarray(changes, float)
    return _compare(values, borders, np.arange(-_FRAMES, _FRAMES + 1))


def space_seam(
    image: np.ndarray,
    rows: Sequence[int] = (),
    columns: Sequence[int] = (),
    period: int = 1,
) -> tuple[np.ndarray, np.ndarray]:
    """Compare the steps across borders in space with those around them.

    Args:
        image: (H, W) or (H, W, 3). Best is what was added to the enlarged
            input, which holds none of the picture's own edges.
        rows: first rows of tiles, or middles of overlaps.
        columns: as `rows`.
        period: only steps so many lines apart, or a multiple of it, are
            compared: the scale, where a network writes patches of that side.

    Returns:
        For each of `rows` and for each of `columns`: mean step between the
        two lines at the border over the median of such steps around: about 1
        if there is no seam, NaN where there is nothing to compare.
    """
    pixels = np.asarray(image, float)
    found = []
    for axis, borders in enumerate((rows, columns)):
        steps = np.abs(np.diff(pixels, axis=axis))
        others = tuple(i for i in range(pixels.ndim) if i != axis)
        means = np.concatenate([[np.nan], steps.mean(others)])
        reach = np.arange(-_LINES, _LINES + 1) * period
        found.append(_compare(means, borders, reach))
    return found[0], found[1]


def _compare(
    values: np.ndarray, borders: Sequence[int], reach: np.ndarray
) -> np.ndarray:
    """Divide the values at borders by the median of others in reach."""
    scores = np.full(len(borders), np.nan)
    usual = values.copy()
    inside = [b for b in borders if 0 <= b < len(values)]
    usual[inside] = np.nan
    for i, border in enumerate(borders):
        near = border + reach
        around = usual[near[(near >= 0) & (near < len(usual))]]
        around = around[~np.isnan(around)]
        if border in inside and len(around):
            scores[i] = _ratio(values[border], float(np.median(around)))
    return scores


def _ratio(value: float, usual: float) -> float:
    """Divide; a picture that does not change has no seam."""
    if usual > 0 or np.isnan(value):
        return value / usual if usual > 0 else np.nan
    return 1.0 if value == 0 else np.inf
