"""Seams of a result: in single frames, and over a whole clip."""

from collections.abc import Mapping, Sequence
from typing import Any

import cv2
import numpy as np

from star.apis.inference.borders import Borders
from star.video.seams import space_seam, time_seam

EVERY = 24  # of so many frames one is looked at for borders of tiles
_REACH = 14  # lines on either side of a border, times the scale
_LEAST_CHANGE = 0.1  # levels of 8 bit: what changes less is still
Row = Mapping[str, Any]


def tile_seams(
    lq: np.ndarray, pred: np.ndarray, borders: Borders
) -> dict[str, list[float | None]]:
    """Score the borders between the tiles of a frame.

    Args:
        lq: frame of the input, (h, w, 3) uint8 or uint16.
        pred: its restored frame, (H, W, 3) of the same type.
        borders: of the tiles.

    Returns:
        Of `rows` and `columns`: the score of each, see `space_seam`; None
        where there is nothing to compare.
    """
    size = pred.shape[1::-1]
    large = cv2.resize(lq, size, interpolation=cv2.INTER_CUBIC)
    period = max(1, round(pred.shape[0] / lq.shape[0]))
    rows = [_score(pred, large, row, period) for row in borders.rows]
    pred, large = pred.swapaxes(0, 1), large.swapaxes(0, 1)
    columns = [_score(pred, large, at, period) for at in borders.columns]
    return {'rows': rows, 'columns': columns}


def _score(
    pred: np.ndarray, large: np.ndarray, row: int, period: int
) -> float | None:
    """Score a row in what was added to the enlarged input."""
    first = max(0, row - _REACH * period)
    near = slice(first, row + _REACH * period)
    added = pred[near].astype(np.int32) - large[near]
    return _known(space_seam(added, [row - first], (), period)[0][0])


def worst_seams(
    rows: Sequence[Row], borders: Borders, scenes: Sequence[int]
) -> dict[str, Any]:
    """Find the worst seams of a clip.

    Args:
        rows: measurements of all frames.
        borders: where parts of the result meet.
        scenes: first frame of each scene: no seam is looked for there.

    Returns:
        Of `time` and `space`: None, or `score` and the place, and `usual`,
        the median of the scores of all borders.
    """
    return {
        'time': _worst_in_time(rows, borders, scenes),
        'space': _worst_in_space(rows, borders),
    }


def _worst_in_time(
    rows: Sequence[Row], borders: Borders, scenes: Sequence[int]
) -> dict[str, Any] | None:
    ratios = [_relative_change(row) for row in rows]
    for frame in scenes:
        ratios[frame : frame + 1] = [np.nan]
    frames = sorted({*borders.segments, *borders.windows} - {*scenes})
    scores = time_seam(ratios, frames)
    if np.isnan(scores).all():
        return None
    at = int(np.nanargmax(scores))
    return {
        'score': _known(scores[at]),
        'frame': frames[at],
        'usual': _known(np.nanmedian(scores)),
    }


def _relative_change(row: Row) -> float:
    """Return the change of a result over that of its input."""
    lq, fine = row['change_lq'], row['change_fine']
    if lq is None or fine is None:
        return np.nan
    return (fine + _LEAST_CHANGE) / (lq + _LEAST_CHANGE)


def _worst_in_space(
    rows: Sequence[Row], borders: Borders
) -> dict[str, Any] | None:
    """Take the border whose median over the frames is the highest."""
    seen = [row for row in rows if 'seams' in row]
    found = []
    for axis, places in (('row', borders.rows), ('column', borders.columns)):
        for i, place in enumerate(places):
            scores = [row['seams'][f'{axis}s'][i] for row in seen]
            known = [score for score in scores if score is not None]
            if known:
                found.append((float(np.median(known)), axis, place, scores))
    if not found:
        return None
    score, axis, place, scores = max(found, key=lambda each: each[0])
    at = max(range(len(seen)), key=lambda i: scores[i] or 0)
    return {
        'score': _known(score),
        'axis': axis,
        'position': place,
        'frame': seen[at]['frame'],
        'usual': _known(float(np.median([each[0] for each in found]))),
    }


def _known(value: float) -> float | None:
    return None if np.isnan(value) else round(float(min(value, 1e6)), 4)
