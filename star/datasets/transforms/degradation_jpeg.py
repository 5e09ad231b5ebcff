"""JPEG compression of clips: DiffJPEG and libjpeg."""

from functools import lru_cache

import cv2
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

# Annex K of the JPEG standard
_LUMA_TABLE = (
    (16, 11, 10, 16, 24, 40, 51, 61),
    (12, 12, 14, 19, 26, 58, 60, 55),
    (14, 13, 16, 24, 40, 57, 69, 56),
    (14, 17, 22, 29, 51, 87, 80, 62),
    (18, 22, 37, 56, 68, 109, 103, 77),
    (24, 35, 55, 64, 81, 104, 113, 92),
    (49, 64, 78, 87, 103, 121, 120, 101),
    (72, 92, 95, 98, 112, 100, 103, 99),
)
_CHROMA_CORNER = (
    (17, 18, 24, 47),
    (18, 21, 26, 66),
    (24, 26, 56, 99),
    (47, 66, 99, 99),
)
_TO_YCC = (
    (0.299, 0.587, 0.114),
    (-0.168736, -0.331264, 0.5),
    (0.5, -0.418688, -0.081312),
)
_TO_RGB = ((1, 0, 1.402), (1, -0.344136, -0.714136), (1, 1.772, 0))


def diff_jpeg(clip: Tensor, quality: Tensor) -> Tensor:
    """Compress frames as DiffJPEG with hard rounding does.

    It differs from libjpeg: the tables are transposed, and neither rounded
    nor limited after scaling; frames are padded with black to a multiple of
    16; chroma is enlarged by repetition; the result is not rounded.

    Args:
        clip: (T, 3, H, W) RGB, clipped to [0, 1] first.
        quality: (T,) or (1,), in (0, 100), also fractions.

    Returns:
        (T, 3, H, W) in [0, 1].
    """
    height, width = clip.shape[2:]
    factor = torch.where(quality < 50, 50 / quality, 2 - quality / 50)
    factor = factor.to(clip)[:, None, None, None, None, None]
    pixels = clip.clamp(0, 1) * 255
    pixels = F.pad(pixels, (0, -width % 16, 0, -height % 16))
    ycc = _mix(pixels, _TO_YCC)
    luma = _quantise(ycc[:, :1] - 128, _table('luma'), factor) + 128
    # for chroma the offset of 128 cancels with the level shift
    chroma = F.avg_pool2d(ycc[:, 1:], 2)
    chroma = _quantise(chroma, _table('chroma'), factor)
    chroma = F.interpolate(chroma, scale_factor=2.0, mode='nearest')
    rgb = _mix(torch.cat([luma, chroma], dim=1), _TO_RGB)
    return rgb[..., :height, :width].clamp(0, 255) / 255


def _mix(clip: Tensor, matrix: tuple[tuple[float, ...], ...]) -> Tensor:
    """Apply a colour matrix to the channels."""
    weights = torch.tensor(matrix, dtype=clip.dtype, device=clip.device)
    return torch.einsum('dc,tchw->tdhw', weights, clip)


def _quantise(planes: Tensor, table: Tensor, factor: Tensor) -> Tensor:
    """Round the 8 x 8 cosine coefficients of planes (T, C, H, W)."""
    height, width = planes.shape[2:]
    dct = _dct().to(planes)
    step = table.to(planes)[:, None, :] * factor
    blocks = planes.unflatten(3, (width // 8, 8))
    blocks = blocks.unflatten(2, (height // 8, 8))  # (T, C, Y, 8, X, 8)
    coefficients = _transform(blocks, dct)
    coefficients = (coefficients / step).round_() * step
    return _transform(coefficients, dct.T).reshape(planes.shape)


def _transform(blocks: Tensor, matrix: Tensor) -> Tensor:
    """Apply a matrix along rows and columns of blocks (T, C, Y, 8, X, 8)."""
    blocks = blocks @ matrix.T
    shape = blocks.shape
    return (matrix @ blocks.flatten(4)).reshape(shape)


def _dct() -> Tensor:
    """Return the orthonormal cosine transform of 8 points, (8, 8)."""
    k, n = torch.arange(8.0)[:, None], torch.arange(8.0)[None]
    matrix = torch.cos((2 * n + 1) * k * torch.pi / 16) / 2
    matrix[0] /= 2**0.5
    return matrix


@lru_cache(maxsize=2)
def _table(kind: str) -> Tensor:
    """Return a quantisation table of DiffJPEG, transposed, (8, 8)."""
    if kind == 'luma':
        return torch.tensor(_LUMA_TABLE, dtype=torch.float32).T
    table = torch.full((8, 8), 99.0)
    table[:4, :4] = torch.tensor(_CHROMA_CORNER, dtype=torch.float32)
    return table


def libjpeg(clip: Tensor, quality: np.ndarray) -> Tensor:
    """Compress frames with libjpeg, 4:2:0.

    Args:
        clip: (T, 3, H, W) RGB, rounded to 8 bit first.
        quality: (T,) or (1,), rounded to integers in [1, 100].

    Returns:
        (T, 3, H, W) in [0, 1], on the device of `clip`.
    """
    levels = np.broadcast_to(np.rint(quality).astype(int), len(clip))
    pixels = (clip.clamp(0, 1) * 255).round().to(torch.uint8)
    frames = pixels.permute(0, 2, 3, 1).cpu().numpy()
    out = [_code(f, int(q)) for f, q in zip(frames, levels, strict=True)]
    result = torch.from_numpy(np.stack(out)).permute(0, 3, 1, 2)
    return result.to(clip) / 255


def _code(frame: np.ndarray, quality: int) -> np.ndarray:
    """Pass RGB (H, W, 3) uint8 through libjpeg."""
    setting = [cv2.IMWRITE_JPEG_QUALITY, quality]
    done, code = cv2.imencode('.jpg', frame[..., ::-1], setting)
    decoded = cv2.imdecode(code, cv2.IMREAD_COLOR) if done else None
    assert decoded is not None
    return decoded[..., ::-1]
