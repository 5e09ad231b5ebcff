"""`FileOptions`: options of reading and writing files, and of memory."""

from dataclasses import dataclass
from datetime import datetime
from pathlib import Path


@dataclass(frozen=True)
class MemoryRules:
    """Limits within which windows and tiles are chosen.

    Args:
        limit: bytes that the process, or on a GPU the networks, may take;
            None for what is free.
        fixed: names of options that stay as they are.
        share: processes that share what is free.
    """

    limit: int | None = None
    fixed: tuple[str, ...] = ()
    share: int = 1


@dataclass(frozen=True)
class FileOptions:
    """Options by which files are read and written.

    Args:
        frames: how many frames to restore at most; None for all.
        codec: FFmpeg's name of the encoder; None chooses by source and
            suffix.
        crf: constant rate factor, less is better.
        pix_fmt: FFmpeg's name of the pixel format; 'auto' chooses.
        overwrite: replace an existing file.
        allow_partial: restore the frames that a damaged file still has.
        cuts: 'auto' finds hard cuts, 'none' treats the clip as one scene; any
            other is a file of cuts, see `split_scenes`.
        strict_streams: refuse to lose sound, subtitles, other streams,
            chapters or metadata.
        until: when to stop and keep what is done; None for never.
        mark: name program and method in the metadata of a video.
        memory: by which smaller pieces may be chosen where memory runs out;
            None for not at all.
    """

    frames: int | None = None
    codec: str | None = None
    crf: float = 17
    pix_fmt: str = 'auto'
    overwrite: bool = False
    allow_partial: bool = False
    cuts: str | Path = 'auto'
    strict_streams: bool = False
    until: datetime | None = None
    mark: bool = True
    memory: MemoryRules | None = None
