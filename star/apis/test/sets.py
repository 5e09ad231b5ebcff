"""Test sets: choosing them from a config, building and joining them."""

import copy
import hashlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, Protocol

from mmengine.config import Config
from torch import Tensor, empty, uint8
from torch.utils.data import Dataset

from star.apis.train.training import config_error
from star.models.editors import SavedResults
from star.registry import DATASETS
from star.structures import VideoSample
from star.utils.errors import error_line
from star.utils.files import is_hidden

Item = dict[str, Tensor | VideoSample]
# raised for a missing, damaged or too large file
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
            ConcatDataset; `further_test_sets`, if there are any, is a list
            of sets that are tested only if `names` has them.
        names: of the sets to test on; None for those of `folders`, or without
            `folders` for all sets of `test_dataloader`.
        folders: by name of the set; each replaces a set of the config, whose
            scale it keeps, or adds one.
        num_frames: test only the first frames of each clip; None for all.

    Returns:
        Configs of the sets by name, in the config's order.

    Raises:
        ValueError: a name is unknown, no file name, or used twice, or a set
            of `folders` is not among `names`.
    """
    found = list_sets(config)
    for name, folder in (folders or {}).items():
        found[name] = {
            'type': 'VideoFolder',
            'name': name,
            'data_root': folder,
            **{k: v for k, v in found.get(name, {}).items() if k == 'scale'},
        }
    usual = [_name_of(entry) for entry in _entries(config)]
    wanted = list(names or folders or usual)
    unknown = [name for name in wanted if name not in found]
    if unknown:
        raise ValueError(
            f'there is no set {unknown[0]!r}, only {", ".join(found)}; add it '
            f'with --set {unknown[0]}=FOLDER'
        )
    unused = [name for name in folders or {} if name not in wanted]
    if unused:
        raise ValueError(
            f'--set {unused[0]}=FOLDER is not used: --sets does not name '
            f'{unused[0]}'
        )
    for name in wanted:
        _check_name(name)
    if num_frames is not None:
        found = {k: {**v, 'num_frames': num_frames} for k, v in found.items()}
    return {name: entry for name, entry in found.items() if name in wanted}


def list_sets(config: Config) -> dict[str, dict]:
    """List all test sets of a config.

    Args:
        config: as for `choose_sets`.

    Returns:
        Their configs by name.

    Raises:
        ValueError: two sets have one name.
    """
    found: dict[str, dict] = {}
    for entry in _entries(config):
        name = _name_of(entry)
        if name in found:
            raise ValueError(f'config {config.filename}: two sets {name!r}')
        found[name] = {**entry, 'name': name}
    for entry in config.get('further_test_sets', []):
        name = _name_of(entry)
        found.setdefault(name, {**entry.to_dict(), 'name': name})
    return found


class ClipSet(Protocol):
    """A data set to test on.

    It may state `has_gt`, whether its clips have ground truth. A test that
    asks for scores which it cannot have is then refused before it begins.
    """

    @property
    def names(self) -> Sequence[str]:
        """Names of the clips, each usable as a file name."""

    def __len__(self) -> int:
        """Return the number of clips."""

    def __getitem__(self, index: int) -> Item:
        """Return `inputs`, (T, 3, h, w) uint8, and a clip's `data_samples`."""


def build_sets(configs: Mapping[str, dict]) -> dict[str, ClipSet]:
    """Build test sets.

    Args:
        configs: by name, from `choose_sets`.

    Returns:
        The data sets by name.

    Raises:
        ValueError: sets cannot be built; one line for each, with its name.
    """
    sets: dict[str, ClipSet] = {}
    faults = []
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


