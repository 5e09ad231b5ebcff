"""`restore_frames`: restores frames in memory as those of a file."""

from collections import deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

import numpy as np
import torch
from torch import Tensor

from star.apis.inference.file_options import MemoryRules
from star.apis.inference.out_of_memory import (
    drop_memory,
    is_out_of_memory,
    next_smaller,
    watch_memory,
)
from star.apis.inference.planning import describe_cuts
from star.apis.inference.task import finish_frame
from star.models.contracts import Events, Restorer
from star.models.restoration.events import EventRelay
from star.models.restoration.options import RestoreOptions
from star.utils.text import one_line
from star.video.colour.depth import set_depth
from star.video.cuts import split_scenes
from star.video.info import Frame


@dataclass(frozen=True)
class RestoredFrame:
    """A restored frame.

    Args:
        index: of the frame within the clip.
        image: pixels, (H, W, 3) of the type of the input's.
        alpha: opacity, (H, W); None for opaque.
    """

    index: int
    image: np.ndarray
    alpha: np.ndarray | None


def restore_frames(
    restorer: Restorer,
    frames: Sequence[Frame],
    options: RestoreOptions,
    cuts: str = 'auto',
    rules: MemoryRules | None = None,
    events: Events | None = None,
) -> Iterator[RestoredFrame]:
    """Restore a clip scene by scene, as `restore_video` does with a file.

    Where memory runs out, the scene begins again in smaller pieces, and its
    frames are yielded again.

    Args:
        restorer: with its weights, on its device.
        frames: of one clip, of one size and type; at least one.
        options: of the restoration.
        cuts: 'auto' finds hard cuts; 'none' makes one scene.
        rules: by which smaller pieces may be chosen where memory runs out;
            None for not at all.
        events: receives progress and notes.

    Raises:
        ValueError: an option or a frame's shape is wrong.
    """
    relay = EventRelay(watch_memory(restorer, rules, events), len(frames))
    deep = frames[0].image.dtype == np.uint16
    if deep and not getattr(restorer, 'takes_16_bit', False):
        name = type(restorer).__name__
        relay.note(f'{name} restores with 8 bits, the frames have more')
    begins = list(_find_scenes(frames, cuts, relay))
    for begin, end in pairwise([*begins, len(frames)]):
        relay.offset = begin
        size = frames[0].image.shape[1::-1]
        while True:
            try:
                scene = (frames[i] for i in range(begin, end))
                restored = _restore_scene(restorer, scene, options, relay)
                for i, (image, alpha) in enumerate(restored, begin):
                    yield RestoredFrame(i, image, alpha)
                break
            except Exception as error:
                options = _smaller(restorer, options, size, rules, error)
                reason = one_line(str(error)) or type(error).__name__
            cut = describe_cuts(restorer, options)
            relay.note(
                f'memory ran out ({reason}); from frame {begin} on the clip '
                f'is restored with {cut}'
            )
            drop_memory()


def _find_scenes(
    frames: Sequence[Frame], cuts: str, relay: EventRelay
) -> Iterator[int]:
    """Yield the indices at which scenes begin."""
    found = split_scenes(iter(frames), cuts, note=relay.note)
    for index, (_, begins) in enumerate(found):
        relay.progress('read', index + 1, None)
        if begins:
            yield index


def _restore_scene(
    restorer: Restorer,
    scene: Iterator[Frame],
    options: RestoreOptions,
    relay: EventRelay,
) -> Iterator[tuple[np.ndarray, np.ndarray | None]]:
    """Yield the pixels and the opacity of a scene's frames."""
    waiting: deque[Frame] = deque()

    def read() -> Iterator[Tensor]:
        for frame in scene:
            waiting.append(frame)
            image = frame.image
            if not getattr(restorer, 'takes_16_bit', False):
                image = set_depth(image, 8)
            yield torch.from_numpy(image).permute(2, 0, 1)

    for piece in restorer.restore_stream(read(), options, relay):
        for pixels in piece.cpu().permute(0, 2, 3, 1):
            frame = waiting.popleft()
            depth = 8 * frame.image.itemsize
            image = set_depth(pixels.contiguous().numpy(), depth)
            yield finish_frame(image, frame)
    assert not waiting, f'the model lost {len(waiting)} frames'


def _smaller(
    restorer: Restorer,
    options: RestoreOptions,
    size: tuple[int, int],
    rules: MemoryRules | None,
    error: Exception,
) -> RestoreOptions:
    """Return options that need less memory; raise the error if there are none.

    Args:
        restorer: of the clip.
        options: with which the error came.
        size: width and height of the frames.
        rules: of the choice.
        error: says that memory ran out, or something else.
    """
    found = None
    if rules is not None and is_out_of_memory(error):
        found = next_smaller(restorer, options, size, rules)
    if found is None:
        raise error
    return found
