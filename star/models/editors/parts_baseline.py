"""Base class of methods with several networks, trained elsewhere."""

from abc import abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from star.models.editors.base import Baseline
from star.models.editors.recipe import Recipe
from star.models.restoration.options import build_options
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_notes, read_state

METHOD = 'star.method'  # key of a converted file's notes: the class


class PartsBaseline(Baseline):
    """Reads the files of a method's networks, and places them.

    A subclass calls this constructor, sets its parts (networks) as
    attributes, lists their names in `parts`, and defines `read_parts` and
    `restore_windows`. Weights are the authors' files, or one file that
    `star convert baseline` wrote, with the names `part.tensor`.

    Attributes:
        parts: names of the networks with weights.
        float32_parts: those that stay in float32 whatever dtype is chosen.
        text_encoder: if there is one, it stays on the CPU: it runs once for
            each prompt, and would take memory where it is scarce.
        loaded: whether the parts have weights.

    Args:
        recipe: of the method.
        weights: the authors' files: paths, names of published files, or None
            for one that the user must name.
        restore_options: fields of RestoreOptions that differ from `recipe`'s
            and from RestoreOptions' own defaults.

    Raises:
        ValueError: a value is out of range.
    """

    default_dtype: torch.dtype | None = None
    takes_16_bit = True
    parts: tuple[str, ...] = ()
    float32_parts: tuple[str, ...] = ('text_encoder',)

    def __init__(
        self,
        recipe: Recipe,
        weights: Sequence[str | None],
        restore_options: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(recipe)
        self.loaded = False
        self._files = tuple(weights)
        self._prompts: tuple[tuple[str, ...], Tensor] | None = None
        self.register_load_state_dict_post_hook(_mark_loaded)
        own = asdict(self.restore_options) | {'mode': 'normal'}
        self.restore_options = build_options(
            {**own, **(restore_options or {})}
        )

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

    def files_beside(self, path: str | Path) -> tuple[str | None, ...]:
        """Return the further files; none for a converted one."""
        whole = Path(path).is_file() and METHOD in read_notes(path)
        return () if whole else super().files_beside(path)

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
    assert isinstance(model, PartsBaseline)
    model.loaded, model._prompts = True, None
