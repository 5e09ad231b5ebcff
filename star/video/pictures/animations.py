"""Files of animations: a GIF, APNG, WebP or AVIF with exact times."""

import io
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Protocol

import av
import cv2
import numpy as np

from star.video.colour.depth import set_depth
from star.video.decode import file_url

_CODECS = {'.gif': 'gif', '.apng': 'apng', '.webp': 'libwebp_anim'}
_CLOCKS = {'.gif': Fraction(1, 100), '.webp': Fraction(1, 1000)}
_OPTIONS = {'.webp': {'lossless': '1'}, '.gif': {'gifflags': '+offsetting'}}
_LOOPS = {'.gif': 'loop', '.apng': 'plays', '.webp': 'loop'}


class AnimationFile(Protocol):
    """Encodes frames, and writes the file when all are known."""

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None,
    ) -> None:
        """Encode a frame; arguments as of `VideoWriter.write`."""

    def finish(self) -> None:
        """Write the file."""


def open_animation(
    path: Path, time_base: Fraction, loops: int
) -> AnimationFile:
    """Choose the encoder of an animation by its suffix.

    Args:
        path: the file, written at the end.
        time_base: of an APNG, seconds; GIF counts in 1/100 s, WebP and AVIF
            in ms.
        loops: how often it is played, 0 for ever; an AVIF does not say.
    """
    if path.suffix.lower() == '.avif':
        return PillowAnimation(path)
    return FFmpegAnimation(path, time_base, loops)


class PillowAnimation(AnimationFile):
    """Writes an AVIF with Pillow, which keeps its opacity.

    Args:
        path: the file.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._frames: list[bytes] = []  # PNG
        self._times: list[int] = []  # ms
        self._end = 0

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None,
    ) -> None:
        """Keep a frame."""
        layers = image if alpha is None else np.dstack([image, alpha])
        order = [2, 1, 0, 3][: layers.shape[-1]]
        done, data = cv2.imencode('.png', set_depth(layers, 8)[..., order])
        assert done
        self._frames.append(data.tobytes())
        self._times.append(round(1000 * time))
        self._end = round(1000 * (time + duration))

    def finish(self) -> None:
        """Encode all frames and write the file."""
        from PIL import Image

        lengths = np.diff([*self._times, self._end]).tolist()
        images = [Image.open(io.BytesIO(data)) for data in self._frames]
        images[0].save(
            self._path,
            save_all=True,
            append_images=images[1:],
            duration=lengths,
            quality=95,
            subsampling='4:4:4',
        )


class FFmpegAnimation(AnimationFile):
    """Encodes frames with FFmpeg, and writes the file when all are known.

    The last frame's duration and the number of loops stand in the file's
    first bytes, so the encoded frames stay in memory until the end.

    Args:
        path: the file; its suffix chooses the format.
        time_base: of an APNG, seconds; GIF counts in 1/100 s, WebP in ms.
        loops: how often it is played, 0 for ever.
    """

    def __init__(self, path: Path, time_base: Fraction, loops: int) -> None:
        self._path, self._loops = path, loops
        suffix = path.suffix.lower()
        self._kind = '.apng' if suffix == '.png' else suffix
        self._base = _CLOCKS.get(self._kind, time_base)
        self._packets: list[av.Packet] = []
        self._output: av.container.OutputContainer | None = None
        self._last, self._end = -1, Fraction(0)

    def write(
        self,
        image: np.ndarray,
        time: Fraction,
        duration: Fraction,
        alpha: np.ndarray | None,
    ) -> None:
        """Encode a frame; arguments as of `VideoWriter.write`."""
        frame = self._frame(image, alpha)
        pts = max(round(time / self._base), self._last + 1)
        for ready in self._palettes(frame):
            if self._output is None:
                self._open(ready)
            ready.pts, ready.time_base = pts, self._base
            self._packets += self._stream.encode(ready)
        self._last, self._end = pts, time + duration

    def finish(self) -> None:
        """Write the file."""
        assert self._output is not None
        self._packets += self._stream.encode(None)
        ticks = max(round(self._end / self._base) - self._last, 1)
        options = {_LOOPS[self._kind]: str(self._loop_count())}
        if self._kind == '.gif':
            options['final_delay'] = str(ticks)
        elif self._kind == '.apng':
            last = (ticks * self._base).limit_denominator(65535)
            options['final_delay'] = f'{last.numerator}/{last.denominator}'
        self._output.container_options.update(options)
        for packet in self._packets:
            self._output.mux(packet)
        self._output.close()
        if self._kind == '.webp':
            _set_last_duration(self._path, ticks)

    def _loop_count(self) -> int:
        once = self._kind == '.gif' and self._loops == 1
        return -1 if once else self._loops

    def _frame(
        self, image: np.ndarray, alpha: np.ndarray | None
    ) -> av.VideoFrame:
        depth = 16 if self._kind == '.apng' and image.itemsize == 2 else 8
        layers = image if alpha is None else np.dstack([image, alpha])
        pixels = np.ascontiguousarray(set_depth(layers, depth))
        clear = alpha is not None
        if depth == 16:
            name = 'rgba64' if clear else 'rgb48'
            little = av.VideoFrame.from_ndarray(pixels, f'{name}le')
            return little.reformat(format=f'{name}be')
        frame = av.VideoFrame.from_ndarray(
            pixels, 'rgba' if clear else 'rgb24'
        )
        return (
            frame.reformat(format='bgra') if self._kind == '.webp' else frame
        )

    def _palettes(self, frame: av.VideoFrame) -> Iterator[av.VideoFrame]:
        """Give a GIF's frame a palette of its own."""
        if self._kind != '.gif':
            yield frame
            return
        graph = av.filter.Graph()
        source = graph.add_buffer(
            width=frame.width,
            height=frame.height,
            format=frame.format,
            time_base=Fraction(1, 100),
        )
        split = graph.add('split')
        colours = graph.add('palettegen', 'stats_mode=single')
        mapped = graph.add('paletteuse', 'dither=sierra2_4a')
        source.link_to(split)
        split.link_to(mapped, 0, 0)
        split.link_to(colours, 1, 0)
        colours.link_to(mapped, 0, 1)
        mapped.link_to(graph.add('buffersink'))
        graph.configure()
        frame.pts = 0
        graph.vpush(frame)
        graph.vpush(None)
        yield graph.vpull()

    def _open(self, frame: av.VideoFrame) -> None:
        self._output = av.open(
            file_url(self._path), 'w', format=self._kind[1:]
        )
        stream = self._output.add_stream(_CODECS[self._kind], rate=25)
        assert isinstance(stream, av.VideoStream)
        stream.width, stream.height = frame.width, frame.height
        stream.pix_fmt = frame.format.name
        stream.codec_context.options = dict(_OPTIONS.get(self._kind, {}))
        stream.codec_context.time_base = stream.time_base = self._base
        self._stream = stream


def _set_last_duration(path: Path, milliseconds: int) -> None:
    """Write the duration of a WebP's last frame (ANMF), which FFmpeg loses."""
    data = bytearray(path.read_bytes())
    place, last = 12, None
    while place + 8 <= len(data):
        if data[place : place + 4] == b'ANMF':
            last = place + 8
        size = int.from_bytes(data[place + 4 : place + 8], 'little')
        place += 8 + size + size % 2
    if last is not None:
        data[last + 12 : last + 15] = milliseconds.to_bytes(3, 'little')
        path.write_bytes(data)
