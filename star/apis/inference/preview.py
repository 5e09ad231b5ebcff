"""`make_preview`: restores some places of a film first, beside the input."""

import math
import time
from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from glob import escape
from itertools import chain, dropwhile, islice
from pathlib import Path

import cv2
import numpy as np
import torch
from torch import Tensor

from star.apis.inference.file_options import FileOptions
from star.apis.inference.journal import open_journal
from star.apis.inference.piecewise import SceneStream
from star.apis.inference.trust_warnings import clock
from star.models.contracts import Events, Restorer
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.utils.files import beside, made_folder, remove_temporary
from star.video.cut_files import load_cuts
from star.video.cuts import split_scenes
from star.video.info import Frame, VideoError, VideoInfo
from star.video.io import VideoReader, VideoWriter

_WIDEST = 1920  # pixels of each half: what is wider is cut to its middle
_FONT, _MARGIN = cv2.FONT_HERSHEY_SIMPLEX, 8
_FAR = 1000  # frames; to decode more, a place is sought
_NEAR = 5  # seconds by which a place that was found may be late
Place = tuple[Fraction, Fraction]  # start and end in seconds


@dataclass(frozen=True)
class PreviewRequest:
    """Contents of a preview.

    Args:
        src: video, or folder of images.
        dst: the result that the preview is for; it lies beside that.
        count: number of places, evenly spread.
        seconds: of each place.
    """

    src: Path
    dst: Path
    count: int
    seconds: float

    @property
    def path(self) -> Path:
        """Return where the preview is written."""
        return beside(self.dst, suffix='.preview.mp4')


@dataclass(frozen=True)
class PreviewReport:
    """A preview that was made.

    Args:
        path: of the preview.
        places: second at which each place begins.
        frames: that were restored.
        seconds: that this took.
        whole: seconds that the whole film will take.
    """

    path: Path
    places: tuple[float, ...]
    frames: int
    seconds: float
    whole: float


def make_preview(
    restorer: Restorer,
    request: PreviewRequest,
    options: RestoreOptions | None = None,
    files: FileOptions | None = None,
    events: Events | None = None,
) -> PreviewReport:
    """Restore some places of a film and write them beside the input.

    The preview is 8-bit H.264 without sound: on the left the input, enlarged
    by bicubic interpolation, on the right the result. An earlier preview is
    replaced.

    Args:
        restorer: of the film.
        request: what is shown.
        options: of the restoration; None for the model's own.
        files: of reading; None for all frames.
        events: receives the progress.

    Raises:
        VideoError: the input cannot be read or the preview not written.
        ValueError: an option is wrong.
    """
    files = files or FileOptions()
    options = options or restorer.restore_options
    restorer.check_options(options)
    with VideoReader(request.src, files.frames, files.allow_partial) as reader:
        total = _count(reader, events)
        rate = 1 / reader.info.frame_duration
        places = choose_places(total / rate, request.count, request.seconds)
        expected = sum(round((end - start) * rate) for start, end in places)
        relay = EventRelay(events, expected)
        relay.progress('decode', 0, expected)
        work = _Preview(restorer, options, files.cuts, relay)
        read = _read(reader, places, _counts_frames(files.cuts))
        folder = request.dst.parent
        with made_folder(folder), open_journal(request.dst):
            # of a process that was killed; the journal keeps others out
            remove_temporary(folder, escape(request.path.stem))
            _write(request.path, work.images(read), rate)
    return PreviewReport(
        request.path,
        tuple(float(start) for start, _ in places),
        work.done,
        sum(seconds for _, seconds in work.spent),
        work.pace() * total,
    )


def choose_places(length: Fraction, count: int, seconds: float) -> list[Place]:
    """Choose evenly spread places of a film.

    Args:
        length: seconds of the film.
        count: number of places.
        seconds: of a place.

    Returns:
        Start and end of each place in seconds; one place, the whole film, if
        they do not fit into it.
    """
    each = Fraction(seconds).limit_denominator(1000)
    if count * each >= length:
        return [(Fraction(0), length)]
    middles = [(2 * i + 1) * length / (2 * count) for i in range(count)]
    return [(middle - each / 2, middle + each / 2) for middle in middles]


def side_by_side(
    lq: np.ndarray, pred: np.ndarray, seconds: float
) -> np.ndarray:
    """Draw an input frame, enlarged, and its restored frame.

    Args:
        lq: input frame, (h, w, 3) uint8 RGB.
        pred: restored frame, (H, W, 3) uint8 RGB.
        seconds: its time in the film, for the label.

    Returns:
        (H', 2 W', 3) uint8 with even sides, the middle of what is too wide.
    """
    height, width = (side - side % 2 or 2 for side in pred.shape[:2])
    width = min(width, _WIDEST)
    large = cv2.resize(lq, pred.shape[1::-1], interpolation=cv2.INTER_CUBIC)
    halves = []
    for image, name in ((large, 'input'), (pred, 'result')):
        half = _middle(image, height, width)
        halves.append(_label(half, f'{name} {clock(seconds)}'))
    return np.concatenate(halves, axis=1)


