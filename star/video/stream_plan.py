"""`plan_streams`: decides what becomes of each stream beside the picture."""

import io
from contextlib import closing, suppress
from dataclasses import dataclass

import av

from star.video.decode import open_input, pick_stream
from star.video.info import VideoInfo, explain

_REFUSED = (av.FFmpegError, OSError, ValueError)
_COPIED = ('audio', 'subtitle', 'attachment')


@dataclass(frozen=True)
class Route:
    """Where one stream of the source goes.

    Args:
        index: of the stream in the source.
        encoder: FFmpeg's name of the encoder; '' to copy it unchanged.
    """

    index: int
    encoder: str = ''


@dataclass(frozen=True)
class StreamPlan:
    """What becomes of the streams beside the picture.

    Args:
        routes: of the streams that are kept.
        notes: what is changed, one sentence each.
        losses: what is not kept and what to choose instead, one each.
    """

    routes: tuple[Route, ...] = ()
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()


def plan_streams(source: VideoInfo, suffix: str) -> StreamPlan:
    """Decide what becomes of a source's streams in a container.

    Args:
        source: the video, image or folder; only a video has streams.
        suffix: of the result, such as '.mp4'.

    Raises:
        VideoError: the source cannot be opened.
    """
    if source.kind != 'video':
        return StreamPlan()
    routes, losses = [], []
    with closing(open_input(source.path)) as container:
        shown = pick_stream(container, source.path).index
        for stream in container.streams:
            if stream.index == shown or stream.type == 'video':
                continue
            reason = _refusal(suffix, stream)
            if reason:
                name = f'{stream.type} stream {stream.index}'
                losses.append(f'{name} is not kept ({reason})')
            else:
                routes.append(Route(stream.index))
    return StreamPlan(tuple(routes), losses=tuple(losses))


def _refusal(suffix: str, stream: av.stream.Stream) -> str:
    """Return why a container cannot hold a stream, or ''."""
    if stream.type not in _COPIED:
        return 'data streams are not copied'
    if stream.type != 'attachment' and stream.codec_context is None:
        return 'its codec is unknown'
    file = io.BytesIO()
    file.name = f'x{suffix}'
    trial = av.open(file, 'w')
    try:
        trial.add_stream_from_template(stream)
        trial.start_encoding()
    except _REFUSED as error:
        return explain(error)
    finally:
        with suppress(*_REFUSED):  # nothing was written, nothing is lost
            trial.close()
    return ''
