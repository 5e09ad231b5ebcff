"""The sets that a method is tested on, as a config and a person name them."""

import copy
import hashlib
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import Tensor, empty, uint8
from torch.utils.data import Dataset

from star.apis.train.training import config_error
from star.registry import DATASETS
from star.structures import VideoSample

# a missing or damaged file, or one that does not fit into memory
_UNREADABLE = (MemoryError, OSError, RuntimeError, ValueError)


def choose_sets(
    config: Config,
    names: Sequence[str] | None = None,
    folders: Mapping[str, str] | None = None,
    num_frames: int | None = None,
) -> dict[str, dict]:
    """Choose test sets of a config.

    Args:
        config: `test_dataloader.dataset` is one set, or several in a
            ConcatDataset.
        names: of the sets that are wanted; None for those of `folders`, or
            all where there are none.
        folders: take the place of the sets of these names, or are added.
        num_frames: of each clip, the first; None for all.

    Returns:
        Configs of the sets by name, in the config's order.

    Raises:
        ValueError: a name is no set's, or no file name, or stands twice.
    """
    found: dict[str, dict] = {}
    for entry in _entries(config):
        name = str(entry.get('name') or Path(entry['data_root']).name)
        if name in found:
            raise ValueError(f'config {config.filename}: two sets {name!r}')
        found[name] = {**entry, 'name': name}
    for name, folder in (folders or {}).items():
        found[name] = {
            'type': 'VideoFolder',
            'name': name,
            'data_root': folder,
        }
    wanted = list(names or folders or found)
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise ValueError(
            f'there is no set {unknown[0]!r}, only {", ".join(found)}; add it '
            f'with --set {unknown[0]}=FOLDER'
        )
    for name in wanted:
        _check_name(name)
    if num_frames is not None:
        found = {k: {**v, 'num_frames': num_frames} for k, v in found.items()}
    return {name: entry for name, entry in found.items() if name in wanted}


def build_sets(configs: Mapping[str, dict]) -> dict[str, Any]:
    """Build test sets.

    Args:
        configs: by name, from `choose_sets`.

    Returns:
        The data sets by name; each has `names`, those of its clips.

    Raises:
        ValueError: some are missing or not as they should be; one line for
            each, with its name.
    """
    sets, faults = {}, []
    for name, config in configs.items():
        try:
            sets[name] = DATASETS.build(dict(config))
            _check_clips(sets[name])
        except (OSError, TypeError, ValueError) as error:
            reason = config_error(error)
            if reason is None:
                raise
            faults.append(f'set {name}: {reason.splitlines()[0]}')
    if faults:
        hint = '; or choose others with --sets, other folders with --set'
        raise ValueError('\n'.join(faults) + hint)
    return sets


def describe_set(config: Mapping[str, Any], dataset: Any) -> dict[str, Any]:
    """Tell what decides the scores of a set, to be written as JSON.

    Args:
        config: of the set.
        dataset: built from it.

    Returns:
        `clips`, their number; `frames`, the limit of a clip or None;
        `manifest_sha256`, or `files_sha256` of names and sizes of the files
        where there is no manifest, the other None; `options` of the data
        set besides.
    """
    manifest = getattr(dataset, 'manifest_sha256', None)
    root = Path(str(config['data_root']))
    options = {
        key: value
        for key, value in config.items()
        if key not in ('data_root', 'name', 'num_frames', 'type')
    }
    return {
        'clips': len(dataset),
        'frames': config.get('num_frames'),
        'manifest_sha256': manifest,
        'files_sha256': None if manifest else _digest_names(root),
        'options': {'type': config['type'], **copy.deepcopy(options)},
    }


class ClipSets(Dataset):
    """Gives the clips of several sets; one that cannot be read is an item too.

    Args:
        sets: data sets by name, each with `names`.
    """

    metainfo = None

    def __init__(self, sets: Mapping[str, Any]) -> None:
        self.sets = dict(sets)
        self.clips = [
            (name, i) for name, each in sets.items() for i in range(len(each))
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> dict[str, Tensor | VideoSample]:
        dataset, place = self.clips[index]
        try:
            item = self.sets[dataset][place]
        except _UNREADABLE as error:
            problem = _first_line(error)
            sample = VideoSample(problem=problem)
            item = {'inputs': empty(0, 3, 1, 1, dtype=uint8)}
            item['data_samples'] = sample
        # as the files of the results are named
        item['data_samples'].dataset, item['data_samples'].name = self.key(
            index
        )
        return item

    def key(self, index: int) -> tuple[str, str]:
        """Return the names of a clip's set and of the clip."""
        dataset, place = self.clips[index]
        return dataset, self.sets[dataset].names[place]


def _entries(config: Config) -> list[dict]:
    dataset = config.test_dataloader.dataset
    several = dataset.get('type') == 'ConcatDataset'
    entries = dataset.datasets if several else [dataset]
    return [each.to_dict() for each in entries]


def _check_name(name: str) -> None:
    if name != Path(name).name or name.startswith('.'):
        raise ValueError(f'the name of a set must do for a folder: {name!r}')


def _check_clips(dataset: Any) -> None:
    if not hasattr(dataset, 'names'):
        raise ValueError(
            f'{type(dataset).__name__} does not tell the `names` of its clips'
        )


def _digest_names(root: Path) -> str:
    """Compute a digest of the names and sizes of a set's files."""
    paths = sorted(
        path
        for folder in ('gt', 'lq', 'text')
        for path in (root / folder).rglob('*')
        if path.is_file() and not path.name.startswith('.')
    )
    lines = [
        f'{path.relative_to(root).as_posix()} {path.stat().st_size}'
        for path in paths
    ]
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0] if lines else type(error).__name__
