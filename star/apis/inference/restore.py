"""Restoring of a video file, from path to path."""

import os
import time
from dataclasses import dataclass

import torch

from star.apis.inference.file_options import FileOptions
from star.apis.inference.task import RestoreTask
from star.models.contracts import Events, Restorer
from star.models.restoration.options import RestoreOptions
from star.utils.files import made_folder
from star.utils.memory import peak_memory, reset_peak_memory
from star.video.io import VideoReader


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
        warnings: what a person should look at, a sentence each.
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
    warnings: tuple[str, ...] = ()


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
        task = RestoreTask(restorer, reader, options, files, dst)
        done = task.find_done()
        skipped = done is not None
        if done is None:
            with made_folder(task.plan.path.parent):
                task.plan.check()
                done = task.restore(events)
    seconds = time.perf_counter() - start
    frames, kept = done.frames, done.kept
    return RestoreReport(
        src=os.fspath(src),
        dst=os.fspath(dst),
        frames=frames,
        input_size=(reader.info.width, reader.info.height),
        output_size=task.plan.size,
        seconds=seconds,
        frames_per_second=(frames - kept) / seconds,
        peak_memory=peak_memory(device),
        notes=done.notes,
        kept=kept,
        skipped=skipped,
        warnings=done.warnings,
    )


def is_complete(
    restorer: Restorer,
    src: str | os.PathLike,
    dst: str | os.PathLike,
    options: RestoreOptions,
    files: FileOptions,
) -> bool:
    """Return whether `restore_video` would leave the result as it is."""
    with VideoReader(src, files.frames, files.allow_partial) as reader:
        task = RestoreTask(restorer, reader, options, files, dst)
        return task.find_done() is not None
