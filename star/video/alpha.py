"""Opacity of frames, beside their restored colours."""

import cv2
import numpy as np


def enlarge(alpha: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """Resize opacity, bicubic as frames are, or by areas to shrink.

    Args:
        alpha: (h, w) uint8 or uint16.
        size: width and height of the result, pixels.

    Returns:
        (H, W) of the type of `alpha`.
    """
    height, width = alpha.shape
    if (width, height) == size:
        return alpha
    shrinks = size[0] < width or size[1] < height
    way = cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC
    return cv2.resize(alpha, size, interpolation=way)
