"""HDR pictures: their light, their tone mapping, and a space to restore in.

Models know pictures of SDR, where white is near the top of the range and
steps look equally large. HLG is such a space. PQ gives half of its range to
highlights and is changed to a curve like HLG's: the gamma of SDR up to
diffuse white (203 cd/m2), which lies at 0.75 as in HLG, and a logarithm above,
up to 10000 cd/m2. The primaries stay. Each value has one of its own, so that
the way back gives what went in.
"""

from functools import lru_cache

import numpy as np

PQ, HLG = 16, 18  # H.273 transfer characteristics
NAMES = {PQ: 'PQ', HLG: 'HLG'}
_PEAK = 10000.0  # cd/m2 at the top of PQ
_WHITE = 203.0  # cd/m2 of diffuse white, ITU-R BT.2408
_LEVEL = 0.75  # of diffuse white in the working space, as in HLG
_GAMMA = 2.4  # of a display of SDR
_KNEE = 0.75  # of diffuse white; linear below, rolled off above
_BT2020_TO_BT709 = np.array(  # ITU-R BT.2087, linear light
    [
        [1.6605, -0.5876, -0.0728],
        [-0.1246, 1.1329, -0.0083],
        [-0.0182, -0.1006, 1.1187],
    ],
    np.float32,
)
_BAND = 128  # rows that are tone mapped at once, to bound memory


def to_working(image: np.ndarray, transfer: int) -> np.ndarray:
    """Convert a picture to the space in which it is restored.

    Args:
        image: R'G'B', (H, W, 3) uint16, full range.
        transfer: H.273 code; all but PQ stay as they are.
    """
    return _working_curve()[image] if transfer == PQ else image


def from_working(image: np.ndarray, transfer: int) -> np.ndarray:
    """Convert a picture of `to_working` back.

    Args:
        image: (H, W, 3) uint16.
        transfer: H.273 code of the result.
    """
    return _inverse_curve()[image] if transfer == PQ else image


@lru_cache
def _working_curve() -> np.ndarray:
    """Tabulate the working space for each 16-bit code of PQ."""
    return _codes(_encode(_pq_to_light(np.linspace(0, 1, 65536)) * _PEAK))


@lru_cache
def _inverse_curve() -> np.ndarray:
    """Tabulate PQ for each 16-bit code of the working space."""
    light = _decode(np.linspace(0, 1, 65536))
    return _codes(_light_to_pq(light / _PEAK))


def _codes(values: np.ndarray) -> np.ndarray:
    return np.rint(65535 * np.clip(values, 0, 1)).astype(np.uint16)


def _encode(light: np.ndarray) -> np.ndarray:
    """Map cd/m2 to the working space."""
    width, height = _shoulder()
    over = np.maximum(light - _WHITE, 0)
    low = _LEVEL * (np.minimum(light, _WHITE) / _WHITE) ** (1 / _GAMMA)
    return low + height * np.log1p(over / width)


def _decode(value: np.ndarray) -> np.ndarray:
    """Map the working space to cd/m2."""
    width, height = _shoulder()
    low = _WHITE * (np.minimum(value, _LEVEL) / _LEVEL) ** _GAMMA
    return low + width * np.expm1(np.maximum(value - _LEVEL, 0) / height)


@lru_cache
def _shoulder() -> tuple[float, float]:
    """Return width and height of a logarithm that goes on without a bend.

    Its slope at white is the gamma's, and the peak lies at 1.
    """
    slope = _LEVEL / (_GAMMA * _WHITE)
    narrow, wide = 1.0, _PEAK
    for _ in range(60):
        width = (narrow + wide) / 2
        top = slope * width * np.log1p((_PEAK - _WHITE) / width)
        narrow, wide = (narrow, width) if top > 1 - _LEVEL else (width, wide)
    return width, slope * width


def tone_map(image: np.ndarray, transfer: int) -> np.ndarray:
    """Map HDR BT.2020 to SDR BT.709, (H, W, 3) uint8.

    Diffuse white (203 cd/m2) becomes SDR white. A pixel's largest component
    is kept up to 0.75 of it and compressed hyperbolically above, and the
    other two are scaled with it, which keeps the hue. SDR is encoded for a
    display of gamma 2.4.

    Args:
        image: PQ or HLG R'G'B', (H, W, 3) uint16, full range.
        transfer: 16 for PQ, 18 for HLG (H.273).
    """
    linear = _linear_light(transfer)
    out = np.empty(image.shape, np.uint8)
    for top in range(0, len(image), _BAND):
        rgb = linear[image[top : top + _BAND]] @ _BT2020_TO_BT709.T
        rgb = np.maximum(rgb, 0)
        peak = rgb.max(axis=-1, keepdims=True)
        over = np.maximum(peak - _KNEE, 0)
        room = 1 - _KNEE
        rolled = np.minimum(peak, _KNEE) + room * over / (over + room)
        rgb *= rolled / np.maximum(peak, 1e-6)
        out[top : top + _BAND] = np.rint(255 * rgb ** (1 / _GAMMA))
    return out


@lru_cache
def _linear_light(transfer: int) -> np.ndarray:
    """Tabulate display light over diffuse white for each 16-bit code."""
    code = np.linspace(0, 1, 65536)
    if transfer == PQ:
        light = _PEAK * _pq_to_light(code)
    else:  # ITU-R BT.2100 HLG on a display of 1000 cd/m2, gamma 1.2
        a, b, c = 0.17883277, 0.28466892, 0.55991073
        low, high = code**2 / 3, (np.exp((code - c) / a) + b) / 12
        light = 1000 * np.where(code <= 0.5, low, high) ** 1.2
    return (light / _WHITE).astype(np.float32)


def _pq_to_light(code: np.ndarray) -> np.ndarray:
    """Decode PQ to light over its peak, SMPTE ST 2084."""
    power = code ** (32 / 2523)
    ratio = np.maximum(power - 3424 / 4096, 0)
    ratio /= 2413 / 128 - 2392 / 128 * power
    return ratio ** (16384 / 2610)


def _light_to_pq(light: np.ndarray) -> np.ndarray:
    """Encode light over PQ's peak, SMPTE ST 2084."""
    power = light ** (2610 / 16384)
    ratio = (3424 / 4096 + 2413 / 128 * power) / (1 + 2392 / 128 * power)
    return ratio ** (2523 / 32)
