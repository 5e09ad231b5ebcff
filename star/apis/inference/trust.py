"""`TrustMeter`: compares each restored frame with the frame it came from."""

import math
from collections.abc import Mapping
from typing import Any

import cv2
import numpy as np

from star.apis.inference.borders import Borders
from star.apis.inference.trust_seams import EVERY, tile_seams

WIDEST = 640  # pixels; both frames are compared at this width at most
EQUAL = 100.0  # dB, of frames that do not differ
_FINE = 8  # green of every 8th row stands for the result's fine detail
_LEVELS = {'uint8': 1.0, 'uint16': 257.0}  # of one 8-bit level


class TrustMeter:
    """Measures restored frames against the input, one frame after the other.

    Both frames are shrunk to the input's size, at most `WIDEST` wide: each
    pixel becomes the mean of the area that it covers. So a result that adds
    detail, and changes nothing else, equals its input.

    Args:
        borders: of the tiles, which are looked at in some of the frames; None
            for none.
    """

    def __init__(self, borders: Borders | None = None) -> None:
        self._borders = borders or Borders()
        self._count = 0
        self._last: dict[str, np.ndarray] = {}
        self._rows: list[dict[str, Any]] = []

    def add(
        self, lq: np.ndarray, pred: np.ndarray, time: float | None = None
    ) -> None:
        """Measure the next frame.

        Args:
            lq: frame of the input, (h, w, 3) uint8 or uint16 RGB.
            pred: its restored frame, (H, W, 3) of the same type.
            time: seconds since the start; None leaves it out.

        Raises:
            ValueError: the types differ, or are others.
        """
        level = _LEVELS.get(lq.dtype.name)
        if level is None or lq.dtype != pred.dtype:
            raise ValueError(
                '`lq` and `pred` must both be uint8 or both uint16, got '
                f'{lq.dtype} and {pred.dtype}'
            )
        size = _common_size(lq, pred)
        seen = {
            'lq': _shrink(lq, size),
            'pred': _shrink(pred, size),
            'fine': np.ascontiguousarray(pred[::_FINE, :, 1]),
        }
        row: dict[str, Any] = {'frame': self._count}
        if time is not None:
            row['time'] = round(float(time), 6)
        row['psnr'] = _psnr(seen['lq'], seen['pred'], 255 * level)
        row['drift'] = _drift(seen['lq'], seen['pred'], level)
        row |= compare_frames(self._last, seen)
        tiled = self._borders.rows or self._borders.columns
        if tiled and self._count % EVERY == 0:
            row['seams'] = tile_seams(lq, pred, self._borders)
        self._rows.append(row)
        self._last = seen
        self._count += 1

    def take(self) -> list[dict[str, Any]]:
        """Return the rows of the frames since the last call.

        A row has builtin types: `frame`, its index; `time` in seconds, where
        it was given; `psnr` of the shrunk result against the input in dB,
        `EQUAL` at most; `drift`, mean red, green and blue of the result minus
        those of the input; `change_lq`, `change_pred` and `change_fine`, the
        mean absolute change to the frame before of the input, of the shrunk
        result and of the result as it is, None for the first frame. Drift and
        changes are in levels of 8 bit, for deeper frames as well. One frame
        of `EVERY` has `seams`, if there are tiles, see `tile_seams`.
        """
        rows, self._rows = self._rows, []
        return rows

    def carry(self) -> dict[str, np.ndarray]:
        """Return what another meter needs to go on: the last frame, small."""
        return {'count': np.array([self._count]), **self._last}

    def resume(self, carry: Mapping[str, np.ndarray]) -> None:
        """Go on where the meter was whose `carry` is given."""
        rest = dict(carry)
        self._count = int(rest.pop('count').item())
        self._last, self._rows = rest, []


def compare_frames(
    last: Mapping[str, np.ndarray], seen: Mapping[str, np.ndarray]
) -> dict[str, float | None]:
    """Return how much a frame changes from the one before, as in a row.

    Args:
        last: what `TrustMeter.carry` has of the frame before; may be empty.
        seen: the same of the frame.
    """
    level = _LEVELS[seen['lq'].dtype.name]
    return {
        f'change_{name}': _change(last.get(name), image, level)
        for name, image in seen.items()
    }


def _common_size(lq: np.ndarray, pred: np.ndarray) -> tuple[int, int]:
    """Return height and width that both frames are shrunk to."""
    height = min(lq.shape[0], pred.shape[0])
    width = min(lq.shape[1], pred.shape[1])
    if width > WIDEST:
        height, width = max(1, round(height * WIDEST / width)), WIDEST
    return height, width


def _shrink(image: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    if image.shape[:2] == size:
        return np.ascontiguousarray(image)
    return cv2.resize(image, size[::-1], interpolation=cv2.INTER_AREA)


def _psnr(lq: np.ndarray, pred: np.ndarray, peak: float) -> float:
    error = cv2.norm(lq, pred, cv2.NORM_L2SQR) / lq.size
    if not error:
        return EQUAL
    return round(min(EQUAL, 10 * math.log10(peak**2 / error)), 3)


def _drift(lq: np.ndarray, pred: np.ndarray, level: float) -> list[float]:
    before, after = cv2.mean(lq), cv2.mean(pred)
    return [
        round((b - a) / level, 3)
        for a, b in zip(before[:3], after[:3], strict=True)
    ]


def _change(
    last: np.ndarray | None, image: np.ndarray, level: float
) -> float | None:
    if last is None:
        return None
    return round(cv2.norm(last, image, cv2.NORM_L1) / image.size / level, 4)
