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

from star.video import pixels
from star.video.decode import Decoder, open_input, pick_stream
from star.video.info import VideoError, explain
from star.video.io import VideoReader, list_images, probe

DECODERS = ('auto', 'decord', 'pyav')
# each packet of these gives one frame, with the packet's time
_SEEKABLE_CODECS = ('h264', 'hevc', 'vp9', 'av1')
_TAGGED = (1, 5, 6)  # H.273 matrices that both decoders read in one way


class IndexedVideo:
    """Reads chosen frames of a video, an image or a folder of images.

    If decord is installed, it reads plain videos: 8-bit yuv420p, upright,
    progressive, and with the same number of frames for both decoders. PyAV
    reads all others, and gives the same pixels without decord. Plain videos
    are converted to RGB without interpolating chroma, which is fast and
    differs from `VideoReader` by about one grey level.

    Args:
        path: video, image or folder of images.
        decoder: 'auto' takes decord if it is installed; 'pyav' never uses
            it; 'decord' requires it.

    Attributes:
        info: properties of the video.
        num_frames: number of its frames.

    Raises:
        VideoError: the video cannot be opened.
        ValueError: `decoder` is unknown, or 'decord' is not installed.
    """

    def __init__(self, path: str | os.PathLike, decoder: str = 'auto') -> None:
        if decoder not in DECODERS:
            raise ValueError(
                f'`decoder` must be in {DECODERS}, got {decoder!r}'
            )
        self.path, self.info = Path(path), probe(path)
        self._decord = None if decoder == 'pyav' else _import_decord()
        if decoder == 'decord' and self._decord is None:
            raise ValueError(
                "`decoder` is 'decord', which is not installed; 'pyav' gives "
                'the same frames'
            )
        self._images: list[Path] = []
        self._times: list[int] = []  # in order of display
        self._keys: list[int] = []
        if self.info.kind == 'video':
            self._times, self._keys, self.num_frames = _index(self.path)
            if not self.info.timed or self.info.interlaced:
                self._times = []  # as in AVI, or a frame needs the next one
        else:
            is_folder = self.info.kind == 'folder'
            self._images = list_images(self.path) if is_folder else [self.path]
            self.num_frames = len(self._images)

    @property
    def is_plain(self) -> bool:
        """Return whether reading changes only the colour format."""
        return not self.info.notes and self.info.pix_fmt == 'yuv420p'

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

    def _read(self, indices: Sequence[int]) -> list[np.ndarray]:
        if self._images:
            return [_read_image(self._images[i]) for i in indices]
        if not self._times:
            return self._read_through(indices)
        return self._read_decord(indices) or self._read_pyav(indices)

    def _read_decord(self, indices: Sequence[int]) -> list[np.ndarray]:
        """Read with decord; return nothing if it cannot read the video."""
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
        """Return whether decord converts the colours as PyAV does."""
        info = self.info
        untagged = info.color_matrix == 2 and info.height < 720
        known = untagged or info.color_matrix in _TAGGED
        even = info.width % 2 == 0 and info.height % 2 == 0
        return self.is_plain and known and even and info.color_range < 2

    def _read_pyav(self, indices: Sequence[int]) -> list[np.ndarray]:
        wanted = [self._times[i] for i in indices]
        found: dict[int, np.ndarray] = {}
        convert = _to_rgb_fast if self.is_plain else pixels.to_rgb
        decoder = Decoder(self.path, strict=True)
        with closing(decoder):
            key = max((k for k in self._keys if k <= wanted[0]), default=None)
            if key is not None:
                decoder.container.seek(key, stream=decoder.stream)
            for frame in decoder.frames():
                if frame.pts in wanted and not frame.is_corrupt:
                    found[frame.pts] = convert(frame)
                if len(found) == len(wanted):
                    break
        for i, time in zip(indices, wanted, strict=True):
            if time not in found:
                reason = decoder.error or 'the decoder skips it'
                raise VideoError(
                    f'{self.path}: frame {i} cannot be decoded ({reason})'
                )
        return [found[time] for time in wanted]

    def _read_through(self, indices: Sequence[int]) -> list[np.ndarray]:
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


def _index(path: Path) -> tuple[list[int], list[int], int]:
    """List the times of all frames and of key frames; count the frames.

    Both lists are empty if the times do not identify the frames.
    """
    with open_input(path) as container:
        stream = pick_stream(container, path)
        try:
            packets = [
                (packet.pts, packet.is_keyframe)
                for packet in container.demux(stream)
                if packet.size and not packet.is_discard
            ]
        except av.FFmpegError as error:
            raise VideoError(
                f'{path}: cannot be read ({explain(error)})'
            ) from error
        codec = stream.codec_context.name
    times = [time for time, _ in packets if time is not None]
    unique = len(set(times)) == len(packets)
    if not unique or codec not in _SEEKABLE_CODECS:
        return [], [], len(packets)
    keys = [t for t, is_key in packets if is_key and t is not None]
    return sorted(times), sorted(keys), len(packets)


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
