"""Restoring of a video file, from path to path."""

import os
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

import numpy as np
import torch

from star.apis.inference.fingerprint import (
    describe_method,
    digest_of_content,
    plain,
)
from star.apis.inference.journal import Journal, open_journal
from star.apis.inference.piecewise import (
    PiecewiseRestoration,
    Work,
    writing,
)
from star.apis.inference.sidecar import find_complete, sidecar_path
from star.models.contracts import Events, Restorer
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.utils.files import move, write_json
from star.utils.memory import peak_memory, reset_peak_memory
from star.video.alpha import enlarge
from star.video.cut_files import load_cuts
from star.video.info import Frame, VideoInfo
from star.video.io import VideoError, VideoReader
from star.video.pixels import remove_colour
from star.video.result_plan import ResultPlan, ResultRequest, plan_result

_RESULT = 'result'  # in the journal, until it is complete


@dataclass(frozen=True)
class FileOptions:
    """How files are read and written.

    Args:
        frames: how many frames to restore at most; None for all.
        codec: FFmpeg's name of the encoder; None chooses by source and
            suffix.
        crf: constant rate factor, less is better.
        pix_fmt: FFmpeg's name of the pixel format; None or 'auto' chooses.
        overwrite: replace an existing file.
        allow_partial: restore the frames that a damaged file still has.
        cuts: 'auto' finds hard cuts, 'none' treats the clip as one scene; any
            other is a file of cuts, see `split_scenes`.
        strict_streams: refuse to lose sound, subtitles or other streams.
        until: when to stop and keep what is done; None for never.
    """

    frames: int | None = None
    codec: str | None = None
    crf: float = 17
    pix_fmt: str | None = None
    overwrite: bool = False
    allow_partial: bool = False
    cuts: str | Path = 'auto'
    strict_streams: bool = False
    until: datetime | None = None


@dataclass(frozen=True)
class RestoreReport:
    """Report of one restoration.

    Args:
        src: path of the input.
        dst: path of the result.
        frames: how many.
        input_size: width and height in pixels.
        output_size: width and height in pixels.
        seconds: from opening the input to the complete result.
        frames_per_second: restored in this run.
        peak_memory: bytes; see `star.utils.memory.peak_memory`.
        notes: changes and losses, a sentence each.
        kept: frames that an earlier run had restored.
        skipped: whether the result was complete already.
    """

    src: str
    dst: str
    frames: int
    input_size: tuple[int, int]
    output_size: tuple[int, int]
    seconds: float
    frames_per_second: float
    peak_memory: int
    notes: tuple[str, ...] = ()
    kept: int = 0
    skipped: bool = False


def restore_video(
    restorer: Restorer,
    src: str | os.PathLike,
    dst: str | os.PathLike,
    options: RestoreOptions | None = None,
    files: FileOptions | None = None,
    events: Events | None = None,
) -> RestoreReport:
    """Restore a video, a folder of images or one image.

    As many frames come out as went in, at the same times, with the same
    sound. Frames are read, restored and written as they come, so a long
    video takes no more memory than a short one. What is done is kept in
    `.NAME.star` beside `dst`, and the same call goes on from there, whatever
    ended it; the result has the same bytes. A result that is complete is left
    as it is. Without a piece to keep, a failure leaves nothing.

    Args:
        restorer: a STARModel or a baseline, from `init_model`.
        src: video, image, or folder of images.
        dst: video to write, or folder for images.
        options: of the restoration; None for the model's own.
        files: of reading and writing; None for H.264 and all frames.
        events: receives progress and notes; the report has the notes, too.

    Raises:
        VideoError: the input cannot be read or the output not written, or
            another process restores it.
        ValueError: an option is wrong.
        StoppedError: the time to stop has come.
    """
    files = files or FileOptions()
    options = options or restorer.restore_options
    restorer.check_options(options)
    start = time.perf_counter()
    device = next(restorer.parameters(), torch.empty(0)).device
    reset_peak_memory(device)
    with VideoReader(src, files.frames, files.allow_partial) as reader:
        task = _Task(restorer, reader, options, files, dst)
        record = find_complete(task.plan.path, task.key)
        skipped = record is not None
        if record is None:
            with _folder_for(task.plan.path):
                task.plan.check()
                record = task.restore(events)
        else:
            record['kept'] = record['output']['frames']
    seconds = time.perf_counter() - start
    frames, kept = record['output']['frames'], record['kept']
    return RestoreReport(
        src=os.fspath(src),
        dst=os.fspath(dst),
        frames=frames,
        input_size=(reader.info.width, reader.info.height),
        output_size=task.plan.size,
        seconds=seconds,
        frames_per_second=(frames - kept) / seconds,
        peak_memory=peak_memory(device),
        notes=tuple(record['notes']),
        kept=kept,
        skipped=skipped,
    )


