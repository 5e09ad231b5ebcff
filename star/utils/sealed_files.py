"""Files of tensors and a record, with the SHA-256 of both inside."""

import hashlib
import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import save
from torch import Tensor

from star.utils.files import write_bytes

_RECORD, _SEAL = 'record', 'sha256'


def write_sealed(
    path: Path, tensors: Mapping[str, Tensor], record: Any
) -> None:
    """Write tensors and a record in one step.

    Args:
        path: the file, of safetensors.
        tensors: by name, on the CPU.
        record: builtin types.

    Raises:
        OSError: it cannot be written.
    """
    text = json.dumps(record)
    whole = {name: tensor.contiguous() for name, tensor in tensors.items()}
    metadata = {_RECORD: text, _SEAL: _digest(whole, text)}
    # safetensors' own writer has no OSError for a full disk
    write_bytes(path, save(whole, metadata))


def read_sealed(path: Path) -> tuple[dict[str, Tensor], Any]:
    """Read tensors and record.

    Raises:
        ValueError: the file is damaged.
        FileNotFoundError: there is none.
    """
    try:
        with _opened(path) as file:
            names = file.keys()
            tensors = {name: file.get_tensor(name) for name in names}
            metadata = file.metadata() or {}
    except SafetensorError as error:
        raise ValueError(f'{path}: damaged ({error})') from error
    text = metadata.get(_RECORD, '')
    if metadata.get(_SEAL) != _digest(tensors, text):
        raise ValueError(f'{path}: damaged')
    return tensors, json.loads(text)


def read_sealed_record(path: Path) -> Any:
    """Read the record alone; its content is not checked.

    Raises:
        ValueError: the file is damaged.
        FileNotFoundError: there is none.
    """
    try:
        with _opened(path) as file:
            return json.loads((file.metadata() or {}).get(_RECORD, ''))
    except SafetensorError as error:
        raise ValueError(f'{path}: damaged ({error})') from error


@contextmanager
def _opened(path: Path) -> Iterator[safe_open]:
    """Open a file of any name; safetensors takes names of UTF-8 only."""
    with open(path, 'rb') as file:
        name = str(path)
        if any('\ud800' <= letter <= '\udfff' for letter in name):
            name = f'/dev/fd/{file.fileno()}'
        with safe_open(name, framework='pt') as opened:
            yield opened


def _digest(tensors: Mapping[str, Tensor], text: str) -> str:
    digest = hashlib.sha256(text.encode())
    for name in sorted(tensors):
        update_digest(digest, name, tensors[name])
    return digest.hexdigest()


def update_digest(digest: Any, name: str, tensor: Tensor) -> None:
    """Add a tensor's name, type, shape and values to a digest of hashlib.

    Args:
        digest: changed in place.
        name: of the tensor.
        tensor: on any device.
    """
    head = f'{name} {tensor.dtype} {tuple(tensor.shape)}'
    digest.update(head.encode())
    values = tensor.detach().cpu().contiguous().reshape(-1)
    digest.update(values.view(torch.uint8).numpy().data)
