"""Files of weights that metrics need: found, checked, read without code.

The file that is named is taken; else `star.utils.weight_files` finds the published
one.
"""

import pickle
from collections.abc import Mapping
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from star.evaluation.weight_files import FILES
from star.utils.weight_files import find_file


def find_weights(
    name: str,
    path: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find a published file of weights; download it where it is nowhere.

    Args:
        name: one of `FILES`.
        path: the file to take instead, whatever it is called.
        weights_dir: folder that is searched first for the published name.

    Raises:
        ValueError: it is not found and cannot be downloaded, or a file of
            the published name is not the published one.
    """
    return find_any((name,), path, weights_dir)


def find_any(
    names: tuple[str, ...],
    path: str | Path | None = None,
    weights_dir: str | Path | None = None,
) -> Path:
    """Find one of several files that do equally well.

    Args:
        names: of `FILES`, the preferred first; the last can be downloaded.
        path: as for `find_weights`.
        weights_dir: likewise.

    Raises:
        ValueError: as for `find_weights`.
    """
    if path is None:
        return find_file(FILES, names, weights_dir)
    if not Path(path).is_file():
        raise ValueError(f'`weights`: there is no file {path}')
    return Path(path)


def load_state(path: str | Path) -> dict[str, Tensor]:
    """Read a state dict.

    Args:
        path: `.safetensors`, or a state dict that `torch.save` wrote, by
            itself or as `state_dict` of a training checkpoint.

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
    if isinstance(state, Mapping) and 'state_dict' in state:
        state = state['state_dict']  # a training checkpoint
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
