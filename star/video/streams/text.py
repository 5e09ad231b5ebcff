"""`TextTrack`: subtitles that are text, copied or encoded anew."""

from bisect import insort
from dataclasses import dataclass, field, replace
from fractions import Fraction
from itertools import pairwise

import av
from av.subtitles.stream import SubtitleStream
from av.subtitles.subtitle import AssSubtitle, SubtitleSet

from star.video.streams.tracks import AHEAD, Track

_UNREADABLE = (av.FFmpegError, ValueError)
_SHORTEST = Fraction(1)  # of one without an end behind the picture's, seconds
_FIELDS = 8  # of an ASS event, before its text
_NOTHING = bytes(2)  # in MP4, between two subtitles


@dataclass(frozen=True, order=True)
class _Cue:
    """A subtitle.

    Args:
        begin: seconds.
        number: of the subtitle in the file.
        end: seconds; None if the file does not say.
        packet: to copy; None to encode.
        event: ASS event to encode.
    """

    begin: Fraction
    number: int
    end: Fraction | None = field(compare=False)
    packet: av.Packet | None = field(compare=False, default=None)
    event: bytes = field(compare=False, default=b'')


class TextTrack(Track):
    """Brings subtitles into order, gives each an end, and encodes them.

    One without an end lasts until the next one begins, or the picture ends.
    MP4 shows one subtitle at a time: where some overlap, their texts are
    joined for as long as they do.

    Args:
        source: stream that packets come from.
        target: stream of the output.
        encoded: decode the text and encode it anew.
        end: of the result, seconds; None for the end of the subtitles.
    """

    def __init__(
        self,
        source: SubtitleStream,
        target: SubtitleStream,
        encoded: bool,
        end: Fraction | None = None,
    ) -> None:
        self._decoder, self._target = source.codec_context, target
        self._encoded, self._limit = encoded, end
        self._alone = encoded and target.codec_context.name == 'mov_text'
        self._cues: list[_Cue] = []
        self._count = self._faults = 0
        self._last = Fraction(0)  # begin of the last one that is out

    @property
    def notes(self) -> list[str]:
        """Return a sentence about damage, if there was any."""
        name, count = f'subtitle stream {self._target.index}', self._faults
        return [f'{name}: {count} subtitles are damaged'] * bool(count)

    def feed(self, packet: av.Packet, shift: Fraction) -> list[av.Packet]:
        """Hold a subtitle back until `due` or `finish`."""
        stamp = packet.pts if packet.pts is not None else packet.dts
        if stamp is None or packet.stream_index < 0:
            self._faults += 1
            return []
        begin, end = stamp * packet.time_base - shift, None
        if packet.duration and packet.duration > 0:
            end = begin + packet.duration * packet.time_base
            if self._limit is not None:
                end = min(end, self._limit)
        begin = max(begin, self._last)
        event = self._event(packet) if self._encoded else b''
        empty = not event if self._encoded else bytes(packet) == _NOTHING
        if not empty and (end is None or end > begin):
            kept = None if self._encoded else packet
            insort(self._cues, _Cue(begin, self._count, end, kept, event))
            self._count += 1
        return []

    def due(self, time: Fraction) -> list[av.Packet]:
        """Return the subtitles that begin up to a time.

        All that begin within `AHEAD` seconds behind it are known already.
        """
        if not self._cues or self._cues[0].begin > time:
            return []
        return self._emit(time, time + AHEAD)

    def finish(self, end: Fraction, trim: bool) -> list[av.Packet]:
        """Return all that are left."""
        self._close(end)
        if trim:
            self._cues = [
                replace(c, end=min(c.end or end, end))
                for c in self._cues
                if c.begin < end
            ]
        latest = max((c.end or c.begin for c in self._cues), default=end)
        return self._emit(latest, latest)

    def _event(self, packet: av.Packet) -> bytes:
        """Decode a subtitle to an ASS event, b'' for an empty one."""
        try:
            subtitles = self._decoder.decode2(packet)
        except _UNREADABLE:
            self._faults += 1
            return b''
        found = [r for r in subtitles or () if isinstance(r, AssSubtitle)]
        events = [r.ass for r in found if r.ass]
        return _join(events)

    def _close(self, end: Fraction | None) -> None:
        """Give those without an end one: the next begin, or the given end."""
        following, after = end, None
        for i, cue in reversed(list(enumerate(self._cues))):
            if after is not None and after > cue.begin:
                following = after
            after = cue.begin
            if cue.end is None and following is not None:
                shown = following > cue.begin
                until = following if shown else cue.begin + _SHORTEST
                self._cues[i] = replace(cue, end=until)

    def _emit(self, time: Fraction, known: Fraction) -> list[av.Packet]:
        """Return the packets that begin up to a time.

        Args:
            time: seconds.
            known: seconds; no subtitle will be fed that begins before.
        """
        self._close(None)
        if self._alone:
            ready, self._cues = _one_at_a_time(self._cues, time, known)
        else:
            cues, ready, self._cues = self._cues, [], []
            for cue in cues:
                due = cue.begin <= time and cue.end is not None
                (ready if due else self._cues).append(cue)
        return [packet for cue in ready for packet in self._packet(cue)]

    def _packet(self, cue: _Cue) -> list[av.Packet]:
        assert cue.end is not None
        packet, base = cue.packet, Fraction(1, 1000)
        if packet is not None:
            base = packet.time_base
        else:
            try:
                text = SubtitleSet.create(cue.event, 0, 0)
                packet = self._target.codec_context.encode_subtitle(text)
            except _UNREADABLE:
                self._faults += 1
                return []
        packet.stream, packet.time_base = self._target, base
        packet.pts = packet.dts = round(cue.begin / base)
        packet.duration = max(round(cue.end / base) - packet.pts, 1)
        self._last = cue.begin
        return [packet]


def _one_at_a_time(
    cues: list[_Cue], time: Fraction, known: Fraction
) -> tuple[list[_Cue], list[_Cue]]:
    """Split subtitles where others begin and end, and join what overlaps.

    Returns:
        Those that begin up to `time` and are known to their end, and what is
        left of the others.
    """
    stops = {t for c in cues for t in (c.begin, c.end) if t is not None}
    ready, done = [], None
    for begin, end in pairwise(sorted(s for s in stops if s <= known)):
        if begin > time:
            break
        shown = [
            c
            for c in cues
            if c.begin <= begin and (c.end is None or c.end >= end)
        ]
        done = end
        if shown:
            event = _join([c.event for c in shown])
            ready.append(replace(shown[0], begin=begin, end=end, event=event))
    if done is None:
        return [], cues
    rest = [c for c in cues if c.end is None or c.end > done]
    return ready, [replace(c, begin=max(c.begin, done)) for c in rest]


def _join(events: list[bytes]) -> bytes:
    """Join the texts of ASS events, each on lines of its own."""
    texts = [event.split(b',', _FIELDS)[-1] for event in events]
    if not any(texts):
        return b''
    head = events[0].split(b',', _FIELDS)[:-1]
    return b','.join([*head, rb'\N'.join(text for text in texts if text)])
