"""Checkpoints as folders that are always complete.

The run's folder has `iter_N/` with `weights.safetensors`, `training.pt` and
perhaps `ema.safetensors`, and the file `last_checkpoint`, which names one of
these folders.
"""

import os
import re
import shutil
from collections.abc import Mapping, Sequence
from glob import escape
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from safetensors import SafetensorError
from safetensors.torch import save_file
from torch import Tensor

from star.engine.resuming import check_resume
from star.utils.checkpoint_folder import (
    EMA,
    LAST,
    STATE,
    WEIGHTS,
    find_last,
    is_complete,
)
from star.utils.errors import error_line
from star.utils.files import (
    atomic_folder,
    remove_temporary,
    set_aside,
    write_json,
    write_text,
)
from star.utils.tensor_files import read_checkpoint

_SYSTEM_ERROR = re.compile(r'\(os error (\d+)\)')  # as safetensors has it
_NAME = re.compile(r'iter_(\d+)')


def save_checkpoint(
    work_dir: str | Path,
    iteration: int,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Any],
    ema: Mapping[str, Tensor] | None = None,
    records: Mapping[str, Any] | None = None,
) -> Path:
    """Write `iter_N` and then its name to `last_checkpoint`.

    A process that is killed leaves the earlier checkpoints, and possibly the
    new one; `last_checkpoint` always names a complete one.

    Args:
        work_dir: the run's folder.
        iteration: N, number of iterations that the run has done.
        weights: tensors by name.
        state: the rest of the run's state: tensors and builtin types.
        ema: averaged weights by name.
        records: content of JSON files by their names.

    Returns:
        The checkpoint's folder.

    Raises:
        TypeError: `state` holds a value that could not be read back.
        OSError: it cannot be written; the earlier checkpoints stay.
    """
    folder = Path(work_dir) / f'iter_{iteration}'
    write_checkpoint(folder, weights, state, ema, records)
    point_to(folder)
    return folder


def write_checkpoint(
    folder: Path,
    weights: Mapping[str, Tensor],
    state: Mapping[str, Any],
    ema: Mapping[str, Tensor] | None = None,
    records: Mapping[str, Any] | None = None,
) -> None:
    """Write a checkpoint's folder, replacing one of its name.

    Args:
        folder: to write.
        weights: see `save_checkpoint`.
        state: see `save_checkpoint`.
        ema: see `save_checkpoint`.
        records: see `save_checkpoint`.

    Raises:
        TypeError: `state` holds a value that could not be read back.
        OSError: it cannot be written.
    """
    state = plain(state)
    try:
        # a killed process may have left one that nothing names
        with atomic_folder(folder, replace=True) as temporary:
            _write_tensors(weights, temporary / WEIGHTS)
            # torch hides the cause of a failure in a file that it opens
            with open(temporary / STATE, 'wb') as file:
                torch.save(state, file)
            if ema is not None:
                _write_tensors(ema, temporary / EMA)
            for name, content in (records or {}).items():
                write_json(temporary / name, content)
    except (OSError, RuntimeError, SafetensorError) as error:
        reason = _cause(error)
        raise OSError(f'{folder} cannot be written: {reason}') from error


def point_to(folder: Path) -> None:
    """Write a complete checkpoint's name to `last_checkpoint` beside it."""
    assert is_complete(folder), folder
    write_text(folder.parent / LAST, folder.name)


def set_resume(
    config: Config, folder: Path | None, changes: Sequence[str] = ()
) -> None:
    """Set a config to continue from a checkpoint, or to start a new run.

    It also sets the first index of the data sampler, because the loop takes
    data from it before any hook is called.

    Args:
        config: of a run with `SafeCheckpointHook` and `DrawSampler`; changed
            in place.
        folder: of the checkpoint; None for a new run.
        changes: patterns of entries that may differ from the checkpoint's
            config and take effect from here on.

    Raises:
        ValueError: the checkpoint cannot be read, or is of another config.
    """
    config.resume = False  # it is for mmengine's own checkpoints
    hook = config.default_hooks.checkpoint
    sampler = config.train_dataloader.sampler
    hook.pop('changes', None)
    if hook.pop('resume_from', None):  # in a config that a run has dumped
        sampler.pop('start')
    if folder is None:
        return
    state = load_state(folder, mmap=True)
    allowed = (*hook.get('may_differ', ()), *changes)
    check_resume(folder, state, config, allowed)
    hook.resume_from = str(folder)
    if changes:
        hook.changes = list(changes)
    sampler.start = state['draw']


def load_state(folder: Path, mmap: bool = False) -> dict[str, Any]:
    """Read a checkpoint's state, running no code from the file.

    Args:
        folder: of the checkpoint.
        mmap: map the tensors instead of reading them.

    Raises:
        ValueError: the file is missing, damaged, or holds code.
    """
    return read_checkpoint(folder / STATE, mmap)


def find_best(work_dir: str | Path, score: str) -> list[Path]:
    """List the checkpoints that are kept as the best by a score.

    There are several only after a kill between saving and removing.
    """
    found = Path(work_dir).glob(f'best_{escape(score)}_iter_*')
    return sorted(path for path in found if is_complete(path))


def remove_other_best(best: Path, score: str) -> None:
    """Remove the earlier checkpoints that were the best by a score."""
    for folder in find_best(best.parent, score):
        if folder != best:
            shutil.rmtree(set_aside(folder))


def remove_old(work_dir: str | Path, max_keep: int) -> None:
    """Remove all but the newest checkpoints and the one named as last.

    Args:
        work_dir: the run's folder.
        max_keep: number of checkpoints to keep, >= 1.
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
    """Remove files and folders that a killed process left unfinished."""
    remove_temporary(work_dir, 'iter_*')
    remove_temporary(work_dir, 'best_*')
    remove_temporary(work_dir, LAST)


def plain(value: Any, where: str = 'state') -> Any:
    """Copy nested containers; refuse what `weights_only` would not load.

    Args:
        value: tensors, numbers, strings, None, and dict, list and tuple of
            them; tensors are copied to the CPU.
        where: name of `value` in the message.

    Raises:
        TypeError: `value` holds another type.
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


def _cause(error: BaseException) -> str:
    """Return what the system said of a file that could not be written."""
    found: BaseException | None = error
    while found is not None:
        if isinstance(found, OSError):
            return found.strerror or error_line(found)
        found = found.__context__
    number = _SYSTEM_ERROR.search(str(error))
    return os.strerror(int(number[1])) if number else error_line(error)


def _write_tensors(tensors: Mapping[str, Tensor], path: Path) -> None:
    # clone: the format refuses tensors that share their memory
    own = {
        name: tensor.detach()
        .cpu()
        .clone(memory_format=torch.contiguous_format)
        for name, tensor in tensors.items()
    }
    save_file(own, path, metadata={'format': 'pt'})
