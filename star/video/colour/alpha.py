"""Opacity of frames: how it is decoded, and its size."""

import av
import cv2
import numpy as np

_DECODERS = {'vp9': 'libvpx-vp9', 'vp8': 'libvpx'}  # FFmpeg's own drop it
_TAGS = ('color_range', 'colorspace', 'color_primaries', 'color_trc')


def alpha_decoder(stream: av.VideoStream) -> av.VideoCodecContext:
    """Return the decoder of a stream that gives its opacity as well.

    That of VP8 and VP9 lies beside their frames, where only Google's decoder
    looks for it.
    """
    own = stream.codec_context
    name = _DECODERS.get(own.name)
    if name is None or stream.metadata.get('alpha_mode') != '1':
        return own
    context = av.CodecContext.create(name, 'r')
    assert isinstance(context, av.VideoCodecContext)
    context.extradata = own.extradata
    for tag in _TAGS:
        setattr(context, tag, getattr(own, tag))
    return context


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
