"""`plan_streams`: decides what becomes of each stream beside the picture."""

from contextlib import closing
from dataclasses import dataclass
from fractions import Fraction
from functools import partial

import av

from star.video.decode import open_input, pick_stream
from star.video.info import VideoInfo
from star.video.streams import rules as rules
from star.video.streams.labels import label_losses
from star.video.streams.targets import add_cover, add_target, sound_shape
from star.video.streams.trial import Trial, first_packets

ATTACHED = 'attachment'  # a cover that Matroska holds as a file
_BEST = '.mkv'
_LATE = Fraction(1, 200)  # seconds
_WITH_PICTURE = ('avi', 'mxf')  # containers that begin with the picture
_NOWHERE = 'no other container can hold it'


@dataclass(frozen=True)
class Route:
    """The way of one stream of the source into the result.

    Args:
        index: of the stream in the source.
        encoder: FFmpeg's name of the encoder; '' to copy it unchanged,
            `ATTACHED` for a cover that becomes an attached file.
    """

    index: int
    encoder: str = ''


@dataclass(frozen=True)
class StreamPlan:
    """Fate of the streams beside the picture.

    Args:
        routes: of the streams that are kept.
        notes: what is changed, one sentence each.
        losses: what is not kept and what to choose instead, one each.
        cut: seconds before the first picture, which AVI and MXF cannot hold.
    """

    routes: tuple[Route, ...] = ()
    notes: tuple[str, ...] = ()
    losses: tuple[str, ...] = ()
    cut: Fraction = Fraction(0)


def plan_streams(source: VideoInfo, suffix: str) -> StreamPlan:
    """Decide what becomes of a source's streams in a container.

    A stream is copied where the container holds it and players read it,
    else encoded anew, else lost.

    Args:
        source: the video, image or folder; only a video has streams.
        suffix: of the result, such as '.mp4'.

    Raises:
        VideoError: the source cannot be opened.
    """
    if source.kind != 'video':
        return StreamPlan()
    with closing(open_input(source.path)) as container:
        shown = pick_stream(container, source.path)
        others = [
            s
            for s in container.streams
            if s.index != shown.index and not _is_made_anew(s)
        ]
        return _Planner(container, source.start, suffix).plan(shown, others)


class _Planner:
    """Plans the streams of an open file."""

    def __init__(
        self,
        source: av.container.InputContainer,
        start: Fraction,
        suffix: str,
    ) -> None:
        self._source, self._start, self._suffix = source, start, suffix
        self._own = f'.{source.name.rpartition(".")[2].lower()}'
        self._trial = Trial(suffix)
        self._first = first_packets(source)
        self._notes: list[str] = []
        self._losses: list[str] = []

    def plan(
        self, shown: av.stream.Stream, others: list[av.stream.Stream]
    ) -> StreamPlan:
        lead = self._begin(shown)
        cut = Fraction(0)
        bound = self._trial.name in _WITH_PICTURE
        if bound and lead > _LATE and self._has_sound:
            cut = lead
            self._start += cut
            what = f'{float(cut):.3g} s of sound before the first picture'
            self._lose(what, f'choose {_BEST}')
        routes = []
        for stream in others:
            encoder = self._encoder(stream)
            if encoder is not None:
                routes.append(Route(stream.index, encoder))
        kept = [shown, *(self._source.streams[r.index] for r in routes)]
        for lost in label_losses(self._source, kept, self._trial):
            best = self._trial.name == 'matroska'
            self._lose(lost, _NOWHERE if best else f'choose {_BEST}')
        return StreamPlan(
            tuple(routes), tuple(self._notes), tuple(self._losses), cut
        )

    @property
    def _has_sound(self) -> bool:
        return bool(self._source.streams.audio)

    def _begin(self, stream: av.stream.Stream) -> Fraction:
        """Return when a stream begins, in seconds of the result."""
        if stream.start_time is None or not stream.time_base:
            return Fraction(0)
        return stream.start_time * stream.time_base - self._start

    def _encoder(self, stream: av.stream.Stream) -> str | None:
        """Return a stream's encoder, '' to copy it, None for a loss."""
        found = self._find(self._trial, stream)
        name = _describe(stream)
        if found is None:
            self._lose(name, self._advice(stream))
        elif found not in ('', ATTACHED):
            changes = _sound_changes(stream, found)
            keeps = self._find(Trial(_BEST), stream) == ''
            advice = f'; {_BEST} keeps it unchanged' if keeps else ''
            new = av.Codec(found, 'w').canonical_name
            if (new, changes) != (rules.canonical(stream), ''):
                self._notes.append(
                    f'{name} is encoded as {new}{changes}: '
                    f'it does not play in {self._suffix}{advice}'
                )
        return found

    def _lose(self, what: str, advice: str) -> None:
        self._losses.append(f'lost in {self._suffix}: {what}; {advice}')

    def _advice(self, stream: av.stream.Stream) -> str:
        for suffix in (_BEST, self._own):
            if self._find(Trial(suffix), stream) is not None:
                return f'choose {suffix}'
        return _NOWHERE

    def _find(self, trial: Trial, stream: av.stream.Stream) -> str | None:
        """Return what brings a stream into a container, None for nothing."""
        if rules.is_cover(stream) and trial.name == 'matroska':
            refused = trial.refusal(partial(add_cover, stream, b' '))
            return None if refused else ATTACHED
        codec = stream.codec_context
        if codec is None and stream.type in ('video', 'audio', 'subtitle'):
            return None
        ways = rules.encoders(trial.name, stream)
        same, late = self._own == trial.suffix, abs(self._begin(stream))
        if rules.plays(trial.name, stream, same, late > _LATE):
            ways = ('', *ways)
        for encoder in ways:
            packets = () if encoder else self._first.get(stream.index, ())
            if not trial.refusal(
                partial(add_target, stream, encoder), packets
            ):
                return encoder
        return None


def _is_made_anew(stream: av.stream.Stream) -> bool:
    """Return whether FFmpeg makes a stream from metadata or chapters."""
    if stream.type != 'data':
        return False
    chapters = stream.discard == av.stream.Discard.all
    return chapters or 'timecode' in stream.metadata


def _describe(stream: av.stream.Stream) -> str:
    kind = 'cover' if rules.is_cover(stream) else f'{stream.type} stream'
    codec = rules.canonical(stream) or 'unknown codec'
    if stream.type == 'attachment':
        codec = stream.name or 'no name'
    return f'{kind} {stream.index} ({codec})'


def _sound_changes(stream: av.stream.Stream, encoder: str) -> str:
    if not isinstance(stream, av.AudioStream):
        return ''
    rate, layout = sound_shape(stream, encoder)
    before, after = stream.codec_context, av.AudioLayout(layout)
    changes = ''
    if rate != before.sample_rate:
        changes += f', {before.sample_rate} Hz become {rate} Hz'
    if after.nb_channels != before.layout.nb_channels:
        changes += (
            f', {before.layout.nb_channels} channels become '
            f'{after.nb_channels}'
        )
    return changes
