"""`PiecewiseRestoration`: restores a clip scene by scene, piece by piece.

Whatever is done is in the journal once a piece is complete, and a later run
goes on after the last one.
"""

from collections import deque
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import datetime
from fractions import Fraction
from functools import partial
from itertools import chain, islice
from pathlib import Path

import av
import numpy as np
import torch
from torch import Tensor

from star.apis.inference.borders import Borders
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.journal import Journal
from star.apis.inference.journal_records import PieceRecord, Position
from star.apis.inference.out_of_memory import (
    drop_memory,
    is_out_of_memory,
    keep_smaller,
    next_smaller,
    read_smaller,
    without_tiles,
)
from star.apis.inference.planning import describe_cuts
from star.apis.inference.scenes import has_scenes, keep_first, take_over
from star.apis.inference.trust import TrustMeter
from star.models.contracts import Restorer
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.models.restoration.resuming import Piece, ResumePoint
from star.utils.allocator import give_memory_back
from star.utils.text import one_line
from star.video.colour.depth import set_depth
from star.video.cuts import LOOK_BACK, split_scenes
from star.video.info import Frame, VideoError, explain
from star.video.io import VideoReader
from star.video.pieces import PieceCoder, join_pictures, join_video
from star.video.result_plan import ResultPlan
from star.video.sinks import VideoSink

LONG_PIECE = 48  # frames; a piece ends at the first place after them, and
LONG_SEGMENT = 16  # after each segment of so many frames: it took its time
_Finish = Callable[[np.ndarray, Frame], tuple[np.ndarray, np.ndarray | None]]


_FAILURES = (av.FFmpegError, OSError)


@contextmanager
def writing(path: Path) -> Iterator[None]:
    """Name a result in the errors of the system and of FFmpeg.

    Raises:
        VideoError: in their place, in one line.
    """
    try:
        yield
    except _FAILURES as error:
        reason = explain(error)
        message = f'{path}: cannot be written ({reason})'
        raise VideoError(message) from error


class StoppedError(Exception):
    """Raised when the work stops before its end; what is done is kept.

    Args:
        reason: in words.
        planned: the time has come at which the user wants it to stop.
    """

    def __init__(self, reason: str, planned: bool = False) -> None:
        super().__init__(reason, planned)
        self.planned = planned

    def __str__(self) -> str:
        return self.args[0]


@dataclass(frozen=True)
class Work:
    """Means by which a clip is restored.

    Args:
        restorer: of the clip.
        options: of the restoration.
        plan: of the result.
        cuts: as for `split_scenes`.
        until: when to stop; None for never.
        borders: of the tiles.
        rules: by which smaller pieces may be chosen where memory runs out;
            None for not at all.
    """

    restorer: Restorer
    options: RestoreOptions
    plan: ResultPlan
    cuts: str | Path = 'auto'
    until: datetime | None = None
    borders: Borders = field(default_factory=Borders)
    rules: MemoryRules | None = None


class SceneStream:
    """Frames of a clip, one scene at a time.

    Args:
        frames: with True where a scene begins, as `split_scenes` gives them.
        index: of the first frame within the clip.

    Attributes:
        index: of the next frame.
        ended: whether there is no next frame.
    """

    def __init__(
        self, frames: Iterator[tuple[Frame, bool]], index: int
    ) -> None:
        self.index, self._frames = index, frames
        self._next = next(frames, None)

    @property
    def ended(self) -> bool:
        """Return whether there is no next frame."""
        return self._next is None

    def scene(self) -> Iterator[Frame]:
        """Yield the frames up to the next beginning of a scene."""
        is_first = True
        while self._next is not None and (is_first or not self._next[1]):
            frame, is_first = self._next[0], False
            self._next = next(self._frames, None)
            self.index += 1
            yield frame


