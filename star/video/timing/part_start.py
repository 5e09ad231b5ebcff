"""`PartStart`: where decoding begins in a stream that was cut anywhere."""

from collections.abc import Iterator

import av

_STREAMS = ('mpegts', 'mpeg', 'h264', 'hevc', 'mpegvideo')
_CODECS = ('h264', 'hevc', 'mpeg1video', 'mpeg2video')
_MOST = 600  # packets without a key frame; such a stream has none


class PartStart:
    """Passes on a part's packets from its first key frame on.

    A broadcast may begin anywhere. The frames before the first key frame
    need others that the file does not hold; so do those that follow it, but
    are shown before it. A decoder may leave these out.

    Args:
        format_name: FFmpeg's name of the container.
        codec: FFmpeg's name of the codec.

    Attributes:
        skipped: packets before a key frame, which are not passed on.
    """

    def __init__(self, format_name: str, codec: str) -> None:
        self._applies = format_name in _STREAMS and codec in _CODECS
        self._found = not self._applies
        self._key: int | None = None
        self._held: list[av.Packet] = []
        self.skipped = 0

    def begin(self) -> None:
        """Begin a new part."""
        self._found, self._key = not self._applies, None

    def admit(self, packet: av.Packet) -> Iterator[av.Packet]:
        """Yield what is to be decoded now that a packet was read."""
        if not self._found and packet.is_keyframe:
            self._found, self._key = True, packet.pts
            self.skipped += len(self._held)
            self._held = []
        if self._found:
            yield packet
            return
        self._held.append(packet)
        if len(self._held) == _MOST:
            yield from self.rest()

    def rest(self) -> Iterator[av.Packet]:
        """Yield the packets of a part that has no key frame."""
        held, self._held, self._found = self._held, [], True
        yield from held

    def is_leading(self, item: av.Packet | av.VideoFrame) -> bool:
        """Return whether something is shown before the part's key frame."""
        key, shown = self._key, item.pts
        return key is not None and shown is not None and shown < key