def describe_set(
    config: Mapping[str, Any], dataset: ClipSet
) -> dict[str, Any]:
    """Return what decides the scores of a set, as JSON can hold it.

    Args:
        config: of the set.
        dataset: built from it.

    Returns:
        `clips`, their number; `frames`, the limit for each clip or None;
        `manifest_sha256`, or without a manifest `files_sha256` of the names
        and sizes of the files, both None for a set without `data_root`;
        `options`, the rest of the config.
    """
    manifest = getattr(dataset, 'manifest_sha256', None)
    root = config.get('data_root')
    unlisted = root is not None and not manifest
    options = {
        key: value
        for key, value in config.items()
        if key not in ('data_root', 'name', 'num_frames', 'type')
    }
    return {
        'clips': len(dataset),
        'frames': config.get('num_frames'),
        'manifest_sha256': manifest,
        'files_sha256': _digest_names(Path(str(root))) if unlisted else None,
        'options': {'type': config['type'], **copy.deepcopy(options)},
    }


class JoinedSets(Dataset):
    """Joins the clips of several sets.

    A clip that cannot be read is an item as well; the `problem` of its sample
    says why.

    Args:
        sets: data sets by name.
        saved: results to read as the samples' `pred`; None for none.
        kept: readers of clips that were restored before, by the names of
            `key`; what they return is the sample's `pred`.
    """

    def __init__(
        self,
        sets: Mapping[str, ClipSet],
        saved: SavedResults | None = None,
        kept: Mapping[tuple[str, str], Callable[[], Tensor]] | None = None,
    ) -> None:
        self.sets, self.saved, self.kept = dict(sets), saved, kept or {}
        self.clips = [
            (name, i) for name, each in sets.items() for i in range(len(each))
        ]

    def __len__(self) -> int:
        return len(self.clips)

    def __getitem__(self, index: int) -> Item:
        """Read a clip; its sample has the names of `key`."""
        dataset, number = self.clips[index]
        lq, sample = empty(0, 3, 1, 1, dtype=uint8), VideoSample()
        name = self.key(index)[1]
        try:
            item: Any = self.sets[dataset][number]
            lq, sample = item['inputs'], item['data_samples']
            if self.saved is not None:
                sample.pred, sample.files['pred'] = self.saved.read(
                    *(dataset, name, lq, sample.gt), _source_of(sample)
                )
            elif (dataset, name) in self.kept:
                sample.pred = self.kept[dataset, name]()
        except _UNREADABLE as error:
            sample.problem = error_line(error)
        sample.dataset, sample.name = dataset, name
        return {'inputs': lq, 'data_samples': sample}

    def key(self, index: int) -> tuple[str, str]:
        """Return the names of a clip's set and of the clip."""
        dataset, number = self.clips[index]
        return dataset, self.sets[dataset].names[number]


def _source_of(sample: VideoSample) -> Path | None:
    """Return the path of a clip's ground truth, or of its input."""
    path = sample.files.get('gt') or sample.files.get('lq')
    return Path(path) if path else None


def _entries(config: Config) -> list[dict]:
    dataset = config.test_dataloader.dataset
    several = dataset.get('type') == 'ConcatDataset'
    entries = dataset.datasets if several else [dataset]
    return [each.to_dict() for each in entries]


def _name_of(entry: Mapping[str, Any]) -> str:
    """Return a set's name; without one its folder's or its type's."""
    folder = Path(str(entry.get('data_root', ''))).name
    return str(entry.get('name') or folder or entry['type'])


def _check_name(name: str) -> None:
    if name != Path(name).name or name.startswith('.'):
        raise ValueError(f'the name of a set must name a folder, got {name!r}')


def _check_clips(dataset: object) -> None:
    if not hasattr(dataset, 'names'):
        raise ValueError(
            f'{type(dataset).__name__} lacks `names`, those of its clips'
        )
    if len(dataset.names) == 0:
        raise ValueError('it has no clips')


def _digest_names(root: Path) -> str:
    """Compute a digest of the names and sizes of a set's files."""
    paths = sorted(
        path
        for folder in ('gt', 'lq', 'text')
        for path in (root / folder).rglob('*')
        if path.is_file() and not is_hidden(path)
    )
    lines = [
        f'{path.relative_to(root).as_posix()} {path.stat().st_size}'
        for path in paths
    ]
    return hashlib.sha256('\n'.join(lines).encode()).hexdigest()
