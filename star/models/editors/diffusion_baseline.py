"""Base class of the diffusion methods that were trained elsewhere."""

from abc import abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.models.contracts import Events
from star.models.data_preprocessor import PEAKS, to_float
from star.models.editors.base import Baseline, FrameWindow, Restored
from star.models.editors.recipe import Recipe
from star.models.restoration.events import EventRelay
from star.models.restoration.noise import FrameNoise
from star.models.restoration.options import RestoreOptions, build_options
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_notes, read_state

METHOD = 'star.method'  # key of a converted file's notes: the class


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


class DiffusionBaseline(Baseline):
    """Restores clips with a diffusion model that was trained elsewhere.

    A subclass calls this constructor, sets its parts (networks) as
    attributes, lists their names in `parts`, and defines `restore_clip` and
    `read_parts`. Weights are the authors' files, or one file that
    `star convert baseline` wrote, with the names `part.tensor`.

    Attributes:
        parts: names of the networks with weights.
        float32_parts: those that stay in float32 whatever dtype is chosen.
        needs_noise: whether the option `noise` may not be 'none'.
        counted_once: names of methods whose memory depends on the shape of
            their first tensor alone, so that it is counted once.
        text_encoder: if there is one, it stays on the CPU: it runs once for
            each prompt, and would take memory where it is scarce.
        loaded: whether the parts have weights.

    Args:
        recipe: of the method.
        weights: the authors' files: paths, names of published files, or None
            for one that the user must name.
        restore_options: fields of RestoreOptions that differ from `recipe`'s
            and from RestoreOptions' own defaults.
        noise: the option `noise`, unless `restore_options` has it.

    Raises:
        ValueError: a value is out of range.
    """

    default_dtype: torch.dtype | None = None
    bfloat16_on_cpu = False
    takes_16_bit = True
    shares_work = True
    needs_noise = True
    counted_once: tuple[str, ...] = ()
    parts: tuple[str, ...] = ()
    float32_parts: tuple[str, ...] = ('text_encoder',)

    def __init__(
        self,
        recipe: Recipe,
        weights: Sequence[str | None],
        restore_options: Mapping[str, Any] | None = None,
        noise: str = 'per_frame',
    ) -> None:
        super().__init__(recipe)
        self.loaded = False
        self._files = tuple(weights)
        self._prompts: tuple[tuple[str, ...], Tensor] | None = None
        self.register_load_state_dict_post_hook(_mark_loaded)
        own = asdict(self.restore_options) | {'mode': 'normal', 'noise': noise}
        self.restore_options = build_options(
            {**own, **(restore_options or {})}
        )

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

    @abstractmethod
    def read_parts(
        self, paths: Sequence[Path]
    ) -> Mapping[str, tuple[Path, Mapping[str, Tensor]]]:
        """Read the authors' files.

        Args:
            paths: of the files in `weight_files`, in this order.

        Returns:
            For each of `parts` the file, and its tensors under the names of
            that network.

        Raises:
            ValueError: a file cannot be read, or lacks a part.
        """

    @property
    def weight_files(self) -> tuple[str | None, ...]:
        """Files for `load_weights`: paths or names of published files."""
        return self._files

    @property
    def options_used(self) -> frozenset[str]:
        """Names of the options that matter to it."""
        always = {'seed', 'steps', 'tile', 'tile_overlap'}
        return super().options_used | always | {'noise', 'compat'}

    def files_beside(self, path: str | Path) -> tuple[str | None, ...]:
        """Return the further files; none for a converted one."""
        whole = Path(path).is_file() and METHOD in read_notes(path)
        return () if whole else super().files_beside(path)

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

    def load_weights(self, *paths: str | Path) -> None:
        """Load the files of `weight_files`, or one that was converted.

        Args:
            paths: of the files, in this order.

        Raises:
            ValueError: a file cannot be read, is another network's, or lacks
                tensors; the message names them.
        """
        files = [Path(path) for path in paths]
        if not files:
            raise ValueError(f'{type(self).__name__} needs files of weights')
        if len(files) == 1 and METHOD in (notes := read_notes(files[0])):
            self._load_converted(files[0], notes)
        else:
            for name, (path, state) in self.read_parts(files).items():
                load_strict(self.get_submodule(name), state, path)
        _mark_loaded(self, None)

    def embed(self, prompts: Sequence[str], like: Tensor) -> Tensor:
        """Encode prompts, once as long as they do not change.

        Args:
            prompts: N texts.
            like: its dtype and device are those of the result.

        Returns:
            (N, L, D).
        """
        wanted = tuple(prompts)
        if self._prompts is None or self._prompts[0] != wanted:
            found = self.get_submodule('text_encoder')(list(wanted))
            self._prompts = wanted, found
        return self._prompts[1].to(like)

    def make_notes(self) -> dict[str, str]:
        """Return the texts of a converted file: what is no tensor.

        A subclass adds what it needs to be restored by `take_notes`.
        """
        return {METHOD: type(self).__name__}

    def take_notes(self, notes: Mapping[str, str]) -> None:
        """Take what `make_notes` wrote into the file that is loaded."""

    def place(self, device: torch.device, dtype: torch.dtype) -> None:
        """Move to a device; the networks' weights take the dtype.

        Args:
            device: where to.
            dtype: of all parts but `float32_parts`.
        """
        for name in self.parts:
            single = name in self.float32_parts
            self.get_submodule(name).to(torch.float32 if single else dtype)
        for name, child in self.named_children():
            child.to('cpu' if name == 'text_encoder' else device)

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        """Restore frames as a clip of their own."""
        return self.restore_alone(frames)

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

    def _device(self) -> torch.device:
        first = self.get_submodule(self.parts[0])
        return next(first.parameters()).device

    def _load_converted(self, path: Path, notes: Mapping[str, str]) -> None:
        own = type(self).__name__
        if notes[METHOD] != own:
            raise ValueError(
                f'`weights`: {path} was converted for {notes[METHOD]}, not '
                f'for {own}'
            )
        load_strict(self, read_state(path), path)
        self.take_notes(notes)


def _mark_loaded(model: nn.Module, _: Any) -> None:
    assert isinstance(model, DiffusionBaseline)
    model.loaded, model._prompts = True, None
