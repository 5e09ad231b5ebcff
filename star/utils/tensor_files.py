"""Files of tensors: read without running code, or streamed one by one."""

import json
import pickle
import zipfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, BinaryIO

import torch
from safetensors import SafetensorError, safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor

from star.utils.compat import allow_lightning_types, allow_mmengine_types
from star.utils.files import atomic_path

_WRAPPERS = ('module.', '_orig_mod.')
_KINDS = {
    torch.float32: 'F32',
    torch.bfloat16: 'BF16',
    torch.float16: 'F16',
    torch.float64: 'F64',
    torch.int64: 'I64',
}


def read_state(
    path: str | Path, wrappers: Sequence[str] = (), averaged: bool = False
) -> dict[str, Tensor]:
    """Read a file's state dict without running code from it.

    Args:
        path: as for `read_checkpoint`. What wrappers put before all names
            is removed, see `drop_wrappers`.
        wrappers: keys under which the file may hold the state dict; the
            first that it has counts. 'state_dict' is always one.
        averaged: read the averaged weights, which mmengine's EMAHook adds.

    Raises:
        ValueError: the file cannot be read, or holds no state dict, or no
            averaged weights.
    """
    state: Any = read_checkpoint(path)
    if averaged:
        state = _averages(path, state)
    for keys in wrappers, ('state_dict',):
        key = next((k for k in keys if k in state), None)
        state = state if key is None else state[key]
        if not isinstance(state, Mapping) or not state:
            raise ValueError(f'{path}: holds no state dict')
    for name, value in state.items():
        if not isinstance(value, Tensor):
            kind = type(value).__name__
            raise ValueError(
                f'{path}: entry {name!r} is not a tensor but {kind}'
            )
    return drop_wrappers(state)


