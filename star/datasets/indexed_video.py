"""Frames of a video by their numbers, as training clips need them."""

import os
from collections.abc import Sequence
from contextlib import closing
from itertools import islice
from pathlib import Path
from types import ModuleType

import av
import numpy as np
from av.video.reformatter import ColorRange, Interpolation

from star.datasets.frame_index import (
    FrameIndex,
    Start,
    index_frames,
    is_intact,
)
from star.video import pixels
from star.video.decode import Decoder
from star.video.info import VideoError, explain
from star.video.io import VideoReader, list_images, probe

DECODERS = ('auto', 'decord', 'pyav')
_TAGGED = (1, 5, 6)  # H.273 matrices that both decoders read in one way


class IndexedVideo:
    """Reads chosen frames of a video, an image or a folder of images.

    Frame i is the one that decoding from the first frame gives as number i.
    Where the packets prove which frames those are, reading starts at a key
    frame before the first one wanted; other videos are counted by decoding
    them once, and read from the first frame on.

    Videos of 8-bit yuv420p that need no other conversion are converted to
    RGB without interpolating chroma, which is fast and differs from
    `VideoReader` by about one grey level.

    Args:
        path: video, image or folder of images.
        decoder: 'auto' is 'pyav'. 'decord' requires decord, which seeks past
            the frames before an open key frame: it reads intact videos with
            closed groups of pictures, PyAV all others. It is not faster.

    Attributes:
        info: properties of the video.
        num_frames: number of its frames.

    Raises:
        VideoError: the video cannot be opened, or it has to be counted and
            is damaged.
        ValueError: `decoder` is unknown, or 'decord' is not installed.
    """

    def __init__(self, path: str | os.PathLike, decoder: str = 'auto') -> None:
        if decoder not in DECODERS:
            raise ValueError(
                f'`decoder` must be in {DECODERS}, got {decoder!r}'
            )
        self.path, self.info = Path(path), probe(path)
        self._decord = _import_decord() if decoder == 'decord' else None
        if decoder == 'decord' and self._decord is None:
            raise ValueError(
                "`decoder` is 'decord', which is not installed; 'pyav' gives "
                'the same frames'
            )
        self._images: list[Path] = []
        if self.info.kind == 'video':
            # deinterlacing needs the next frame
            seekable = self.info.timed and not self.info.interlaced
            self._index = index_frames(self.path, seekable)
        else:
            is_folder = self.info.kind == 'folder'
            self._images = list_images(self.path) if is_folder else [self.path]
            self._index = FrameIndex(len(self._images))
        self.num_frames = self._index.num_frames

    @property
    def seeks(self) -> bool:
        """Return whether `read` may start at a later frame than the first."""
        return bool(self._index.times)

    @property
    def is_plain(self) -> bool:
        """Return whether reading changes only the colour format."""
        info = self.info
        return not (info.notes or info.hdr) and info.pix_fmt == 'yuv420p'

    def read(self, indices: Sequence[int]) -> np.ndarray:
        """Read frames, (T, H, W, 3) uint8 RGB, upright.

        Args:
            indices: numbers of the frames, rising, in [0, num_frames).

        Raises:
            VideoError: a frame cannot be decoded.
        """
        assert indices and indices[-1] < self.num_frames
        try:
            frames = self._read(indices)
        except av.FFmpegError as error:
            raise VideoError(
                f'{self.path}: its {self.info.pix_fmt} frames cannot be '
                f'converted to RGB ({explain(error)})'
            ) from error
        if len({frame.shape for frame in frames}) > 1:
            raise VideoError(f'{self.path}: its frames differ in size')
        return np.stack(frames)

    def read_through(self, indices: Sequence[int]) -> np.ndarray:
        """Read frames as `read` does, but decode from the first frame on.

        Raises:
            VideoError: a frame before the last one cannot be decoded.
        """
        if not self.seeks:
            return self.read(indices)
        return np.stack(self._decode(indices, None))

    def _read(self, indices: Sequence[int]) -> list[np.ndarray]:
        if self._images:
            return [_read_image(self._images[i]) for i in indices]
        if not self.seeks:
            return self._read_sequence(indices)
        return self._read_decord(indices) or self._read_pyav(indices)

    def _read_decord(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Read with decord; return nothing if it may read other frames."""
        if self._decord is None or not self._fits_decord():
            return []
        try:
            reader = self._decord.VideoReader(str(self.path), num_threads=1)
            if len(reader) != self.num_frames:  # it ignores edit lists
                return []
            return list(reader.get_batch(list(indices)).asnumpy())
        except (self._decord.DECORDError, RuntimeError):
            return []  # PyAV reads the frames or raises the error

    def _fits_decord(self) -> bool:
        """Return whether decord gives the frames and colours of PyAV."""
        info = self.info
        untagged = info.color_matrix == 2 and info.height < 720
        known = untagged or info.color_matrix in _TAGGED
        even = info.width % 2 == 0 and info.height % 2 == 0
        plain = self.is_plain and known and even and info.color_range < 2
        return plain and self._index.is_closed and is_intact(self.path)

    def _read_pyav(self, indices: Sequence[int]) -> list[np.ndarray]:
        start = self._index.start_before(self._index.times[indices[0]])
        if start is not None:
            try:
                return self._decode(indices, start)
            except VideoError:
                pass  # seeking missed the packet, or the file is damaged
        return self._decode(indices, None)

    def _decode(
        self, indices: Sequence[int], start: Start | None
    ) -> list[np.ndarray]:
        """Decode from a start on, from the first frame without one.

        Raises:
            VideoError: a frame is damaged, missing, or not in its place.
        """
        number = 0 if start is None else self._index.number_of(start)
        wanted, found = set(indices), []
        convert = _to_rgb_fast if self.is_plain else pixels.to_rgb
        decoder = Decoder(self.path, strict=True)
        with closing(decoder):
            if start is not None:
                decoder.start_at(*start)
            for frame in decoder.frames():
                pts = frame.pts
                if start is not None and pts is not None and pts < start.time:
                    continue  # shown before the start
                if decoder.error or pts != self._index.times[number]:
                    break
                if number in wanted:
                    found.append(convert(frame))
                if number == indices[-1]:
                    return found
                number += 1
        reason = decoder.error or 'the decoder skips it'
        raise VideoError(
            f'{self.path}: frame {number} cannot be decoded ({reason})'
        )

    def _read_sequence(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Read from the first frame on: the file allows no seeking."""
        wanted = set(indices)
        # one more: deinterlacing a frame needs the next one
        with VideoReader(self.path, indices[-1] + 2) as reader:
            frames = [f.image for i, f in enumerate(reader) if i in wanted]
        if len(frames) < len(wanted):
            raise VideoError(f'{self.path}: frame {indices[-1]} is missing')
        return frames


def clip_indices(
    total: int, num_frames: int, interval: int, position: float
) -> range:
    """Choose the frames of a clip out of a video.

    Args:
        total: frames of the video.
        num_frames: frames of the clip.
        interval: step from one frame to the next, >= 1.
        position: where the clip lies in the video, in [0, 1).

    Raises:
        ValueError: the video is too short.
    """
    needed = frames_covered(num_frames, interval)
    if total < needed:
        raise ValueError(
            f'it has {total} frames, but `num_frames` {num_frames} at '
            f'`interval` {interval} need {needed}'
        )
    start = int(position * (total - needed + 1))
    return range(start, start + needed, interval)


def frames_covered(num_frames: int, interval: int) -> int:
    """Count the frames of the video from the first to the last of a clip.

    Raises:
        ValueError: an argument is below 1.
    """
    if num_frames < 1:
        raise ValueError(f'`num_frames` must be >= 1, got {num_frames}')
    if interval < 1:
        raise ValueError(f'`interval` must be >= 1, got {interval}')
    return (num_frames - 1) * interval + 1


def _import_decord() -> ModuleType | None:
    """Import decord, after torch; return None if it is not installed."""
    try:
        import decord
    except ImportError:
        return None
    return decord


def _to_rgb_fast(frame: av.VideoFrame) -> np.ndarray:
    """Convert 8-bit YUV to RGB with swscale's fastest method."""
    rgb = frame.reformat(
        format='rgb24',
        src_colorspace=pixels.source_matrix(frame),
        src_color_range=frame.color_range or ColorRange.MPEG,
        dst_color_range=ColorRange.JPEG,
        interpolation=Interpolation.BICUBIC,
        threads=1,
    )
    return rgb.to_ndarray()


def _read_image(path: Path) -> np.ndarray:
    decoder = Decoder(path, strict=True)
    with closing(decoder):
        frames = list(islice(decoder.frames(), 1))
    if decoder.error or not frames:
        reason = decoder.error or 'it holds no image'
        raise VideoError(f'{path}: cannot be decoded ({reason})')
    return pixels.to_rgb(frames[0])
