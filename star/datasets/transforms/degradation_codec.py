"""`code_clip`: encodes and decodes a clip in memory."""

from collections.abc import Iterator
from fractions import Fraction
from typing import Literal

import av
import numpy as np
from av.video.reformatter import ColorRange, Colorspace

from star.video.pixels import to_rgb, to_yuv

CODECS = ('libx264', 'h264', 'mpeg4')
FRAME_RATE = 24
_ENCODERS = {'libx264': 'libx264', 'h264': 'libx264', 'mpeg4': 'mpeg4'}
_DECODERS = {'libx264': 'h264', 'mpeg4': 'mpeg4'}
_MIN_SIDE = 16  # of libx264
_MIN_RATE = 1000  # libx264 reads a lower one as no rate
# seconds: without a buffer, MPEG-4 exceeds the rate on the first frames
_BUFFER = Fraction(4, FRAME_RATE)
# with its macroblock tree, x264 codes the same frames differently each time
_X264 = {'preset': 'veryfast', 'mbtree': '0'}


def code_clip(
    clip: np.ndarray, codec: str, bits_per_pixel: float
) -> np.ndarray:
    """Encode and decode a clip.

    The encoder gets BT.709 limited range in 4:2:0 at `FRAME_RATE` frames per
    second and runs in one thread. Its prediction and rate control work across
    the frames. Odd sides are padded with their last row or column and cropped
    afterwards.

    Args:
        clip: (T, H, W, 3) uint8 RGB.
        codec: 'libx264', 'mpeg4', or 'h264', which means libx264.
        bits_per_pixel: wanted average rate, > 0.

    Returns:
        (T, H, W, 3) uint8 RGB.

    Raises:
        ValueError: `codec` is unknown, or the rate is not positive.
    """
    if codec not in CODECS:
        raise ValueError(f'`codec` must be in {CODECS}, got {codec}')
    if bits_per_pixel <= 0:
        raise ValueError(
            f'`bits_per_pixel` must be positive, got {bits_per_pixel}'
        )
    height, width = clip.shape[1:3]
    padded = _pad(clip)
    name = _ENCODERS[codec]
    encoder = _open_encoder(name, padded.shape[1:3], bits_per_pixel)
    packets = list(_encode(encoder, padded))
    out = np.stack(list(_decode(_DECODERS[name], packets)))
    out = np.ascontiguousarray(out[:, :height, :width])
    assert out.shape == clip.shape, (out.shape, clip.shape)
    return out


def _pad(clip: np.ndarray) -> np.ndarray:
    """Repeat last rows and columns up to even sides of at least 16."""
    height, width = clip.shape[1:3]
    down = max(height + height % 2, _MIN_SIDE) - height
    right = max(width + width % 2, _MIN_SIDE) - width
    return np.pad(clip, ((0, 0), (0, down), (0, right), (0, 0)), 'edge')


def _open_encoder(
    name: str, size: tuple[int, int], bits_per_pixel: float
) -> av.VideoCodecContext:
    """Prepare an encoder for frames of height and width `size`."""
    encoder = _create(name, 'w')
    encoder.height, encoder.width = size
    encoder.pix_fmt = 'yuv420p'
    encoder.framerate = Fraction(FRAME_RATE)
    encoder.time_base = Fraction(1, FRAME_RATE)
    encoder.colorspace = Colorspace.ITU709
    encoder.color_range = ColorRange.MPEG
    encoder.thread_count = 1
    rate = round(bits_per_pixel * size[0] * size[1] * FRAME_RATE)
    rate = max(rate, _MIN_RATE)
    encoder.bit_rate = rate
    buffer = {'maxrate': f'{rate}', 'bufsize': f'{round(rate * _BUFFER)}'}
    encoder.options = _X264 if name == 'libx264' else buffer
    return encoder


def _create(name: str, mode: Literal['r', 'w']) -> av.VideoCodecContext:
    context = av.CodecContext.create(name, mode)
    assert isinstance(context, av.VideoCodecContext)
    return context


def _encode(
    encoder: av.VideoCodecContext, clip: np.ndarray
) -> Iterator[av.Packet]:
    for index, image in enumerate(clip):
        frame = to_yuv(image, 'yuv420p')
        frame.pts, frame.time_base = index, Fraction(1, FRAME_RATE)
        yield from encoder.encode(frame)
    yield from encoder.encode(None)


def _decode(name: str, packets: list[av.Packet]) -> Iterator[np.ndarray]:
    decoder = _create(name, 'r')
    decoder.thread_count = 1
    for packet in [*packets, None]:
        for frame in decoder.decode(packet):
            # MPEG-4 does not store these tags
            frame.colorspace = Colorspace.ITU709
            frame.color_range = ColorRange.MPEG
            yield to_rgb(frame)