def drop_wrappers(state: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Remove what wrappers for training put before all names of a file.

    Args:
        state: tensors by name; all names may begin with 'module.' (several
            devices), '_orig_mod.' (compiled), or both in any order.
    """
    found = dict(state)
    while wrapper := next(
        (w for w in _WRAPPERS if all(k.startswith(w) for k in found)), None
    ):
        found = {k.removeprefix(wrapper): v for k, v in found.items()}
    return found


def read_notes(path: str | Path) -> dict[str, str]:
    """Return the texts in a safetensors file's header; {} for other files.

    Raises:
        ValueError: the file is absent or damaged.
    """
    if Path(path).suffix != '.safetensors':
        return {}
    try:
        with safe_open(str(path), framework='pt') as file:
            return dict(file.metadata() or {})
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'{path}: cannot be read ({reason})') from None


def read_checkpoint(path: str | Path, mmap: bool = True) -> dict[str, Any]:
    """Read a file of tensors and plain values without running code from it.

    Beside them, a file of mmengine's Runner may hold its log, and one of
    Lightning's Trainer the states of callbacks.

    Args:
        path: `.safetensors`, or anything that `torch.save` wrote.
        mmap: map tensors where the format allows it instead of reading them.

    Raises:
        ValueError: the file is absent, damaged, or holds anything else.
    """
    loaded = _read(Path(path), mmap)
    if not isinstance(loaded, dict):
        kind = type(loaded).__name__
        raise ValueError(f'{path}: holds a {kind}, not a state dict')
    return loaded


def read_tensor(path: str | Path) -> Tensor:
    """Read a file of one tensor without running code from it.

    Args:
        path: anything that `torch.save` wrote, or `.safetensors`.

    Raises:
        ValueError: the file is absent, damaged, or holds anything else.
    """
    loaded = _read(Path(path), False)
    if isinstance(loaded, dict) and len(loaded) == 1:
        (loaded,) = loaded.values()
    if not isinstance(loaded, Tensor):
        kind = type(loaded).__name__
        raise ValueError(f'{path}: holds no tensor alone, but a {kind}')
    return loaded


def _read(path: Path, mmap: bool) -> Any:
    """Read whatever a file holds."""
    try:
        if path.suffix == '.safetensors':
            return load_file(path)
        with allow_mmengine_types(), allow_lightning_types():
            return torch.load(
                path,
                map_location='cpu',
                weights_only=True,
                mmap=mmap and _is_mappable(path),
            )
    except (pickle.UnpicklingError, LookupError):  # of text: its opcodes
        raise ValueError(
            f'{path}: not a plain file of tensors (it is damaged or holds '
            'code, which is never run)'
        ) from None
    except Exception as error:  # noise, read as a pickle, raises anything
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise ValueError(f'{path}: cannot be read ({reason})') from None


@dataclass(frozen=True)
class LazyTensor:
    """A tensor that is read when it is needed.

    Attributes:
        shape: of the tensor.
        read: reads the tensor to the CPU.
    """

    shape: tuple[int, ...]
    read: Callable[[], Tensor]


def held(tensor: Tensor) -> LazyTensor:
    """Wrap a tensor in memory, or one that is mapped from a file."""
    return LazyTensor(tuple(tensor.shape), lambda: tensor)


def open_safetensors(path: str | Path) -> dict[str, LazyTensor]:
    """List the tensors of a safetensors file, which stays open.

    Raises:
        ValueError: the file is absent or damaged.
    """
    try:
        file = safe_open(str(path), framework='pt')
        return {
            name: LazyTensor(
                tuple(file.get_slice(name).get_shape()),
                partial(file.get_tensor, name),
            )
            for name in file.keys()  # noqa: SIM118, not a mapping
        }
    except (OSError, SafetensorError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'{path}: cannot be read ({reason})') from None


def open_folder(
    folder: str | Path, stem: str = 'diffusion_pytorch_model'
) -> dict[str, LazyTensor]:
    """List the tensors of a folder of safetensors in diffusers' layout.

    Args:
        folder: with `stem`.safetensors, or with several files and an index.
        stem: start of the files' names.

    Raises:
        ValueError: a file is absent or damaged.
    """
    folder = Path(folder)
    index = folder / f'{stem}.safetensors.index.json'
    if not index.is_file():
        return open_safetensors(folder / f'{stem}.safetensors')
    try:
        table = json.loads(index.read_text(encoding='utf-8'))['weight_map']
        names = sorted(set(table.values()))
    except (ValueError, KeyError, TypeError, AttributeError):
        raise ValueError(f'{index}: not an index of files') from None
    found: dict[str, LazyTensor] = {}
    for name in names:
        found |= open_safetensors(folder / Path(name).name)
    return found


def write_safetensors(
    path: Path,
    tensors: Mapping[str, LazyTensor],
    dtype: torch.dtype | None,
    notes: Mapping[str, str] | None = None,
) -> None:
    """Write tensors one after another; the file appears when complete.

    Args:
        path: the file, replaced if it exists.
        tensors: by name; each is read once, without `dtype` twice.
        dtype: of all tensors in the file: float32, bfloat16 or float16; None
            for that of each.
        notes: texts that the file's metadata shall hold.

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        file.write(_header(tensors, dtype, notes or {}))
        for tensor in tensors.values():
            _write_one(file, tensor, dtype)


def save_tensors(
    tensors: Mapping[str, Tensor],
    path: Path,
    metadata: Mapping[str, str] | None = None,
) -> None:
    """Write tensors that are in memory; the file appears when complete.

    Args:
        tensors: by name, contiguous; no two share their memory.
        path: the file, replaced if it exists.
        metadata: texts for the file's header.

    Raises:
        OSError: the file cannot be written; nothing is left of it.
    """
    with atomic_path(path) as temporary:
        header = {'format': 'pt', **(metadata or {})}
        save_file(dict(tensors), temporary, metadata=header)


def check_target(src: Path, dst: Path, overwrite: bool) -> None:
    """Check the paths of a converter.

    Args:
        src: file or folder to read.
        dst: file to write.
        overwrite: whether `dst` may exist.

    Raises:
        ValueError: `src` does not exist, or `dst` cannot be written.
    """
    if not src.exists():
        raise ValueError(f'{src}: no such file or folder')
    if dst.suffix != '.safetensors':
        raise ValueError(f'{dst}: name must end in .safetensors')
    if not dst.parent.is_dir():
        raise ValueError(f'{dst.parent}: no such folder')
    if dst.is_dir() or (dst.exists() and not overwrite):
        raise ValueError(f'{dst}: exists (use --overwrite)')
    if dst.exists() and dst.resolve().is_relative_to(src.resolve()):
        raise ValueError(f'{dst}: is the source, or a part of it')


def _averages(path: str | Path, loaded: dict[str, Any]) -> Any:
    """Return the averaged weights of a file that has them.

    mmengine's Runner exchanges the two sets when it saves: its `state_dict`
    are the averages, and `ema_state_dict` the weights that are trained.
    """
    averages = loaded.get('ema_state_dict')
    if not isinstance(averages, Mapping):
        raise ValueError(
            f'{path}: has no averaged weights (no `ema_state_dict`): read it '
            'without asking for them'
        )
    meta = loaded.get('meta')
    if isinstance(meta, Mapping) and 'mmengine_version' in meta:
        return loaded.get('state_dict')
    return {k: v for k, v in averages.items() if k != 'steps'}


def _is_mappable(path: Path) -> bool:
    """Return whether a file's tensors lie in it uncompressed."""
    if not zipfile.is_zipfile(path):
        return False
    with zipfile.ZipFile(path) as file:
        kinds = {entry.compress_type for entry in file.infolist()}
    return kinds == {zipfile.ZIP_STORED}


def _header(
    tensors: Mapping[str, LazyTensor],
    dtype: torch.dtype | None,
    notes: Mapping[str, str],
) -> bytes:
    entries: dict[str, dict] = {'__metadata__': {'format': 'pt', **notes}}
    end = 0
    for name, tensor in tensors.items():
        own = tensor.read().dtype if dtype is None else dtype
        begin, end = (
            end,
            end + torch.Size(tensor.shape).numel() * own.itemsize,
        )
        entries[name] = {
            'dtype': _KINDS[own],
            'shape': list(tensor.shape),
            'data_offsets': [begin, end],
        }
    text = json.dumps(entries, separators=(',', ':')).encode()
    text += b' ' * (-len(text) % 8)  # tensors begin at a multiple of 8
    return len(text).to_bytes(8, 'little') + text


def _write_one(
    file: BinaryIO, lazy: LazyTensor, dtype: torch.dtype | None
) -> None:
    tensor = lazy.read()
    tensor = (tensor if dtype is None else tensor.to(dtype)).contiguous()
    assert tuple(tensor.shape) == lazy.shape, lazy
    file.write(tensor.view(-1).view(torch.uint8).numpy().data)
