"""`Encoding`: settings of a video encoder, and the frames that it takes."""

import os
from dataclasses import dataclass, field
from fractions import Fraction

import av
import cv2
import numpy as np

from star.video import pixels
from star.video.coder_memory import (
    LOOKING,
    THREADS,
    X264,
    CoderBounds,
    coder_bounds,
    own_parameters,
)
from star.video.colour import hdr
from star.video.colour.depth import PEAKS, set_depth
from star.video.colour.light import Light

# encoders with an option `crf`; PyAV 17, the last for Python 3.10, lists none
BY_RATE_FACTOR = frozenset(
    {
        'libaom-av1',
        'libsvtav1',
        'libvpx',
        'libvpx-vp9',
        'libx264',
        'libx264rgb',
        'libx265',
    }
)
_LEAST_CRF = {'libvpx': 4}
_AVX_512F = 13  # OpenCV's number, which has no name in Python
_BY_QUANTISER = ('mpeg4', 'mpeg2video', 'msmpeg4', 'mjpeg', 'flv', 'wmv2')
_QUANTISER = 3 * 118  # near lossless, for codecs without a rate factor
_BT709 = 1  # H.273 code
_GBR = 0  # H.273 matrix code of RGB
_APPLE = ('mp4', 'mov', 'ipod')  # Apple's players want the tag hvc1


@dataclass(frozen=True)
class Encoding:
    """Settings of an encoder.

    Args:
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the pixel format.
        width: pixels.
        height: pixels.
        time_base: seconds per tick of the frames' clock.
        rate: nominal frames per second.
        crf: constant rate factor, for encoders that have one.
        aspect: pixel width over height.
        primaries: H.273 code.
        transfer: H.273 code; frames come in the space of `hdr.to_working`.
        matrix: of YUV, H.273 code.
        light: facts about the master of HDR.
        reorders: whether frames may be coded in another order than shown.
    """

    codec: str
    pix_fmt: str
    width: int
    height: int
    time_base: Fraction
    rate: Fraction
    crf: float
    aspect: Fraction
    primaries: int
    transfer: int
    matrix: int = _BT709
    light: Light = field(default_factory=Light)
    reorders: bool = True

    @property
    def bits(self) -> int:
        """Return the bits of the deepest component that is written."""
        return pixels.format_bits(self.pix_fmt)

    @property
    def depth(self) -> int:
        """Return the bits of frames to restore and write: 8 or 16."""
        return 16 if self.bits > 8 else 8

    @property
    def alpha(self) -> bool:
        """Return whether the result holds opacity."""
        return pixels.has_alpha(av.VideoFormat(self.pix_fmt))

    @property
    def b_frames(self) -> bool:
        """Return whether frames are coded in another order than shown."""
        bounds = coder_bounds((self.width, self.height), self.pix_fmt)
        allowed = self.reorders and (bounds is None or bounds.b_frames > 0)
        return allowed and self.codec in (*X264, 'libx265')

    def make_frame(
        self, image: np.ndarray, alpha: np.ndarray | None = None
    ) -> av.VideoFrame:
        """Convert a restored frame to what the encoder takes.

        Args:
            image: pixels, (H, W, 3) uint8 or uint16 RGB; a row or a column
                less than the encoder's is repeated.
            alpha: opacity, (H, W); None for opaque.
        """
        image = set_depth(image, self.depth)
        if self.depth == 16:
            image = hdr.from_working(image, self.transfer)
        layers = image
        if self.alpha:
            if alpha is None:
                alpha = np.full(image.shape[:2], PEAKS[self.depth])
            else:
                alpha = set_depth(alpha, self.depth)
            layers = np.dstack([image, alpha.astype(image.dtype)])
        more = self.height - len(image), self.width - image.shape[1]
        if any(more):
            edges = (0, more[0]), (0, more[1]), (0, 0)
            layers = np.pad(layers, edges, mode='edge')
        frame = pixels.to_yuv(
            layers[..., :3],
            self.pix_fmt,
            self.matrix,
            layers[..., 3] if self.alpha else None,
        )
        # ProRes and FFV1 take them from here, others from the context
        frame.color_primaries = self.primaries
        frame.color_trc = self.transfer
        return frame

    def apply(self, context: av.VideoCodecContext) -> None:
        """Set up a codec context that is not yet open."""
        context.width, context.height = self.width, self.height
        context.pix_fmt = self.pix_fmt
        context.time_base, context.framerate = self.time_base, self.rate
        context.sample_aspect_ratio = self.aspect
        context.color_range = pixels.output_range(self.pix_fmt)
        is_rgb = av.VideoFormat(self.pix_fmt).is_rgb
        context.colorspace = _GBR if is_rgb else self.matrix
        context.color_primaries = self.primaries
        context.color_trc = self.transfer
        if not self.reorders:
            context.max_b_frames = 0
        if context.codec.name in BY_RATE_FACTOR:
            bounds = coder_bounds((self.width, self.height), self.pix_fmt)
            finer = bounds.finer if bounds and self.codec in LOOKING else 0
            crf = max(self.crf - finer, _LEAST_CRF.get(self.codec, 0))
            context.options = {
                'crf': f'{crf:g}',
                **self._parameters(bounds),
            }
        elif self.codec in _BY_QUANTISER:
            context.qscale, context.global_quality = True, _QUANTISER

    def _parameters(self, bounds: CoderBounds | None) -> dict[str, str]:
        """Return an encoder's own parameters, none of which are chatty."""
        found = self.light.options_for(self.codec)
        if bounds is None:
            found += THREADS.get(self.codec, [])
        else:
            found += own_parameters(self.codec, bounds, self.reorders)
        if self.codec in X264:
            found += repeatable()
            return {'x264-params': ':'.join(found)} if found else {}
        if self.codec == 'libx265':
            return {'x265-params': ':'.join(['log-level=error', *found])}
        if self.codec == 'libsvtav1':
            os.environ.setdefault('SVT_LOG', '1')  # its only way: errors
            return {'svtav1-params': ':'.join(found)} if found else {}
        return {}


def repeatable() -> list[str]:
    """Return settings of x264 with which the same frames give the same bytes.

    Its code for AVX-512 reads memory that nothing was written to, where it
    spreads the weight of blocks over earlier frames (mbtree).
    """
    return ['asm=avx2'] if cv2.checkHardwareSupport(_AVX_512F) else []


def open_stream(
    output: av.container.OutputContainer, encoding: Encoding
) -> av.VideoStream:
    """Add a video stream with an encoder's settings to a container.

    Raises:
        ValueError: the container cannot hold the codec.
    """
    stream = output.add_stream(encoding.codec, rate=encoding.rate)
    assert isinstance(stream, av.VideoStream)
    encoding.apply(stream.codec_context)
    stream.time_base = encoding.time_base
    if output.format.name in _APPLE and encoding.codec == 'libx265':
        stream.codec_context.codec_tag = 'hvc1'
    return stream
