"""The planes of decoded frames as arrays."""

import av
import numpy as np


def has_alpha_plane(pixel_format: av.VideoFormat) -> bool:
    """Return whether opacity is the fourth plane of a format."""
    name = pixel_format.name
    planar = name.startswith(('yuva4', 'gbrap'))
    return planar and not pixel_format.is_big_endian


def plane_values(plane: av.video.plane.VideoPlane, bits: int) -> np.ndarray:
    """Return a view of a plane of a frame, (h, w)."""
    data = memoryview(plane)  # type: ignore[arg-type]
    rows = np.frombuffer(data, 'u1' if bits == 8 else '<u2')
    return rows.reshape(plane.height, -1)[:, : plane.width]
