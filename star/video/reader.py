"""Read the frames of a video, of a folder of images or of one image."""

import os
from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from dataclasses import replace
from fractions import Fraction
from itertools import islice
from time import monotonic

import av

from star.video import pixels
from star.video.colour.gray import is_gray
from star.video.decode import Decoder
from star.video.info import Frame, VideoError, VideoInfo, explain
from star.video.probing import list_images, missing_times_note, probe
from star.video.timing.fields import (
    FILM_NOTE,
    INTERLACED_NOTE,
    Timed,
    deinterlace,
    film_frames,
)
from star.video.timing.telecine import CYCLE, FILM, is_telecined

_Frames = Generator[av.VideoFrame, None, None]
_PROGRESS_INTERVAL = 0.2  # seconds
_SHORTEST = Fraction(1, 240)  # seconds that a file is believed


class VideoReader:
    """Reads a video frame by frame; one frame is in memory at a time.

    Each iteration starts from the first frame. `info` describes the video;
    `notes` lists what reading changes and grows while frames are read.

    Args:
        path: a video, an image, or a folder of images in natural order.
        num_frames: largest number of frames to read; None for all.
        allow_partial: read what decodes of a damaged file.
        fps: frames per second of a folder of images; None takes 25.

    Attributes:
        depth: bits of a frame's values, 8 or 16; set it before reading.
        keep_alpha: fill in `Frame.alpha` where a frame has opacity.
        begin: seconds; a video is read from a key frame before them on, if
            its container can find one. For a glance, not for whole films.

    Raises:
        VideoError: at construction or during iteration, the file is not a
            video, or is damaged without `allow_partial`.
    """

    def __init__(
        self,
        path: str | os.PathLike,
        num_frames: int | None = None,
        allow_partial: bool = False,
        fps: Fraction | float | None = None,
    ) -> None:
        if num_frames is not None and num_frames < 1:
            raise ValueError(f'`num_frames` must be >= 1, got {num_frames}')
        self.num_frames, self.allow_partial = num_frames, allow_partial
        self.info = probe(path, fps)
        self._tick = self.info.time_base  # seconds
        self._is_film = is_telecined(self.info.path, self.info)
        if self._is_film:
            self.info = _as_film(self.info)
        self.depth, self.keep_alpha = 8, False
        self.begin = Fraction(0)
        self._notes = list(self.info.notes)
        self._open: list[Generator[Frame, None, None]] = []
        self._end: int | None = None  # ticks; of the last frame, if known

    @property
    def notes(self) -> tuple[str, ...]:
        """Return what reading has changed so far, one sentence each."""
        return tuple(self._notes)

    def __enter__(self) -> 'VideoReader':
        return self

    def __exit__(self, *error: object) -> None:
        self.close()

    def close(self) -> None:
        """End every iteration and close the file."""
        while self._open:
            self._open.pop().close()

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames in order of display."""
        return self.frames()

    def frames(self, skip: int = 0) -> Iterator[Frame]:
        """Yield the frames in order of display.

        Args:
            skip: how many frames to pass over; they are decoded, but not
                converted.
        """
        self.close()
        self._open.append(self._frames(skip))
        return self._open[-1]

    def count(self, progress: Callable[[int], None] | None = None) -> int:
        """Decode all frames without converting them, and count them.

        Args:
            progress: called with the number of frames so far, about every
                0.2 s.
        """
        done, told = 0, monotonic()
        # only inverse telecine changes the number of frames
        frames = self._shown() if self._is_film else self._decoded()
        with closing(frames):
            for done, _ in enumerate(frames, 1):
                now = monotonic()
                if progress is not None and now - told >= _PROGRESS_INTERVAL:
                    progress(done)
                    told = now
        return done

    def _frames(self, skip: int) -> Generator[Frame, None, None]:
        with closing(self._shown()) as shown:
            try:
                for frame, start, duration in islice(shown, skip, None):
                    yield self._convert(frame, start, duration)
            except av.FFmpegError as error:
                reason = explain(error)
                raise VideoError(
                    f'{self.info.path}: its {self.info.pix_fmt} frames '
                    f'cannot be converted to RGB ({reason})'
                ) from error

    def _shown(self) -> Generator[Timed, None, None]:
        """Yield the frames that are restored, with their times."""
        with closing(self._decoded()) as decoded:
            timed = self._retime(decoded)
            if self._is_film:
                yield from islice(film_frames(timed), self.num_frames)
            else:
                yield from deinterlace(timed, self._note)

    def _convert(
        self, frame: av.VideoFrame, start: Fraction, duration: Fraction
    ) -> Frame:
        depth, keep = self.depth, self.keep_alpha
        for note in pixels.conversion_notes(frame, depth, keep):
            self._note(note)
        return Frame(
            pixels.to_rgb(frame, depth),
            start,
            duration,
            pixels.alpha_of(frame, depth) if keep else None,
            is_gray(frame),
        )

    def _retime(self, frames: Iterable[av.VideoFrame]) -> Iterator[Timed]:
        """Pair frames with rising times; each lasts until the next one."""
        held: Timed | None = None
        info, self._end = self.info, None
        for frame in frames:
            time = self._time_of(frame)
            if time is None:
                time = held[1] + info.frame_duration if held else Fraction(0)
                if info.timed:
                    self._note(missing_times_note(info.fps))
            if held is not None:
                if time <= held[1]:
                    time = held[1] + info.frame_duration / 2
                    self._note('timestamps that do not rise are moved')
                yield held[0], held[1], time - held[1]
            held = frame, time, self._own_duration(frame)
        if held is not None:
            frame, time, duration = held
            end = (self._end or 0) * self._tick - info.start
            yield frame, time, max(duration, end - time)

    def _time_of(self, frame: av.VideoFrame) -> Fraction | None:
        if not self.info.timed or frame.pts is None:
            return None
        return max(frame.pts * self._tick - self.info.start, Fraction(0))

    def _own_duration(self, frame: av.VideoFrame) -> Fraction:
        info = self.info
        stored = (frame.duration or 0) * self._tick if info.timed else 0
        usual = info.frame_duration * (
            Fraction(FILM, CYCLE) if self._is_film else 1
        )
        # a shorter one is a tick that stands for an unknown duration
        return Fraction(stored) if stored >= _SHORTEST else usual

    def _note(self, text: str) -> None:
        if text not in self._notes:
            self._notes.append(text)

    def _refuse(self, reason: str, rest: str = 'what decodes') -> None:
        """Raise an error, or only note it with `allow_partial`."""
        if not self.allow_partial:
            raise VideoError(
                f'{self.info.path}: {reason}; '
                f'use --allow-partial to restore {rest}'
            )
        self._note(reason)

    def _change(self, number: int, frame: av.VideoFrame) -> str:
        """Describe a frame whose size differs from those before it."""
        was = f'{self.info.width}x{self.info.height}'
        now = '{}x{}'.format(*pixels.upright_size(frame))
        time, cut = self._time_of(frame), ''
        if time is not None and self.info.kind == 'video':
            cut = f' ({float(time):.2f} s); cut the file there'
        return f'the size changes from {was} to {now} at frame {number}{cut}'

    def _decoded(self) -> _Frames:
        """Yield decoded frames, all of one size."""
        is_folder = self.info.kind == 'folder'
        source = self._folder_frames() if is_folder else self._file_frames()
        size = self.info.width, self.info.height
        with closing(source):
            limit = None if self._is_film else self.num_frames
            for i, frame in enumerate(islice(source, limit)):
                found = pixels.upright_size(frame)
                if found != size:
                    self._refuse(self._change(i, frame), 'the frames before')
                    return
                yield frame

    def _file_frames(self) -> _Frames:
        decoder = Decoder(self.info.path, strict=not self.allow_partial)
        if self.begin:
            decoder.seek(self.begin + self.info.start)
        frames = decoder.frames()
        try:
            for frame in frames:
                if decoder.error and not self.allow_partial:
                    break
                yield frame
            deque(frames, maxlen=0)  # after damage: count the good frames
        finally:
            decoder.close()
            for note in decoder.notes:
                self._note(note)
            if decoder.error and self.allow_partial:
                self._note(_describe_damage(decoder))
        if decoder.error:
            self._refuse(_describe_damage(decoder))
        self._end = decoder.end

    def _folder_frames(self) -> _Frames:
        for path in list_images(self.info.path):
            decoder = Decoder(path, strict=not self.allow_partial)
            with closing(decoder):
                frames = list(islice(decoder.frames(), 2))
            if decoder.error or len(frames) != 1:
                reason = decoder.error or 'it is not one image'
                self._refuse(f'{path.name} cannot be decoded ({reason})')
            yield from frames[:1]


def count_frames(
    path: str | os.PathLike,
    num_frames: int | None = None,
    allow_partial: bool = False,
) -> int:
    """Decode a video without converting it, and count its frames.

    It finds damage before a restoration, at a small share of its time.

    Args:
        path: a video, an image, or a folder of images.
        num_frames: largest number of frames to decode; None for all.
        allow_partial: count what decodes of a damaged file.

    Raises:
        VideoError: as `VideoReader`.
    """
    with VideoReader(path, num_frames, allow_partial) as reader:
        return reader.count()


def _describe_damage(decoder: Decoder) -> str:
    whole, total = decoder.decoded - decoder.damaged, decoder.expected
    if whole < total:
        return (
            f'only {whole} of {total} frames could be decoded without '
            f'errors ({decoder.error})'
        )
    return f'the file is damaged after {total} frames ({decoder.error})'


def _as_film(info: VideoInfo) -> VideoInfo:
    """Describe a telecined video by its frames of film."""
    frames = info.num_frames
    notes = [n for n in info.notes if n != INTERLACED_NOTE]
    if info.depth > 8:
        notes.append(f'matching fields reduces {info.depth}-bit colour to 8')
    return replace(
        info,
        fps=info.fps and info.fps * FILM / CYCLE,
        num_frames=frames and max(1, round(frames * FILM / CYCLE)),
        time_base=info.time_base / FILM,  # four frames share five times
        interlaced=False,
        depth=8,
        notes=(*notes, FILM_NOTE),
    )