class _Preview:
    """Restores the places of a film.

    Args:
        restorer: of the film.
        options: of the restoration.
        cuts: as for `split_scenes`.
        relay: receives the progress.

    Attributes:
        done: number of restored frames.
        spent: frames and seconds of each place.
    """

    def __init__(
        self,
        restorer: Restorer,
        options: RestoreOptions,
        cuts: str | Path,
        relay: EventRelay,
    ) -> None:
        self.restorer, self.options, self.cuts = restorer, options, cuts
        self.done = 0
        self.spent: list[tuple[int, float]] = []
        self._relay = relay

    def pace(self) -> float:
        """Return the seconds of a frame; the first place warms up."""
        spent = self.spent[1:] or self.spent
        frames, seconds = map(sum, zip(*spent, strict=True))
        return seconds / frames

    def images(
        self, places: Iterable[tuple[int, Iterator[Frame]]]
    ) -> Iterator[np.ndarray]:
        """Yield the pictures of all places."""
        for number, frames in places:
            before, begin = self.done, time.perf_counter()
            scenes = SceneStream(split_scenes(frames, self.cuts, number), 0)
            while not scenes.ended:
                yield from self._restore(scenes.scene())
            if self.done > before:
                seconds = time.perf_counter() - begin
                self.spent.append((self.done - before, seconds))

    def _restore(self, frames: Iterator[Frame]) -> Iterator[np.ndarray]:
        """Restore one scene of a place."""
        waiting: deque[Frame] = deque()

        def pixels() -> Iterator[Tensor]:
            for frame in frames:
                waiting.append(frame)
                yield torch.from_numpy(frame.image).permute(2, 0, 1)

        self._relay.offset = self.done
        stream = self.restorer.restore_stream(
            pixels(), self.options, self._relay
        )
        for piece in stream:
            for pred in piece.cpu().permute(0, 2, 3, 1):
                frame = waiting.popleft()
                self.done += 1
                yield side_by_side(
                    frame.image, pred.numpy(), float(frame.time)
                )


def _count(reader: VideoReader, events: Events | None) -> int:
    """Return how many frames there are, as the container says."""
    known = reader.info.num_frames
    if known is None:
        relay = EventRelay(events)
        return reader.count(lambda n: relay.progress('read', n, None))
    limit = reader.num_frames
    return known if limit is None else min(known, limit)


def _counts_frames(cuts: str | Path) -> bool:
    """Return whether a file of cuts names frames by their numbers."""
    return cuts not in ('auto', 'none') and bool(load_cuts(cuts).numbers)


def _read(
    reader: VideoReader, places: Iterable[Place], exact: bool
) -> Iterator[tuple[int, Iterator[Frame]]]:
    """Yield each place: its frames, to be read before the next one.

    Args:
        reader: of the film.
        places: in seconds.
        exact: the number of the first frame, which comes with the frames,
            matters.
    """
    step = reader.info.frame_duration
    for start, end in places:
        number = math.ceil(start / step)
        count = max(1, round((end - start) / step))
        frames = None if exact else _seek(reader, start)
        if frames is None:
            frames = reader.frames(number)
        yield number, islice(frames, count)


def _seek(reader: VideoReader, start: Fraction) -> Iterator[Frame] | None:
    """Read from a time on; None where decoding up to it is better."""
    step = reader.info.frame_duration
    if reader.info.kind != 'video' or start / step <= _FAR:
        return None
    reader.begin = start
    frames = dropwhile(lambda f: f.time < start, reader.frames())
    first = next(frames, None)
    reader.begin = Fraction(0)
    if first is None or first.time - start >= _NEAR:
        return None
    return chain([first], frames)


def _write(path: Path, images: Iterator[np.ndarray], rate: Fraction) -> None:
    """Write pictures of one size at a constant rate."""
    first = next(images, None)
    if first is None:
        raise VideoError(f'{path}: there is no frame to preview')
    height, width = first.shape[:2]
    info = VideoInfo.of_clip(path.parent, width, height, float(rate))
    with VideoWriter(
        path, width, height, info, 'libx264', pix_fmt='yuv420p', overwrite=True
    ) as writer:
        for i, image in enumerate(chain([first], images)):
            writer.write(image, i / rate, 1 / rate)


def _middle(image: np.ndarray, height: int, width: int) -> np.ndarray:
    """Cut out the middle; repeat the edges of what is too small."""
    rows, columns = image.shape[0] - height, image.shape[1] - width
    top, left = max(rows, 0) // 2, max(columns, 0) // 2
    part = image[top : top + height, left : left + width]
    more = (0, max(-rows, 0)), (0, max(-columns, 0)), (0, 0)
    return np.pad(part, more, 'edge')


def _label(image: np.ndarray, text: str) -> np.ndarray:
    """Write a line into the upper left corner, white on black."""
    out = np.ascontiguousarray(image)
    scale = max(0.4, image.shape[1] / 1280)
    size, below = cv2.getTextSize(text, _FONT, scale, 1)[:2]
    right, bottom = size[0] + 2 * _MARGIN, size[1] + below + 2 * _MARGIN
    out[:bottom, :right] //= 4
    place = (_MARGIN, size[1] + _MARGIN)
    return cv2.putText(
        out, text, place, _FONT, scale, (255, 255, 255), 1, cv2.LINE_AA
    )
