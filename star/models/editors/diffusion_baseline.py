"""Base class of the diffusion methods that were trained elsewhere."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

from torch import Tensor

from star.models.contracts import Events
from star.models.data_preprocessor import PEAKS, to_float
from star.models.editors.base import FrameWindow, Restored
from star.models.editors.parts_baseline import PartsBaseline
from star.models.editors.recipe import Recipe
from star.models.restoration.events import EventRelay
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions


@dataclass(frozen=True)
class WindowJob:
    """The options, the noise and the events of one window's restoration.

    Args:
        options: of the restoration.
        noise: of the window's frames.
        events: receives notes.
        start: index of the window's first frame within the clip.
        length: frames of the window.
    """

    options: RestoreOptions
    noise: FrameNoise
    events: Events
    start: int
    length: int

    def progress(self, share: float) -> None:
        """Report how much of the window's denoising is done, 0 to 1."""
        done = self.start + int(min(share, 1) * self.length)
        self.events.progress('denoise', done, None)


class DiffusionBaseline(PartsBaseline):
    """Restores clips with a diffusion model that was trained elsewhere.

    Windows of frames are restored one by one; a subclass defines
    `restore_clip`, and the rest as for `PartsBaseline`.

    Attributes:
        needs_noise: whether the option `noise` may not be 'none'.
        counted_once: names of methods whose memory depends on the shape of
            their first tensor alone, so that it is counted once.

    Args:
        recipe: as for `PartsBaseline`.
        weights: as for `PartsBaseline`.
        restore_options: as for `PartsBaseline`.
        noise: the option `noise`, unless `restore_options` has it.

    Raises:
        ValueError: a value is out of range.
    """

    shares_work = True
    needs_noise = True
    counted_once: tuple[str, ...] = ()

    def __init__(
        self,
        recipe: Recipe,
        weights: Sequence[str | None],
        restore_options: Mapping[str, Any] | None = None,
        noise: str = 'per_frame',
    ) -> None:
        own = {'noise': noise, **(restore_options or {})}
        super().__init__(recipe, weights, own)

    @abstractmethod
    def restore_clip(self, clip: Tensor, job: WindowJob) -> Tensor:
        """Restore consecutive frames.

        Args:
            clip: (t, 3, h, w) float32 RGB in [-1, 1] on the networks' device,
                of any size.
            job: options, noise and events.

        Returns:
            (t, 3, scale * h, scale * w) about [-1, 1], not clamped.
        """

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        always = {'seed', 'steps', 'tile', 'tile_overlap'}
        return super().options_used | always | {'noise', 'compat'}

    def check_options(self, options: RestoreOptions) -> None:
        """Refuse options that this method cannot restore with.

        Raises:
            ValueError: naming the option, the rule and the value.
        """
        super().check_options(options)
        if options.noise == 'none' and self.needs_noise:
            raise ValueError(
                "`noise` must be 'per_frame' or 'shared' for "
                f"{type(self).__name__}, which begins with noise, got 'none'"
            )

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
            memory: unused; a restoration can be taken up after each window.
            events: receives notes, and the progress of 'denoise'.

        Yields:
            Restored windows, (t, 3, H, W) with values of the same range.

        Raises:
            ValueError: the networks have no weights.
        """
        self.check_loaded()
        restore = partial(self.restore_window, events=events)
        yield from self.spread_windows(
            restore, windows, options, self._device()
        )

    def restore_window(
        self,
        window: FrameWindow,
        options: RestoreOptions,
        events: Events | None = None,
    ) -> Tensor:
        """Restore one window.

        Args:
            window: of the clip.
            options: of the restoration.
            events: receives notes, and the progress of 'denoise'.

        Returns:
            (t, 3, H, W) float32 with values of the range of the window's.
        """
        clip, _, start = window
        noise = FrameNoise(options.seed, start, options.noise)
        job = WindowJob(
            options, noise, events or EventRelay(), start, len(clip)
        )
        out = self.restore_clip(to_float(clip.to(self._device())), job)
        height, width = (
            round(side * options.scale) for side in clip.shape[-2:]
        )
        assert out.shape == (*clip.shape[:2], height, width), out.shape
        return (out.float() + 1) * (PEAKS[clip.dtype] / 2)
