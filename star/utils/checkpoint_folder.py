"""The folders of a training: `iter_N`, and `last_checkpoint` that names one.

`iter_N` has `weights.safetensors`, `training.pt`, `origins.json`,
`config.json` and perhaps `ema.safetensors`. It appears in one piece.
"""

from pathlib import Path

from torch import Tensor

from star.utils.tensor_files import read_checkpoint

WEIGHTS = 'weights.safetensors'
EMA = 'ema.safetensors'
STATE = 'training.pt'
ORIGINS = 'origins.json'  # see `star.utils.origins`
CONFIG = 'config.json'
LAST = 'last_checkpoint'  # mmengine's name


def is_complete(folder: Path) -> bool:
    """Return whether a folder is a checkpoint; it appears in one piece."""
    return (folder / WEIGHTS).is_file() and (folder / STATE).is_file()


def find_last(work_dir: str | Path) -> Path | None:
    """Return the folder that `last_checkpoint` names, or None without one.

    Raises:
        ValueError: it names no complete checkpoint.
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


def load_weights(folder: Path) -> dict[str, Tensor]:
    """Read a checkpoint's weights by name.

    Raises:
        ValueError: the file is missing or damaged.
    """
    return read_checkpoint(folder / WEIGHTS)


def load_ema(folder: Path) -> dict[str, Tensor] | None:
    """Read a checkpoint's averaged weights by name, or return None.

    Raises:
        ValueError: the file is damaged.
    """
    path = folder / EMA
    return read_checkpoint(path) if path.exists() else None
