"""Small clips to restore, and a stand-in for a model."""

from collections.abc import Iterable, Iterator
from dataclasses import fields
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from star.models.contracts import Events
from star.models.editors import Bicubic
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from star.video.io import VideoReader, VideoWriter


class Enlarger(nn.Module):
    """Enlarges every frame, and gives pieces of a few frames, as a model."""

    options_used = frozenset(field.name for field in fields(RestoreOptions))

    def __init__(self, piece: int = 3, fail_after: int | None = None) -> None:
        super().__init__()
        self.restore_options = RestoreOptions(scale=4)
        self.piece = piece
        self.fail_after = fail_after

    def check_options(self, options: RestoreOptions) -> None:
        pass

    def overlap_for(self, window: int) -> int:
        return min(self.restore_options.overlap, window // 2)

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Iterator[Tensor]:
        options = options or self.restore_options
        waiting = []
        for i, frame in enumerate(frames):
            if i == self.fail_after:
                raise ValueError('the model gave up')
            waiting.append(self.enlarge(frame, options.scale))
            if len(waiting) == self.piece:
                yield torch.stack(waiting)
                waiting = []
        if waiting:
            yield torch.stack(waiting)

    def enlarge(self, frame: Tensor, scale: float) -> Tensor:
        height, width = (round(side * scale) for side in frame.shape[-2:])
        return F.interpolate(frame[None], (height, width), mode='nearest')[0]


@MODELS.register_module()
class Tidied(Bicubic):
    """Has an argument that is neither an option nor a tensor."""

    def __init__(self, clean_threshold: float = 0) -> None:
        super().__init__(2)
        self.clean_threshold = clean_threshold


def times(count: int) -> list[Fraction]:
    """Times of a variable frame rate: 25 then 10 frames a second."""
    steps = [Fraction(1, 25), Fraction(1, 10)]
    result = [Fraction(0)]
    while len(result) < count:
        result.append(result[-1] + steps[len(result) % 2])
    return result[:count]


def write_clip(
    path: Path, count: int = 5, size: tuple[int, int] = (32, 24)
) -> Path:
    """Write frames whose grey rises by 20, at `times`, without loss."""
    codec = {'codec': 'ffv1', 'pix_fmt': 'bgr0'}
    options = codec if path.suffix == '.mkv' else {}
    with VideoWriter(path, *size, **options) as writer:
        for i, time in enumerate(times(count)):
            image = np.full((size[1], size[0], 3), 20 * i % 256, np.uint8)
            image[: size[1] // 2, :, 0] = 200
            writer.write(image, time, Fraction(1, 25))
    return path


def add_tone(video: Path, path: Path) -> Path:
    """Copy a video and give it one second of sound."""
    with av.open(video) as source, av.open(path, 'w') as output:
        stream = source.streams.video[0]
        copy = output.add_stream_from_template(stream)
        sound = output.add_stream('aac', rate=16000, layout='mono')
        for packet in source.demux(stream):
            if packet.dts is not None:
                packet.stream = copy
                output.mux(packet)
        tone = np.sin(np.arange(16000, dtype=np.float32) / 6)[None]
        frame = av.AudioFrame.from_ndarray(tone, 'fltp', 'mono')
        frame.sample_rate = 16000
        output.mux(sound.encode(frame))
        output.mux(sound.encode(None))
    return path


def read_clip(path: Path) -> tuple[np.ndarray, list[Fraction]]:
    """Read all frames (T, H, W, 3) and their times."""
    with VideoReader(path) as reader:
        frames = list(reader)
    return np.stack([f.image for f in frames]), [f.time for f in frames]


def audio_packets(path: Path) -> list[bytes]:
    with av.open(path) as container:
        packets = container.demux(audio=0)
        return [bytes(packet) for packet in packets if packet.size]
