"""`SoundTrack`: encodes sound that a container cannot hold as it is."""

from fractions import Fraction

import av
import numpy as np

from star.video.streams.rules import FROM_ZERO, GAPLESS
from star.video.streams.tracks import Track

_UNREADABLE = (av.FFmpegError, ValueError)
_JUMP = Fraction(1, 50)  # seconds; smaller steps are rounded timestamps
_FRAME = 4096  # samples, for encoders without a size of their own
_DELAY = 1  # seconds that a decoder may hold back


class SoundTrack(Track):
    """Decodes sound and encodes it anew, every sample at its time.

    Gaps become silence and overlaps are cut, so that the sound stays with
    the picture. What lies outside of the result is cut off.

    Args:
        source: stream that packets come from.
        target: stream of the output, with its encoder.
        end: of the result, seconds; None for the end of the sound.
    """

    def __init__(
        self,
        source: av.AudioStream,
        target: av.AudioStream,
        end: Fraction | None = None,
    ) -> None:
        self._decoder, self._target = source.codec_context, target
        self._encoder = target.codec_context
        self._samples = _Samples(self._encoder, end)
        container = target.container.format.name
        self._from_zero = container in FROM_ZERO
        self._whole = container in GAPLESS
        self._resampler: av.AudioResampler | None = None
        self._kind: tuple[str, str, int] | None = None
        self._end: Fraction | None = None  # of the last frame, seconds
        self._damaged = 0
        self._shift = Fraction(0)

    @property
    def notes(self) -> list[str]:
        """Return a sentence about damage, if there was any."""
        count = self._damaged
        name = f'audio stream {self._target.index}'
        return [f'{name} is silent in {count} damaged packets'] * bool(count)

    def feed(self, packet: av.Packet, shift: Fraction) -> list[av.Packet]:
        """Decode a packet and return what the encoder has ready."""
        self._shift = shift
        self._decode(packet)
        return self._encode(last=False)

    def due(self, time: Fraction) -> list[av.Packet]:
        """Return silence up to a time, where the container needs it."""
        late = self._whole and (self._end or 0) + _DELAY < time
        if late:
            self._fill(time - _DELAY)
        return self._encode(last=False) if late else []

    def finish(self, end: Fraction, trim: bool) -> list[av.Packet]:
        """Return the last packets."""
        self._decode(None)
        self._drain()
        if self._whole and (self._end or 0) < end:
            self._fill(end)
        packets = self._encode(last=True)
        packets += self._own(self._encoder.encode(None))
        if trim:  # an encoder pads its last frame
            packets = [p for p in packets if (p.pts or 0) * p.time_base < end]
        return packets

    def _decode(self, packet: av.Packet | None) -> None:
        """Append a packet's frames; None for those that are held back."""
        try:
            frames = self._decoder.decode(packet)
        except _UNREADABLE:
            self._damaged += packet is not None
            return
        for frame in frames:
            self._place(frame, self._shift)

    def _place(self, frame: av.AudioFrame, shift: Fraction) -> None:
        """Append a frame at its time."""
        time = self._end or Fraction(0)
        if frame.pts is not None and frame.time_base:
            time = frame.pts * frame.time_base - shift
        jumps = self._end is None or abs(time - self._end) > _JUMP
        kind = frame.format.name, frame.layout.name, frame.sample_rate
        if jumps or kind != self._kind:
            self._drain()
            if self._end is None and self._from_zero:
                self._samples.go_to(Fraction(0))
            self._samples.go_to(time)
            self._kind = kind
            self._resampler = av.AudioResampler(
                self._samples.format,
                self._encoder.layout,
                self._encoder.sample_rate,
            )
        elif self._end is not None:
            time = self._end
        self._end = time + Fraction(frame.samples, frame.sample_rate)
        frame.pts = None
        assert self._resampler is not None
        for piece in self._resampler.resample(frame):
            self._samples.add(piece)

    def _fill(self, time: Fraction) -> None:
        """Append silence up to a time."""
        self._drain()
        if self._end is None:
            self._samples.go_to(Fraction(0))
        self._samples.go_to(time)
        self._end = time

    def _drain(self) -> None:
        """Append what the resampler holds back."""
        if self._resampler is not None:
            for piece in self._resampler.resample(None):
                self._samples.add(piece)
            self._resampler = None

    def _encode(self, last: bool) -> list[av.Packet]:
        packets = []
        for frame in self._samples.take(last):
            packets += self._own(self._encoder.encode(frame))
        return packets

    def _own(self, packets: list[av.Packet]) -> list[av.Packet]:
        for packet in packets:
            packet.stream = self._target
        return packets


class _Samples:
    """Samples that wait for the encoder, without gaps.

    They are held channel by channel within a sample: PyAV reads beyond the
    planes of a frame with eight channels.

    Args:
        encoder: not necessarily open.
        end: seconds; what is behind it is cut off. None for no end.
    """

    def __init__(
        self, encoder: av.AudioCodecContext, end: Fraction | None
    ) -> None:
        self._encoder, self._rate = encoder, encoder.sample_rate
        self.format = encoder.format.packed
        self._width = encoder.layout.nb_channels  # values of one sample
        self._to_encoder = av.AudioResampler(
            encoder.format, encoder.layout, self._rate
        )
        silence = av.AudioFrame(self.format, encoder.layout, 1)
        self._held: list[np.ndarray] = [silence.to_ndarray()[:, :0]]
        self._count = 0  # held samples
        self._position: int | None = None  # of the first held sample
        self._skip = 0  # samples to leave out
        self._limit = None if end is None else round(end * self._rate)

    def go_to(self, time: Fraction) -> None:
        """Go on at another time: fill with silence, or skip what is early."""
        wanted = round(time * self._rate)
        if self._position is None:
            self._position = max(wanted, 0)
        gap = wanted - self._position - self._count
        self._skip = max(-gap, 0)
        while gap > 0:
            part = min(gap, _FRAME)
            shape = 1, part * self._width
            self._append(np.zeros(shape, self._held[0].dtype))
            gap -= part

    def add(self, frame: av.AudioFrame) -> None:
        """Append the samples of a frame of the right format."""
        skipped = min(self._skip, frame.samples)
        self._skip -= skipped
        self._append(frame.to_ndarray()[:, skipped * self._width :])

    def take(self, last: bool) -> list[av.AudioFrame]:
        """Return full frames for the encoder, or the rest as well."""
        size = self._encoder.frame_size or _FRAME
        if self._count < size and not (last and self._count):
            return []
        data = np.concatenate(self._held, axis=1)
        frames = []
        while self._count >= size or (last and self._count):
            part = data[:, : size * self._width]
            data = data[:, size * self._width :]
            frames += self._to_encoder.resample(self._frame(part))
        self._held = [data]
        return frames

    def _append(self, data: np.ndarray) -> None:
        assert self._position is not None
        count = data.shape[1] // self._width
        if self._limit is not None:
            room = self._limit - self._position - self._count
            count = max(min(count, room), 0)
        self._held.append(data[:, : count * self._width])
        self._count += count

    def _frame(self, data: np.ndarray) -> av.AudioFrame:
        assert self._position is not None
        frame = av.AudioFrame.from_ndarray(
            np.ascontiguousarray(data), self.format.name, self._encoder.layout
        )
        frame.sample_rate = self._rate
        frame.pts, frame.time_base = self._position, Fraction(1, self._rate)
        self._position += frame.samples
        self._count -= frame.samples
        return frame