class _Task:
    """One clip, from its checks to its result.

    Args:
        restorer: of the clip.
        reader: of the input.
        options: of the restoration.
        files: of reading and writing.
        dst: the result.

    Raises:
        VideoError: the result cannot be written with these options.
    """

    def __init__(
        self,
        restorer: Restorer,
        reader: VideoReader,
        options: RestoreOptions,
        files: FileOptions,
        dst: str | os.PathLike,
    ) -> None:
        self.reader, self.files = reader, files
        self.plan = _plan(dst, reader.info, options.scale, files)
        reader.depth, reader.keep_alpha = self.plan.depth, self.plan.alpha
        if files.strict_streams and self.plan.losses:
            raise VideoError(f'{reader.info.path}: {self.plan.losses[0]}')
        self.work = Work(restorer, options, self.plan, files.cuts, files.until)
        self.key = _make_key(self.work, reader.info.path, files)

    def restore(self, events: Events | None) -> dict[str, Any]:
        """Restore what is not done, and write result and record."""
        path, relay = self.plan.path, EventRelay(events)
        for note in self.plan.notes:
            relay.note(note)
        with open_journal(path) as journal, writing(path):
            changes = journal.load(self.key)
            if changes:
                text = 'an earlier run is not used, for these have changed: '
                relay.note(text + ', '.join(changes))
            total = self._count(journal, relay)
            kept = journal.position.done
            if kept:
                relay.note(f'{kept} frames were restored by an earlier run')
            relay.total = total
            relay.progress('decode', kept, total)
            run = PiecewiseRestoration(
                self.work, self.reader, journal, relay, _finish
            )
            run.run(total)
            temporary = journal.folder / f'{_RESULT}{path.suffix}'
            notes = [
                *(n for record in journal.records for n in record.notes),
                *self.reader.notes,
                *relay.notes,
                *run.join(temporary),
            ]
            record = {
                'key': plain(self.key),
                'kept': kept,
                'output': {
                    'sha256': digest_of_content(temporary),
                    'frames': total,
                },
                'notes': list(dict.fromkeys(notes)),
            }
            # in this order: a result without its record is made again
            write_json(sidecar_path(path), record)
            move(temporary, path)
            journal.remove()
        return record

    def _count(self, journal: Journal, relay: EventRelay) -> int:
        """Count the frames that can be read; an image has room for one."""
        if journal.total is None:
            # decoded once without converting, to fail before the long work
            expected = self.reader.info.num_frames

            def tell(done: int) -> None:
                relay.progress('read', done, expected)

            tell(0)
            journal.set_total(self.reader.count(tell))
        assert journal.total is not None
        cuts = self.files.cuts
        if cuts not in ('auto', 'none') and self.files.frames is None:
            load_cuts(cuts).check(journal.total)
        if journal.total > 1 and self.plan.kind == 'image':
            raise VideoError(
                f'{self.plan.path}: an image cannot hold {journal.total} '
                'frames; choose a video or a folder'
            )
        return journal.total


def _plan(
    dst: str | os.PathLike, info: VideoInfo, scale: float, files: FileOptions
) -> ResultPlan:
    """Check all that can be checked of the output."""
    shortened = files.frames is not None and (
        info.num_frames is None or files.frames < info.num_frames
    )
    request = ResultRequest(
        codec=files.codec,
        crf=files.crf,
        pix_fmt=files.pix_fmt,
        overwrite=files.overwrite,
        trim_streams=shortened,
    )
    size = round(info.width * scale), round(info.height * scale)
    return plan_result(dst, size, info, request)


def _make_key(work: Work, src: Path, files: FileOptions) -> dict[str, Any]:
    """Collect what the result depends on."""
    cuts = str(work.cuts)
    if cuts not in ('auto', 'none'):
        load_cuts(cuts)  # a wrong line is named before anything is read
        cuts = digest_of_content(Path(cuts))
    return {
        'input': digest_of_content(src),
        'frames': files.frames,
        'allow_partial': files.allow_partial,
        'cuts': cuts,
        'output': [work.plan.kind, work.plan.path.suffix, files.codec],
        'crf': files.crf,
        'pix_fmt': files.pix_fmt,
        **describe_method(work.restorer, work.options),
    }


def _finish(
    image: np.ndarray, frame: Frame
) -> tuple[np.ndarray, np.ndarray | None]:
    """Return a restored frame's pixels and opacity, as the input's are."""
    if frame.gray:
        image = remove_colour(image)
    if frame.alpha is None:
        return image, None
    height, width = image.shape[:2]
    return image, enlarge(frame.alpha, (width, height))


@contextmanager
def _folder_for(dst: Path) -> Iterator[None]:
    """Make the folders that `dst` needs; remove them again on failure."""
    parents = [dst.absolute().parent, *dst.absolute().parent.parents]
    new = [folder for folder in parents if not folder.exists()]
    try:
        for folder in reversed(new):
            folder.mkdir()
        yield
    except BaseException:
        for folder in new:
            with suppress(OSError):  # gone, or no longer empty
                folder.rmdir()
        raise
