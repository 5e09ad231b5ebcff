"""`HiddenSound`: leaves out the sound that an edit list hides."""

from collections import defaultdict

import av

_PRIMING = 2  # packets by which an encoder is ahead of the first sound
_MEMORYLESS = ('pcm', 'flac', 'alac')  # packets that need none before them


class HiddenSound:
    """Passes on the packets that are heard when sound is copied.

    FFmpeg marks those that a MOV's or MP4's edit list hides. The few by which
    an encoder is ahead stay, as its decoder needs them. Of more, the last
    one stays if the result can hide it as well.

    Args:
        can_hide: whether the result has an edit list.
    """

    def __init__(self, can_hide: bool) -> None:
        self._can_hide = can_hide
        self._held: dict[int, list[av.Packet]] = defaultdict(list)
        self._begun: set[int] = set()

    def admit(self, packet: av.Packet) -> list[av.Packet]:
        """Return the packets to copy now that one was read."""
        index = packet.stream_index
        if packet.stream.type != 'audio':
            return [packet]
        if packet.is_discard:
            self._held[index].append(packet)
            return []
        held = self._held.pop(index, [])
        if index in self._begun:
            return [packet]
        self._begun.add(index)
        return [*self._before(packet, held), packet]

    def _before(
        self, first: av.Packet, held: list[av.Packet]
    ) -> list[av.Packet]:
        if len(held) <= _PRIMING:
            return held
        context = first.stream.codec_context
        alone = context is None or context.name.startswith(_MEMORYLESS)
        return held[-1:] if self._can_hide and not alone else []