class PiecewiseRestoration:
    """Restores one clip into a journal, and joins the pieces.

    Args:
        work: what it is restored with.
        reader: of the input, with its depth set.
        journal: of the result, loaded.
        relay: receives progress and notes.
        finish: makes a result's pixels and opacity of restored pixels and
            the frame of the input.

    Attributes:
        taken: frames that other processes have restored meanwhile.
    """

    def __init__(
        self,
        work: Work,
        reader: VideoReader,
        journal: Journal,
        relay: EventRelay,
        finish: _Finish,
    ) -> None:
        self.work, self.reader, self.journal = work, reader, journal
        self._work = work  # with smaller pieces where memory ran out
        self._relay, self._finish = relay, finish
        self.taken = 0
        self._meter = TrustMeter(work.borders)
        self._waiting: deque[Frame] = deque()  # read, and not yet restored
        self._coder: PieceCoder | None = None
        self._length = self._since = 0  # frames of the piece; after a place
        self._cuts: list[int] = []
        self._before: Fraction | None = None  # time of the frame before
        # some scenes of a clip, whose frames before are another process's
        self._is_part = not journal.count and journal.position.scene > 0

    def run(self, total: int) -> None:
        """Restore what is not done.

        Args:
            total: frames of the clip, or up to the end of some scenes.

        Raises:
            StoppedError: the time to stop has come.
        """
        while True:
            try:
                while not self._go_on(total):
                    pass  # what follows has been restored elsewhere
                return
            except Exception as error:
                smaller = self._smaller(error)
                if smaller is None:
                    raise
                reason = one_line(str(error)) or type(error).__name__
            self._begin_again(smaller, reason)  # the error's frames are gone

    def _go_on(self, total: int) -> bool:
        """Restore from the last place on; return whether all is done."""
        journal = self.journal
        while taken := take_over(journal):
            self.taken += taken
            self._relay.offset = 0
            self._relay.progress('decode', journal.position.done, None)
        own = self.work.options
        options, since = read_smaller(journal, journal.key, own)
        self._work = replace(self.work, options=options)
        here = journal.position
        if here.meter:
            self._meter.resume({k: v.numpy() for k, v in here.meter.items()})
        if here.done == total:
            return True
        stream = SceneStream(self._frames(here), here.frame)
        point = here.point
        if journal.count == since and options.tile != own.tile:
            point = without_tiles(point)
        scene = here.scene
        while not stream.ended and stream.index < total:
            self._restore_scene(stream, scene, point)
            scene, point = stream.index, None
            if has_scenes(journal.folder, scene):
                return False
        return True

    def _smaller(self, error: Exception) -> RestoreOptions | None:
        """Return what needs less memory, if this is what an error says."""
        work, info = self._work, self.reader.info
        if work.rules is None or not is_out_of_memory(error):
            return None
        size = info.width, info.height
        return next_smaller(work.restorer, work.options, size, work.rules)

    def _begin_again(self, options: RestoreOptions, reason: str) -> None:
        """Drop what is not in the journal, and take smaller pieces."""
        self._coder, self._cuts = None, []
        self._length = self._since = 0
        self._waiting.clear()
        self._meter = TrustMeter(self.work.borders)
        keep_smaller(self.journal, self.journal.key, options)
        cuts = describe_cuts(self.work.restorer, options)
        self._relay.note(
            f'memory ran out ({reason}); from frame '
            f'{self.journal.position.done} on it is restored with {cuts}'
        )
        drop_memory()

    def join(self, temporary: Path) -> tuple[str, ...]:
        """Write the result under a temporary name.

        Returns:
            Notes of the sink.
        """
        sink = self.work.plan.make_sink(temporary)
        journal = self.journal
        try:
            if isinstance(sink, VideoSink):
                frames = [record.frames for record in journal.list_records()]
                ends = [f.time + f.duration for f in chain(*frames)]
                sink.expected_end = max(ends)
                sink.begin()
                join_video(sink, frames, journal.read)
            else:
                sink.begin()
                join_pictures(sink, journal.count, journal.read)
            sink.finish()
        except BaseException:
            sink.discard()
            raise
        return tuple(sink.notes)

    def _frames(self, here: Position) -> Iterator[tuple[Frame, bool]]:
        """Read on from a place; the cut at this place is known."""
        before = min(LOOK_BACK, here.frame)
        start = here.frame - before
        frames = self.reader.frames(start)
        cuts, note = self.work.cuts, self._relay.note
        found = split_scenes(frames, cuts, start, note)
        for frame, _ in islice(found, before):
            self._before = frame.time
        return found

    def _restore_scene(
        self, stream: SceneStream, scene: int, point: ResumePoint | None
    ) -> None:
        """Restore one scene, or the rest of it from a point on."""
        work = self._work
        self._relay.offset = scene
        done = scene + (point.done if point else 0)
        if point is None:
            self._cuts.append(scene)
        frames = self._pixels(stream, done)
        if hasattr(work.restorer, 'restore_pieces'):
            pieces = work.restorer.restore_pieces(
                frames, work.options, self._relay, point
            )
        else:  # it is taken up at the beginning of a scene
            whole = work.restorer.restore_stream(
                frames, work.options, self._relay
            )
            pieces = (Piece(each) for each in whole)
        for piece in pieces:
            self._write(piece.frames)
            if piece.point is not None:
                self._pause(partial(_position, scene, piece.point))
        lost = len(self._waiting)
        assert not lost, f'the model lost {lost} frames'
        here = partial(Position, stream.index)
        self._pause(here, of_scene=True, of_clip=stream.ended)

    def _pixels(self, stream: SceneStream, done: int) -> Iterator[Tensor]:
        """Yield a scene's pixels; keep the frames that are not yet done."""
        takes_16_bit = getattr(self.work.restorer, 'takes_16_bit', False)
        for frame in stream.scene():
            if stream.index > done:
                self._waiting.append(frame)
            image = frame.image
            if not takes_16_bit:
                image = set_depth(image, 8)
            yield torch.from_numpy(image).permute(2, 0, 1)

    def _write(self, frames: Tensor) -> None:
        """Code restored frames, (t, 3, H, W), and measure them."""
        for pixels in frames.cpu().permute(0, 2, 3, 1):
            frame = self._waiting.popleft()
            image = set_depth(pixels.contiguous().numpy(), self.reader.depth)
            image, alpha = self._finish(image, frame)
            if self._coder is None:
                give_memory_back()  # of the network, for the encoder
                journal = self.journal
                last = journal.last if journal.count else self._before
                self._coder = self.work.plan.make_coder(last)
            self._coder.write(image, frame.time, frame.duration, alpha)
            self._meter.add(frame.image, image, float(frame.time))
            if self._is_part and not self.journal.count and not self._length:
                keep_first(self.journal, _tensors(self._meter.carry()))
            self._length += 1
            self._since += 1

    def _pause(
        self,
        place: Callable[[], Position],
        of_scene: bool = False,
        of_clip: bool = False,
    ) -> None:
        """Keep the piece if it is long enough, and stop if it is time.

        A scene ends its piece, so that it is coded like a clip by itself.

        Args:
            place: makes the place.
            of_scene: whether it is the end of a scene.
            of_clip: whether it is the end of the clip.
        """
        long = self._length >= LONG_PIECE or self._since >= LONG_SEGMENT
        self._since = 0
        if not (long or of_scene) or self._coder is None:
            return
        here = place()
        meter = _tensors(self._meter.carry())
        piece = self._coder.finish()
        record = PieceRecord(
            tuple(piece.frames),
            piece.header,
            tuple(self._meter.take()),
            tuple(self._cuts),
            (*self.reader.notes, *self._relay.notes),
        )
        position = Position(here.scene, here.point, meter)
        self.journal.add(piece, record, position)
        self._coder, self._length, self._cuts = None, 0, []
        give_memory_back()  # of the encoder, for the network
        until = self.work.until
        if until is not None and not of_clip and datetime.now() >= until:
            raise StoppedError(f'stopped at {until:%H:%M}', planned=True)


def _position(scene: int, point: Callable[[], ResumePoint]) -> Position:
    return Position(scene, point())


def _tensors(arrays: Mapping[str, np.ndarray]) -> dict[str, Tensor]:
    return {
        name: torch.from_numpy(np.ascontiguousarray(values))
        for name, values in arrays.items()
    }
