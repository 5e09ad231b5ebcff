"""`is_telecined`: recognises film that was stretched to 30 frames per second.

Hard telecine (3:2 pulldown) spreads four frames of film over ten fields, so
that two of five frames hold fields of two film frames. Such a frame looks
combed, and looks whole with a field of its neighbour. Interlaced video has
combs with every field, and progressive video with none of its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import closing
from fractions import Fraction
from itertools import islice
from pathlib import Path

import av
import numpy as np

from star.video.decode import Decoder
from star.video.info import VideoError, VideoInfo

CYCLE, FILM = 5, 4  # frames of video that hold so many of film
_RATES = (29.5, 30.5)  # frames per second of telecined film
_STORED = (28, 32), (56, 64)  # the header may count fields
_LARGEST = 1920, 1088  # there is no interlaced video of a larger size
_BLOCK = 2 * CYCLE  # frames that are judged together
_SPOTS = (0, 0.3, 0.55, 0.8)  # of the length, where frames are looked at
_ENOUGH = 3  # blocks that move, at each spot
_FRAMES = 4 * _BLOCK  # at each of them, at most
_STILL = 1.2  # largest comb over the least, below which nothing moves
_MIXED, _WHOLE = 1.25, 0.85  # comb with its own field over the best other
_LEAST = 0.25  # comb, of 255, that counts for nothing
_SAME = 0.5  # change of a repeated field over a usual one


def is_telecined(path: Path, info: VideoInfo) -> bool:
    """Return whether the whole of a video is hard telecined film.

    Some frames of the beginning decide, and of up to three later places: all
    that move must show the pattern. A few more are enough to see that a video
    is not interlaced at all.

    Args:
        path: the video.
        info: its description.
    """
    too_large = info.width > _LARGEST[0] or info.height > _LARGEST[1]
    slow = not any(low < (info.fps or 0) < high for low, high in _STORED)
    if info.kind != 'video' or not info.timed or too_large or slow:
        return False
    found = {'film': 0, 'other': 0}
    for spot in _SPOTS:
        for kind in islice(_judge(path, info, spot), _ENOUGH):
            found[kind] += 1
            if found['other'] > 1 + found['film'] / 4:
                return False
    return found['film'] > 1


def _judge(path: Path, info: VideoInfo, spot: float) -> Iterator[str]:
    """Yield 'film' or 'other' for each block that moves."""
    frames, times = [], []
    for frame in _frames_from(path, info, spot):
        frames.append(_luma(frame))
        times.append((frame.pts or 0) * info.time_base)
        # the first and the last frame of a block are neighbours of others
        if len(frames) == _BLOCK + 2:
            rate = (len(times) - 1) / max(
                times[-1] - times[0], Fraction(1, 99)
            )
            if not _RATES[0] < rate < _RATES[1]:
                yield 'other'
            elif kind := classify(frames):
                yield kind
            del frames[:-2], times[:-2]


def _frames_from(
    path: Path, info: VideoInfo, spot: float
) -> Iterator[av.VideoFrame]:
    """Decode some frames from a place of the video on."""
    decoder = Decoder(path, strict=False)
    with closing(decoder):
        length = decoder.container.duration
        if spot and not length:
            return
        if spot:
            place = info.start * av.time_base + round(spot * (length or 0))
            try:
                decoder.container.seek(int(place))
            except (av.FFmpegError, OSError):
                return
        try:
            yield from islice(decoder.frames(), _FRAMES)
        except VideoError:  # reading the file reports it
            return


def classify(frames: Sequence[np.ndarray]) -> str:
    """Classify successive frames: 'film', 'other', or '' for still ones.

    Args:
        frames: luma, (H, W) of [0, 255], H even; the first and the last one
            are only neighbours.
    """
    combs = np.array(
        [
            _combs(before, frame, after)
            for before, frame, after in zip(
                frames, frames[1:], frames[2:], strict=False
            )
        ]
    )
    ratios, spreads, changes = combs[:, 0], combs[:, 1], combs[:, 2:]
    moving = spreads > _STILL
    if moving.sum() < CYCLE:
        return ''
    mixed = moving & (ratios > _MIXED)
    usual = np.median(changes[moving], axis=0)
    repeats = (changes < _SAME * usual).any(axis=1)
    repeats[:-1] |= repeats[1:]
    odd = moving & ~mixed & (ratios > _WHOLE) & ~repeats
    fits = _fit_pattern(np.flatnonzero(mixed)) and odd.sum() <= 1
    return 'film' if fits else 'other'


def _fit_pattern(places: np.ndarray) -> bool:
    """Return whether mixed frames are one or two neighbours of each five.

    At a cut the pattern may begin anew.
    """
    if len(places) < 2:
        return False
    phases = np.bincount(places % CYCLE, minlength=CYCLE)
    pairs = phases + np.roll(phases, -1)
    return bool(pairs.max() >= len(places) - 1)


def _combs(
    before: np.ndarray, frame: np.ndarray, after: np.ndarray
) -> tuple[float, float, float, float]:
    """Compare a frame's comb with those with its neighbours' fields.

    Returns:
        Its own over the least other, the largest over the least of all, and
        the change of both fields since the frame before.
    """
    top, bottom = frame[::2], frame[1::2]
    own = _comb(top, bottom)
    others = [
        _comb(top, before[1::2]),
        _comb(top, after[1::2]),
        _comb(before[::2], bottom),
        _comb(after[::2], bottom),
    ]
    return (
        own / min(others),
        max(own, *others) / min(own, *others),
        float(np.abs(top - before[::2]).mean()),
        float(np.abs(bottom - before[1::2]).mean()),
    )


def _comb(top: np.ndarray, bottom: np.ndarray) -> float:
    """Return the mean curvature from line to line of two fields woven."""
    curve = 2 * bottom[:-1] - top[:-1] - top[1:]
    return float(np.abs(curve).mean()) + _LEAST


def _luma(frame: av.VideoFrame) -> np.ndarray:
    """Return means of columns side by side, (H, W) float32.

    They keep combs, and lessen grain.
    """
    luma = frame.reformat(format='gray').to_ndarray()
    wide = 4 * (1 + frame.width // 720)
    rows, columns = frame.height // 2 * 2, frame.width // wide
    parts = luma[:rows, : columns * wide].reshape(rows, columns, wide)
    return parts.mean(axis=2, dtype=np.float32)
