"""`Light`: what an HDR file says about its master, and what gets lost."""

import struct
from collections.abc import Iterable
from dataclasses import dataclass

import av
from av.sidedata.sidedata import SideData

_RATIONALS = struct.Struct('=20i2i')  # AVMasteringDisplayMetadata
_LEVELS = struct.Struct('=2I')  # AVContentLightMetadata
_LOST = {  # by FFmpeg's name of the data
    'DOVI_RPU_BUFFER': 'Dolby Vision',
    'DOVI_METADATA': 'Dolby Vision',
    'DYNAMIC_HDR_PLUS': 'HDR10+',
    'DYNAMIC_HDR_VIVID': 'HDR Vivid',
}


@dataclass(frozen=True)
class Light:
    """Facts about the light of an HDR master.

    Args:
        display: the mastering display: x and y of red, green, blue and white,
            then least and most cd/m2; None if unknown.
        levels: cd/m2 of the brightest pixel and of the brightest frame's
            average; None if unknown.
        lost: names of metadata for each frame, which nothing here writes.
    """

    display: tuple[float, ...] | None = None
    levels: tuple[int, int] | None = None
    lost: tuple[str, ...] = ()

    def options_for(self, codec: str) -> list[str]:
        """Return the parameters by which x265 or SVT-AV1 keep the facts."""
        if codec == 'libx265':
            names, chroma, scale = ('master-display', 'max-cll'), 50000, 10000
        elif codec == 'libsvtav1':
            names, chroma, scale = ('mastering-display', 'content-light'), 1, 1
        else:
            return []
        found = []
        if self.display is not None:
            xy = [_number(value * chroma) for value in self.display[:8]]
            low, high = (_number(value * scale) for value in self.display[8:])
            red, green, blue, white = (
                f'({xy[i]},{xy[i + 1]})' for i in range(0, 8, 2)
            )
            text = f'G{green}B{blue}R{red}WP{white}L({high},{low})'
            found.append(f'{names[0]}={text}')
        if self.levels is not None:
            found.append('{}={},{}'.format(names[1], *self.levels))
        return found

    def losses(self, codec: str) -> list[str]:
        """List what an encoder does not keep, a sentence each."""
        lost = [
            f'{name} metadata is not kept, the HDR below it is'
            for name in self.lost
        ]
        known = self.display is not None or self.levels is not None
        if known and not self.options_for(codec):
            lost.append(
                f'{codec} does not keep the mastering display and the light '
                'levels of HDR; --codec libx265 does'
            )
        return lost


def read_light(frame: av.VideoFrame) -> Light:
    """Read the facts of a decoded frame, none of a picture's."""
    if frame.opaque is not None:  # see `pixels.display_matrix`
        return Light()
    try:
        data: list[SideData] = list(frame.side_data)  # type: ignore[arg-type]
    except ValueError:  # a kind that PyAV does not know
        return Light()
    return parse_light((item.type.name, bytes(item)) for item in data)


def parse_light(data: Iterable[tuple[str, bytes]]) -> Light:
    """Parse a frame's side data: FFmpeg's name and the bytes of each."""
    display, levels = None, None
    lost: dict[str, None] = {}
    for name, content in data:
        if name == 'MASTERING_DISPLAY_METADATA':
            display = _parse_display(content)
        elif name == 'CONTENT_LIGHT_LEVEL':
            most, average = _LEVELS.unpack_from(content)
            levels = (most, average) if most or average else None
        elif name in _LOST:
            lost[_LOST[name]] = None
    return Light(display, levels, tuple(lost))


def _parse_display(content: bytes) -> tuple[float, ...] | None:
    *numbers, has_primaries, has_luminance = _RATIONALS.unpack_from(content)
    if not (has_primaries and has_luminance):
        return None
    pairs = zip(numbers[::2], numbers[1::2], strict=True)
    return tuple(above / (below or 1) for above, below in pairs)


def _number(value: float) -> str:
    """Write a number with at most four decimals."""
    return f'{value:.4f}'.rstrip('0').rstrip('.')
