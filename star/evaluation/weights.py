"""Reads the files of weights that metrics need, running no code from them."""

import pickle
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict.

    Args:
        path: `.safetensors`, or a state dict that `torch.save` wrote.

    Raises:
        ValueError: the file is absent, damaged, or holds more than tensors.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'`weights`: there is no file {path}')
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        state = torch.load(path, map_location='cpu', weights_only=True)
    except pickle.UnpicklingError:
        raise ValueError(
            f'`weights`: {path} is damaged or holds code, which is never run'
        ) from None
    except Exception as error:  # noise, read as a pickle, raises anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(
            f'`weights`: {path} cannot be read ({reason})'
        ) from None
    good = isinstance(state, Mapping) and all(
        isinstance(value, Tensor) for value in state.values()
    )
    if not good:
        raise ValueError(f'`weights`: {path} holds no state dict')
    return dict(state)


def fill(network: nn.Module, state: dict[str, Tensor], path: str) -> None:
    """Load a state dict that must fit exactly.

    Args:
        network: what takes the weights.
        state: names and tensors.
        path: where they come from, for the message.

    Raises:
        ValueError: a tensor is missing, left over or of another shape.
    """
    try:
        network.load_state_dict(state, strict=True)
    except RuntimeError as error:
        lines = str(error).splitlines()
        raise ValueError(
            f'`weights`: {path} does not fit: {" ".join(lines[1:2]).strip()}'
        ) from None


@contextmanager
def downloading(what: str) -> Iterator[None]:
    """Tell what to do where weights cannot be downloaded.

    Args:
        what: name of the network.

    Raises:
        ValueError: the body raised an OSError, as it does without network.
    """
    try:
        yield
    except OSError as error:
        raise ValueError(
            f'`weights` of {what} cannot be downloaded ({error}); name a file'
        ) from error
