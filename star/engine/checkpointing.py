"""Checkpoints as folders that are whole or not there at all.

In the run's folder lie `iter_N/` with `weights.safetensors`, `training.pt` and
perhaps `ema.safetensors`, and `last_checkpoint`, which names one of them.
"""

import pickle
import re
import shutil
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from safetensors import SafetensorError
from safetensors.torch import load_file, save_file
from torch import Tensor

from star.utils.files import (
    atomic_folder,
    remove_temporary,
    set_aside,
    write_text,
)

WEIGHTS = 'weights.safetensors'
EMA = 'ema.safetensors'
STATE = 'training.pt'
LAST = 'last_checkpoint'  # mmengine's name

_NAME = re.compile(r'iter_(\d+)')


def save_checkpoint(
    work_dir: str | Path,
    iteration: int,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Any],
    ema: Mapping[str, Tensor] | None = None,
) -> Path:
    """Write `iter_N` and then let `last_checkpoint` point to it.

    Killed at any moment, this leaves the checkpoints that there were, and
    possibly the new one; `last_checkpoint` names one that is complete.

    Args:
        work_dir: the run's folder.
        iteration: N, iterations that the run has done.
        weights: tensors by name.
        state: whatever else continues the run: tensors and builtin types.
        ema: averaged weights by name.

    Returns:
        The checkpoint's folder.

    Raises:
        TypeError: `state` holds something that could not be read back.
        OSError: the disk is full, say; the earlier checkpoints stay.
    """
    folder = Path(work_dir) / f'iter_{iteration}'
    state = plain(state)
    # one may be there of a process that was killed before it pointed to it
    with atomic_folder(folder, replace=True) as temporary:
        _write_tensors(weights, temporary / WEIGHTS)
        torch.save(state, temporary / STATE)
        if ema is not None:
            _write_tensors(ema, temporary / EMA)
    point_to(folder)
    return folder


def point_to(folder: Path) -> None:
    """Let `last_checkpoint` name a complete checkpoint beside it."""
    assert is_complete(folder), folder
    write_text(folder.parent / LAST, folder.name)


def find_last(work_dir: str | Path) -> Path | None:
    """Find the checkpoint that `last_checkpoint` names.

    Returns:
        Its folder, or None where the run has no checkpoint.

    Raises:
        ValueError: it names something that is no checkpoint folder.
    """
    last = Path(work_dir) / LAST
    if not last.is_file():
        return None
    folder = last.parent / last.read_text(encoding='utf-8').strip()
    if not is_complete(folder):
        raise ValueError(
            f'{last} names {folder}, which is no checkpoint folder with '
            f'{WEIGHTS} and {STATE}: write the name of one into it'
        )
    return folder


def resume_path(work_dir: str | Path) -> Path:
    """Find the checkpoint that `--resume` continues.

    Args:
        work_dir: a run's folder, or one checkpoint's own folder.

    Raises:
        ValueError: there is none.
    """
    if is_complete(Path(work_dir)):
        return Path(work_dir)
    folder = find_last(work_dir)
    if folder is None:
        raise ValueError(
            f'nothing to resume: {work_dir} has no {LAST}; leave out '
            '--resume to start a new run'
        )
    return folder


def set_resume(config: Config, folder: Path | None) -> None:
    """Let a config's run continue from a checkpoint, or start anew.

    The data sampler is told its first draw here: the loop asks it for data
    as soon as it is built, before any hook is called.

    Args:
        config: of a run with `SafeCheckpointHook` and `DrawSampler`; changed.
        folder: the checkpoint's, or None for a new run.

    Raises:
        ValueError: the checkpoint cannot be read.
    """
    config.resume = False  # mmengine's own way, for its own checkpoints
    hook = config.default_hooks.checkpoint
    sampler = config.train_dataloader.sampler
    if hook.pop('resume_from', None):  # of a config that a run has dumped
        sampler.pop('start')
    if folder is not None:
        hook.resume_from = str(folder)
        sampler.start = load_state(folder, mmap=True)['draw']


def load_state(folder: Path, mmap: bool = False) -> dict[str, Any]:
    """Read what a checkpoint holds besides weights, running no code from it.

    Args:
        folder: the checkpoint's.
        mmap: tensors are mapped: enough for looking at the rest.

    Raises:
        ValueError: the file is missing, damaged, or holds code.
    """
    path = folder / STATE
    try:
        return torch.load(
            path, map_location='cpu', weights_only=True, mmap=mmap
        )
    except (OSError, RuntimeError, EOFError, pickle.UnpicklingError) as error:
        raise _unreadable(path, error) from error


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Read a checkpoint's weights by name.

    Raises:
        ValueError: the file is missing or damaged.
    """
    return _read_tensors(folder / WEIGHTS)


def load_ema(folder: Path) -> dict[str, Tensor] | None:
    """Read a checkpoint's averaged weights by name; None if it has none.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / EMA
    return _read_tensors(path) if path.exists() else None


def is_complete(folder: Path) -> bool:
    """Tell whether a folder is a checkpoint: they appear in one piece."""
    return (folder / WEIGHTS).is_file() and (folder / STATE).is_file()


def remove_old(work_dir: str | Path, max_keep: int) -> None:
    """Remove all but the newest checkpoints, never the last one's folder.

    Args:
        work_dir: the run's folder.
        max_keep: how many stay, >= 1.
    """
    last = find_last(work_dir)
    folders = sorted(
        (p for p in Path(work_dir).iterdir() if _NAME.fullmatch(p.name)),
        key=lambda p: int(p.name.removeprefix('iter_')),
    )
    for folder in folders[:-max_keep]:
        if folder != last:
            shutil.rmtree(set_aside(folder))


def remove_leftovers(work_dir: str | Path) -> None:
    """Remove what a killed process was writing or removing."""
    remove_temporary(work_dir, 'iter_*')
    remove_temporary(work_dir, LAST)


def plain(value: Any, where: str = 'state') -> Any:
    """Copy a nest of containers, checking that it loads with `weights_only`.

    Args:
        value: of tensors, numbers, strings, None, and dict, list and tuple
            of them; tensors come to the CPU.
        where: what to call `value` in the message.

    Raises:
        TypeError: it holds something else.
    """
    if isinstance(value, Tensor):
        return value.detach().cpu()
    if value is None or type(value) in (bool, int, float, str):
        return value
    if isinstance(value, Mapping):
        return {k: plain(v, f'{where}.{k}') for k, v in value.items()}
    if isinstance(value, (list, tuple)):
        items = [plain(v, f'{where}.{i}') for i, v in enumerate(value)]
        return tuple(items) if isinstance(value, tuple) else items
    raise TypeError(f'{where} cannot be saved: it is a {type(value).__name__}')


def _write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    # clone: the format refuses tensors that share their memory
    own = {
        name: tensor.detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    save_file(own, path, metadata={'format': 'pt'})


def _read_tensors(path: Path) -> dict[str, Tensor]:
    try:
        return load_file(path)
    except (OSError, SafetensorError) as error:
        raise _unreadable(path, error) from error


def _unreadable(path: Path, error: Exception) -> ValueError:
    reason = (str(error) or type(error).__name__).splitlines()[0]
    return ValueError(f'{path} cannot be read: {reason}')
