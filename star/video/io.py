"""Videos as files, read and written frame by frame."""

from star.video.info import Frame, VideoError, VideoInfo
from star.video.probing import list_images, probe
from star.video.reader import VideoReader, count_frames
from star.video.writer import VideoWriter

__all__ = [
    'Frame',
    'VideoError',
    'VideoInfo',
    'VideoReader',
    'VideoWriter',
    'count_frames',
    'list_images',
    'probe',
]
