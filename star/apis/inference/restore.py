"""Restoring of a video file, from path to path."""

import os
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path

import torch
from torch import Tensor

from star.models.contracts import Events, Restorer
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.utils.memory import peak_memory, reset_peak_memory
from star.video.formats import IMAGE_SUFFIXES
from star.video.info import VideoInfo
from star.video.io import VideoError, VideoReader, VideoWriter


@dataclass(frozen=True)
class FileOptions:
    """How files are read and written.

    Args:
        frames: how many frames to restore at most; None for all.
        codec: FFmpeg's name of the encoder.
        crf: constant rate factor, less is better.
        pix_fmt: FFmpeg's name of the pixel format; None takes yuv420p, or
            the encoder's first.
        overwrite: replace an existing file.
        allow_partial: restore the frames that a damaged file still has.
    """

    frames: int | None = None
    codec: str = 'libx264'
    crf: float = 17
    pix_fmt: str | None = None
    overwrite: bool = False
    allow_partial: bool = False


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
        frames_per_second: restored.
        peak_memory: bytes; see `star.utils.memory.peak_memory`.
        notes: changes and losses, a sentence each.
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
    video takes no more memory than a short one. When anything fails nothing
    is left at `dst`.

    Args:
        restorer: a STARModel or a baseline, from `init_model`.
        src: video, image, or folder of images.
        dst: video to write, or folder for images.
        options: of the restoration; None for the model's own.
        files: of reading and writing; None for H.264 and all frames.
        events: receives progress and notes; the report has the notes, too.

    Raises:
        VideoError: the input cannot be read or the output not written.
        ValueError: an option is wrong.
    """
    files = files or FileOptions()
    options = options or restorer.restore_options
    restorer.check_options(options)
    start = time.perf_counter()
    device = next(restorer.parameters(), torch.empty(0)).device
    reset_peak_memory(device)
    with VideoReader(src, files.frames, files.allow_partial) as reader:
        with _folder_for(Path(dst)):
            writer = _open_writer(dst, reader.info, options.scale, files)
            # decoded once without converting, to fail before the long work
            total = _count(reader, writer)
            relay = EventRelay(events, total)
            with writer:
                _restore(restorer, reader, writer, options, relay)
        seconds = time.perf_counter() - start
        return RestoreReport(
            src=os.fspath(src),
            dst=os.fspath(dst),
            frames=total,
            input_size=(reader.info.width, reader.info.height),
            output_size=writer.size,
            seconds=seconds,
            frames_per_second=total / seconds,
            peak_memory=peak_memory(device),
            notes=(*reader.notes, *relay.notes, *writer.notes),
        )


def _open_writer(
    dst: str | os.PathLike, info: VideoInfo, scale: float, files: FileOptions
) -> VideoWriter:
    """Check all that can be checked of the output."""
    shortened = files.frames is not None and (
        info.num_frames is None or files.frames < info.num_frames
    )
    return VideoWriter(
        dst,
        width=round(info.width * scale),
        height=round(info.height * scale),
        source=info,
        codec=files.codec,
        crf=files.crf,
        pix_fmt=files.pix_fmt,
        overwrite=files.overwrite,
        trim_streams=shortened,
    )


def _count(reader: VideoReader, writer: VideoWriter) -> int:
    """Count the frames that can be read; an image has room for one."""
    total = reader.count()
    if total > 1 and writer.path.suffix.lower() in IMAGE_SUFFIXES:
        raise VideoError(
            f'{writer.path}: an image cannot hold {total} frames; choose a '
            'video or a folder'
        )
    return total


def _restore(
    restorer: Restorer,
    reader: VideoReader,
    writer: VideoWriter,
    options: RestoreOptions,
    events: Events,
) -> None:
    """Restore and write all frames; each keeps its time."""
    times: deque[tuple[Fraction, Fraction]] = deque()

    def frames() -> Iterator[Tensor]:
        for frame in reader:
            times.append((frame.time, frame.duration))
            yield torch.from_numpy(frame.image).permute(2, 0, 1)

    for piece in restorer.restore_stream(frames(), options, events):
        for image in piece.cpu().permute(0, 2, 3, 1):
            writer.write(image.contiguous().numpy(), *times.popleft())
    assert not times, f'the model lost {len(times)} frames'


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
