"""Reading of the statistics that NIQE and IL-NIQE compare frames with."""

from pathlib import Path
from typing import Any

import numpy as np
import torch
from scipy.io import loadmat
from torch import Tensor


def read_arrays(path: str | Path) -> dict[str, np.ndarray]:
    """Read named arrays, running no code from the file.

    Args:
        path: `.npz`, or a `.mat` file of MATLAB before version 7.3.

    Raises:
        ValueError: there is no such file, or it cannot be read.
    """
    path = Path(path)
    if not path.is_file():
        raise ValueError(f'`path`: there is no file {path}')
    if path.suffix == '.mat':
        load: Any = loadmat
    else:
        load = _load_npz
    try:
        return dict(load(path))
    except Exception as error:  # damaged archives raise anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f'`path`: {path} cannot be read ({reason})') from None


def _load_npz(path: Path) -> dict[str, np.ndarray]:
    with np.load(path, allow_pickle=False) as archive:
        return dict(archive)


def to_tensor(
    array: np.ndarray | None, shape: tuple[int, ...], what: str
) -> Tensor:
    """Convert an array from a file into a tensor.

    Args:
        array: with as many elements as `shape`; None if the file lacks it.
        shape: of the result.
        what: file and array, for the message.

    Returns:
        float64, of shape `shape`.

    Raises:
        ValueError: the array is missing, has another size, or holds other
            things than finite numbers.
    """
    if array is None:
        raise ValueError(f'`path`: {what} is missing')
    good = array.dtype.kind in 'fiu' and array.size == np.prod(shape)
    if not good or not np.isfinite(array).all():
        raise ValueError(
            f'`path`: {what} must be {shape} finite numbers, got '
            f'{array.shape} {array.dtype}'
        )
    return torch.from_numpy(array.astype(np.float64).reshape(shape))
