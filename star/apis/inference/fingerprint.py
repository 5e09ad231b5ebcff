"""Fingerprints of what a result depends on: input, weights and options."""

import hashlib
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from torch import Tensor, nn

import star
from star.apis.inference.devices import dtype_of
from star.apis.inference.savings import describe_savings
from star.models.contracts import Restorer
from star.models.layers.offloading import device_of
from star.models.restoration.options import RestoreOptions
from star.utils.files import sha256_of
from star.utils.sealed_files import update_digest
from star.video.probing import list_images

_PACKAGES = ('torch', 'av', 'numpy', 'opencv-python')
_KNOWN: WeakKeyDictionary[Any, tuple[Any, str]] = WeakKeyDictionary()


def digest_of_content(path: Path) -> str:
    """Compute the SHA-256 of a file, or of a folder's images.

    Args:
        path: of a folder, its images' names and contents count.
    """
    if not path.is_dir():
        return sha256_of(path)
    digest = hashlib.sha256()
    for file in list_images(path):
        line = f'{file.name}\0{sha256_of(file)}\n'
        digest.update(line.encode(errors='surrogateescape'))
    return digest.hexdigest()


def digest_of_weights(restorer: Restorer) -> str:
    """Compute the SHA-256 of all tensors of a model, '' if it has none.

    It is remembered as long as no tensor changes.
    """
    if not isinstance(restorer, nn.Module):
        return ''
    tensors = dict(_tensors(restorer))
    stamp = [(name, id(t), t._version) for name, t in tensors.items()]
    known = _KNOWN.get(restorer)
    if known is not None and known[0] == stamp:
        return known[1]
    digest = hashlib.sha256()
    for name, tensor in tensors.items():
        update_digest(digest, name, tensor)
    text = digest.hexdigest() if tensors else ''
    _KNOWN[restorer] = (stamp, text)
    return text


def _tensors(model: nn.Module) -> Iterator[tuple[str, Tensor]]:
    yield from model.named_parameters()
    yield from model.named_buffers()


def versions() -> dict[str, str]:
    """Return the versions of this package and of those it computes with."""
    found = {'star': star.__version__}
    for name in _PACKAGES:
        try:
            found[name] = version(name)
        except PackageNotFoundError:
            found[name] = ''
    return found


def describe_method(
    restorer: Restorer, options: RestoreOptions
) -> dict[str, Any]:
    """Return what of a method decides the result, as builtin types."""
    device, dtype = _place(restorer)
    describe = getattr(restorer, 'describe_options', asdict)
    # arguments of the parts that are neither options nor tensors
    config = str(getattr(restorer, 'config_text', ''))
    return {
        'method': type(restorer).__name__,
        'config_sha256': hashlib.sha256(config.encode()).hexdigest(),
        'options': plain(describe(options)),
        'weights': digest_of_weights(restorer),
        'device': device,
        'dtype': dtype,
        **describe_savings(restorer),
        'versions': versions(),
    }


def _place(restorer: Restorer) -> tuple[str, str]:
    dtype = dtype_of(restorer)
    if dtype is None:
        return 'cpu', ''
    return device_of(restorer).type, str(dtype).removeprefix('torch.')


def plain(value: Any) -> Any:
    """Return a value as JSON has it: other types become texts."""
    if isinstance(value, Mapping):
        return {str(key): plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    known = isinstance(value, (str, int, float, bool)) or value is None
    return value if known else str(value)
