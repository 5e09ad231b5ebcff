"""The memory that an encoder takes, and settings that bound it.

An encoder looks at frames ahead of the one that it codes. Of large pictures
it holds fewer here, so that a result of any size and length can be coded
beside a network. What that costs in quality is given back in bytes.
"""

import math
import os
from dataclasses import dataclass

import av

_MB = 10**6


@dataclass(frozen=True)
class CoderBounds:
    """The frames that an encoder of large pictures may hold.

    Args:
        lookahead: frames that are looked at before they are coded.
        b_frames: consecutive frames that are coded after a later one.
        references: earlier frames that a frame is predicted from.
        finer: what is taken off the rate factor, because a short lookahead
            underrates how long a block is seen.
    """

    lookahead: int
    b_frames: int
    references: int
    finer: float


# by the largest bytes of a frame: 0.5, 4.2 and 9 Mpixel in 4:2:0 with 8 bits;
# the last holds for all larger ones
_BOUNDS = (
    (0.75 * _MB, None),
    (6.3 * _MB, CoderBounds(16, 2, 2, 0.25)),
    (13.5 * _MB, CoderBounds(5, 1, 1, 0.5)),
    (math.inf, CoderBounds(2, 0, 1, 0.5)),
)
# lookahead, B-frames and references of encoders at their own settings
_DEFAULTS = {
    'libx264': (40, 3, 3),
    'libx264rgb': (40, 3, 3),
    'libx265': (20, 4, 3),
    'libsvtav1': (55, 0, 0),
}
_FRAMES = {'libvpx-vp9': 90, 'ffv1': 27, 'prores_ks': 2.5}  # that others take
X264 = ('libx264', 'libx264rgb')
# as many slices on every machine, so that bytes are the same
_SLICES = ['threads=4', 'sliced-threads=1']
THREADS = {**dict.fromkeys(X264, _SLICES), 'libx265': ['frame-threads=1']}
LOOKING = (*X264, 'libx265')  # encoders whose lookahead is bounded


def frame_bytes(size: tuple[int, int], pix_fmt: str) -> int:
    """Return the bytes of a frame.

    Args:
        size: width and height, pixels.
        pix_fmt: FFmpeg's name of the pixel format.
    """
    parts = av.VideoFormat(pix_fmt, *size).components
    return sum(p.width * p.height * (2 if p.bits > 8 else 1) for p in parts)


def coder_bounds(size: tuple[int, int], pix_fmt: str) -> CoderBounds | None:
    """Return what an encoder may hold; None for small pictures: its default.

    Args:
        size: width and height, pixels.
        pix_fmt: FFmpeg's name of the pixel format.
    """
    number = frame_bytes(size, pix_fmt)
    return next(bounds for most, bounds in _BOUNDS if number <= most)


def own_parameters(
    codec: str, bounds: CoderBounds, reorders: bool
) -> list[str]:
    """Return the settings of an encoder in its own words.

    Threads of x264 and x265 share a frame, because each frame in work takes
    memory.

    Args:
        codec: FFmpeg's name of the encoder.
        bounds: what it may hold.
        reorders: whether frames may be coded in another order than shown.
    """
    b_frames = bounds.b_frames if reorders else 0
    if codec in X264:
        return [
            *THREADS[codec],
            f'rc-lookahead={bounds.lookahead}',
            f'bframes={b_frames}',
            f'ref={bounds.references}',
        ]
    if codec == 'libx265':
        return [
            *THREADS[codec],
            f'rc-lookahead={bounds.lookahead}',
            f'bframes={b_frames}',
            f'ref={bounds.references}',
        ]
    if codec == 'libsvtav1':
        return [f'lookahead={bounds.lookahead}', 'lp=2']
    return []


def coder_memory(
    width: int, height: int, codec: str, pix_fmt: str = 'yuv420p'
) -> int:
    """Predict the memory that coding a result takes, at any length.

    Fitted to measured growth of a process, within 15 %: x264 from 640x480 to
    7680x4320, others at one to three sizes. It has the frame that is being
    coded and those that wait, not the restored pixels and no coded bytes.

    Args:
        width: pixels.
        height: pixels.
        codec: FFmpeg's name of the encoder.
        pix_fmt: FFmpeg's name of the pixel format.

    Returns:
        Bytes.
    """
    size = width, height
    one = frame_bytes(size, pix_fmt)
    bounds = coder_bounds(size, pix_fmt)
    b = bounds or CoderBounds(*_DEFAULTS.get(codec, (0, 0, 0)), 0)
    ahead = b.lookahead + b.b_frames
    if codec in X264:
        threads = 0 if bounds else math.ceil(1.5 * (os.cpu_count() or 1))
        more = 5 if b.b_frames else 4
        waiting = 1.8 * (ahead + more + threads)  # each with smaller ones
        coded = 3.25 * (
            b.references + 1 + b.b_frames + threads
        )  # with 3 shifted
        held = 3 if b.b_frames else 1
        return round(one * (waiting + coded + held + 0.35) + 16 * _MB)
    if codec == 'libx265':
        return round(5.5 * one * (ahead + 3) + 40 * _MB)
    if codec == 'libsvtav1':
        return round(3.1 * one * (ahead + 14) + 50 * _MB)
    return round(_FRAMES.get(codec, 30) * one + 10 * _MB)
