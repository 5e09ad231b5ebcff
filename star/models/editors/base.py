"""Base class of the methods that are not trained here."""

from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from functools import partial
from itertools import repeat
from pathlib import Path
from typing import Any, NamedTuple

import torch
from torch import Tensor, nn

from star.models.contracts import Events
from star.models.data_preprocessor import check_frame, round_pixels
from star.models.editors.recipe import Recipe
from star.models.layers.offloading import device_of
from star.models.restoration.events import EventRelay
from star.models.restoration.fidelity import with_fidelity
from star.models.restoration.options import RestoreOptions, decisive
from star.models.restoration.resuming import Piece, ResumePoint
from star.models.restoration.segments import segments
from star.models.restoration.whole_clip import restore_whole
from star.utils.distributed import Calls, Team, spread_over
from star.video.blending import WindowJoiner

Restored = tuple[Tensor, bool]  # a window, and whether it is the last
_EARLIER = 'earlier'  # frames that the next window is faded from


class FrameWindow(NamedTuple):
    """Consecutive frames of a clip that are restored at a time.

    Args:
        clip: (t, 3, h, w) uint8 or uint16.
        last: whether the clip ends with it.
        start: index of its first frame within the clip.
    """

    clip: Tensor
    last: bool
    start: int = 0


class Baseline(nn.Module, ABC):
    """Restores clips window by window; see `Restorer`.

    A subclass defines `enlarge`; one with a network is a `NetworkBaseline`.
    It uses no random numbers and no prompt, only the options in
    `options_used`.

    Args:
        recipe: of the method.
        window: frames that are restored at a time; None for the recipe's.
        overlap: frames that windows share; None for the recipe's, but at most
            half of `window`. Methods whose recipe has none use none.
        any_scale: whether `enlarge` accepts other scales.

    Raises:
        ValueError: a value is out of range.
    """

    # bfloat16 is too coarse for pixels
    default_dtype: torch.dtype | None = torch.float32
    bfloat16_on_cpu = False
    loaded = True  # a subclass with weights begins with False
    takes_16_bit = False  # a subclass whose `enlarge` keeps uint16 says so
    shares_work = False  # a subclass says so whose windows are independent
    team: Team | None = None  # processes that restore windows, too
    names_files = True

    def __init__(
        self,
        recipe: Recipe,
        window: int | None = None,
        overlap: int | None = None,
        any_scale: bool = False,
    ) -> None:
        super().__init__()
        self.recipe, self.any_scale = recipe, any_scale
        window = recipe.window if window is None else window
        if overlap is None:
            overlap = self.overlap_for(window)
        self._check_windows(window, overlap)
        self.restore_options = RestoreOptions(
            scale=recipe.scale, window=window, overlap=overlap
        )
        self.check_options(self.restore_options)

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """Files for `load_weights`: paths or names of published files."""
        return ()

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        timed = {'overlap'} if self.recipe.overlap else set()
        return frozenset({'scale', 'window', 'fidelity'} | timed)

    def overlap_for(self, window: int) -> int:
        """Choose the overlap of windows of `window` frames."""
        if self.recipe.blend == 'trim':  # exact with this, and only with this
            return self.recipe.overlap
        return min(self.recipe.overlap, window // 2)

    def files_beside(self, path: str | Path) -> tuple[str | None, ...]:
        """Return the files that are needed besides a user's own.

        Args:
            path: of the file that takes the place of the first of
                `weight_files`.
        """
        return self.weight_files[1:]

    def segment_of(self, options: RestoreOptions) -> tuple[int, int]:
        """Return how many frames are restored at a time and are shared.

        Args:
            options: of a restoration.

        Returns:
            Frames of a window, and those that neighbouring windows share.
        """
        return options.window, options.overlap if self.recipe.overlap else 0

    def load_weights(self, *paths: str | Path) -> None:
        """Load the files of `weight_files`, in this order."""
        assert not paths, 'there are no weights'

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; a network's weights take the dtype."""
        self.to(device)

    @abstractmethod
    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore consecutive frames.

        Args:
            frames: (t, 3, h, w) uint8 RGB, on any device; uint16 as well
                if `takes_16_bit`.
            size: output height and width.

        Returns:
            (t, 3, H, W) of the type of `frames`.
        """

    @torch.inference_mode()
    def restore_alone(self, frames: Tensor) -> Tensor:
        """Restore frames as one window, for an `enlarge` that needs it.

        Args:
            frames: (t, 3, h, w) uint8 or uint16.

        Returns:
            (t, 3, H, W) of the same type.
        """
        windows = iter([FrameWindow(frames, True)])
        ((out, _),) = self.restore_windows(
            windows, self.restore_options, {}, EventRelay()
        )
        return round_pixels(out, frames.dtype)

    def check_loaded(self) -> None:
        """Raise a ValueError if there should be weights and are none."""
        if not self.loaded:
            raise ValueError(
                f'{type(self).__name__} has no weights: name a file in '
                '`weights`, or call `load_weights`'
            )

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with.

        Args:
            options: of a restoration.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        self._check_windows(options.window, options.overlap)
        if options.scale != self.recipe.scale and not self.any_scale:
            raise ValueError(
                f'`scale` must be {self.recipe.scale:g} for '
                f'{type(self).__name__}, got {options.scale:g}'
            )

    def _check_windows(self, window: int, overlap: int) -> None:
        least = self.recipe.overlap if self.recipe.blend == 'trim' else 0
        if least and (overlap < least or window <= least):
            raise ValueError(
                f'`window` must be at least {least + 1} and `overlap` at '
                f'least {least} for {type(self).__name__}, whose frames need '
                f'their neighbours, got {window} and {overlap}'
            )

    def describe_options(self, options: RestoreOptions) -> dict[str, Any]:
        """Return recipe and options, to be written as JSON."""
        used = decisive(options, self.options_used)
        return {**asdict(self.recipe), **used}

    def restore(
        self,
        lq: Tensor,
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Tensor:
        """Restore a clip (T, 3, h, w); see `restore_whole`."""
        return restore_whole(self, lq, options, events)

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Iterator[Tensor]:
        """Restore frames as they come; see `restore_pieces`.

        Yields:
            Consecutive pieces of the restored clip, (t, 3, H, W), of the type
            of the frames.
        """
        pieces = self.restore_pieces(frames, options, events)
        return (piece.frames for piece in pieces)

    def restore_pieces(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
        point: ResumePoint | None = None,
    ) -> Iterator[Piece]:
        """Restore frames as they come, a window at a time.

        Args:
            frames: (3, h, w) uint8 or uint16 RGB each, all of one size.
            options: None for `restore_options`.
            events: receives the progress of the stage 'decode'.
            point: where an earlier run stopped; `frames` begins there.

        Yields:
            Consecutive pieces of the restored clip.

        Raises:
            ValueError: an option or a frame's shape is wrong.
        """
        options = options or self.restore_options
        self.check_options(options)
        events = events or EventRelay()
        restore = partial(
            self._pieces, options=options, events=events, point=point
        )
        fidelity, device = options.fidelity, device_of(self)
        return with_fidelity(restore, iter(frames), fidelity, point, device)

    @torch.inference_mode()
    def _pieces(
        self,
        frames: Iterator[Tensor],
        options: RestoreOptions,
        events: Events,
        point: ResumePoint | None,
    ) -> Iterator[Piece]:
        first = next(frames, None)
        if first is None:
            return
        check_frame(first)
        if first.dtype == torch.uint16 and not self.takes_16_bit:
            raise ValueError(
                f'{type(self).__name__} restores uint8 frames only, got uint16'
            )
        size, overlap = self.segment_of(options)
        before = point or ResumePoint(0, 0)
        tensors = dict(before.tensors)
        joiner = WindowJoiner(
            overlap,
            self.recipe.blend,
            begun=point is not None,
            earlier=tensors.pop(_EARLIER, None),
        )
        memory = self.unpack_memory(tensors)
        frame, done = before.frame, before.done
        found = segments(first, frames, size, overlap, frame)
        windows = (
            FrameWindow(clip, last, start) for start, clip, last in found
        )
        restored = self.restore_windows(windows, options, memory, events)
        for window, last in restored:
            piece = joiner.join(window, last)
            frame, done = frame + size - overlap, done + len(piece)
            events.progress('decode', done, None)
            here = partial(self._point, frame, done, joiner.earlier, memory)
            lost = last or self.pack_memory(memory) is None
            out = round_pixels(piece, first.dtype).cpu()
            yield Piece(out, None if lost else here)

    def _point(
        self,
        frame: int,
        done: int,
        earlier: Tensor | None,
        memory: dict[int, Any],
    ) -> ResumePoint:
        """Describe the place after a window."""
        packed = self.pack_memory(memory)
        assert packed is not None
        tensors = {name: tensor.cpu() for name, tensor in packed.items()}
        if earlier is not None:
            tensors[_EARLIER] = earlier.cpu()
        return ResumePoint(frame, done, tensors)

    def pack_memory(self, memory: dict[int, Any]) -> dict[str, Tensor] | None:
        """Return a method's memory as tensors, to be kept in a file.

        Args:
            memory: as `restore_windows` left it.

        Returns:
            Tensors by name; None if the memory cannot be kept, so that a
            restoration is taken up at the beginning of a scene only.
        """
        return None if memory else {}

    def unpack_memory(self, tensors: dict[str, Tensor]) -> dict[int, Any]:
        """Make the memory of what `pack_memory` returned."""
        assert not tensors, 'there is no memory'
        return {}

    def make_helper(self) -> Calls:
        """Make what restores windows for the leader of several processes."""
        return torch.inference_mode()(
            lambda name, args: getattr(self, name)(*args)
        )

    def spread_windows(
        self,
        restore: Callable[[FrameWindow, RestoreOptions], Tensor],
        windows: Iterator[FrameWindow],
        options: RestoreOptions,
        device: torch.device,
    ) -> Iterator[Restored]:
        """Restore independent windows, some of them in other processes.

        Args:
            restore: restores one; the others call `restore_window`.
            windows: of the clip.
            options: of the restoration.
            device: of the results.

        Yields:
            The restored windows, in order.
        """
        lasts: deque[bool] = deque()

        def listed() -> Iterator[FrameWindow]:
            for window in windows:
                lasts.append(window.last)
                yield window

        spread = spread_over(self.team, 'restore_window')
        for out in spread(restore, listed(), repeat(options)):
            yield out.to(device), lasts.popleft()

    def restore_windows(
        self,
        windows: Iterator[FrameWindow],
        options: RestoreOptions,
        memory: dict[int, Any],
        events: Events,
    ) -> Iterator[Restored]:
        """Restore the windows of one clip, in order.

        Args:
            windows: of the clip.
            options: of the restoration.
            memory: what a method keeps from window to window; changed in
                place, empty at the beginning of a clip.
            events: receives notes, and progress within a window.

        Yields:
            Restored windows, (t, 3, H, W) with values of the same range.
        """
        for clip, last, _ in windows:
            height, width = (
                round(side * options.scale) for side in clip.shape[-2:]
            )
            out = self.enlarge(clip, (height, width))
            # only blended frames need fractions
            yield (out.float() if self.recipe.overlap else out), last
