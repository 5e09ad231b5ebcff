"""The origin of each tensor of a model: a file, random numbers, its config.

The record of a model travels with it: results and logs show it, and a
checkpoint takes from it which frozen tensors it need not hold, because a file
has them.
"""

import hashlib
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

from torch import nn

from star.utils.files import sha256_of
from star.utils.randomness import named_tensors
from star.utils.state_dicts import clean_name

FILE, RANDOM, CONFIG = 'file', 'random', 'config'
CHECKPOINT = 'checkpoint'  # slot of a file that a training wrote
METADATA = 'star.origins'  # of a published safetensors file
_NAMES = {
    FILE: 'a file',
    RANDOM: 'RANDOM numbers',
    CONFIG: 'computed by the config',
}
_RECORD, _BY_NAME = 'weight_record', 'random_by_name'


@dataclass(frozen=True)
class SourceFile:
    """A file that a model was loaded from.

    Args:
        slot: what it is for: a key of the config's `weights`, 'checkpoint',
            or the dotted name of an entry of the config.
        path: of the file; where there are several, of their folder.
        known: its SHA-256; empty to compute it when it is needed.
        prefixes: names of the tensors that it holds, or beginnings of them
            that end with a dot; '' for all.
    """

    slot: str
    path: str
    known: str = ''
    prefixes: tuple[str, ...] = ('',)

    @property
    def name(self) -> str:
        """The last part of its path."""
        return Path(self.path).name

    @cached_property
    def sha256(self) -> str:
        """SHA-256 of its content, in hexadecimal."""
        return self.known or digest_of(self.path)

    def has(self, name: str) -> bool:
        """Return whether it holds a tensor."""
        starts = tuple(p for p in self.prefixes if not p or p.endswith('.'))
        return name.startswith(starts) or name in self.prefixes

    def to_json(self) -> dict[str, Any]:
        """Return builtin types."""
        return {
            'slot': self.slot,
            'path': self.path,
            'sha256': self.sha256,
            'prefixes': list(self.prefixes),
        }


@dataclass(frozen=True)
class Origin:
    """The common origin of several tensors of one part of a model.

    Args:
        part: name of the model's child.
        kind: 'file', 'random', or 'config' for what the config computes.
        file: None unless `kind` is 'file'.
        tensors: number of parameters and buffers.
        parameters: number of values in them.
    """

    part: str
    kind: str
    file: SourceFile | None = None
    tensors: int = 0
    parameters: int = 0

    def to_json(self) -> dict[str, Any]:
        """Return builtin types; the file by its name and SHA-256."""
        return {
            'part': self.part,
            'kind': self.kind,
            'source': self.file.name if self.file else '',
            'sha256': self.file.sha256 if self.file else '',
            'tensors': self.tensors,
            'parameters': self.parameters,
        }


@dataclass(frozen=True)
class WeightRecord:
    """The origins of all tensors of a model.

    Args:
        origins: by part; those of one part follow each other.
        files: that the model was loaded from.
        in_files: names of the tensors that `files` hold, other than those
            of a training.
    """

    origins: Sequence[Origin]
    files: Sequence[SourceFile]
    in_files: frozenset[str] = frozenset()

    def lacking(self, names: Collection[str]) -> list[SourceFile]:
        """Return the files that have some of the named tensors.

        A file without tensors, such as a tokenizer's, belongs to the others.
        """
        return [
            file
            for file in self.files
            if any(map(file.has, names)) or (names and not file.prefixes)
        ]

    def to_json(self, lacking: Collection[str] = ()) -> dict[str, Any]:
        """Return origins, and the files of some tensors, as builtin types.

        Args:
            lacking: names of the tensors whose files are recorded.
        """
        return {
            'origins': [each.to_json() for each in self.origins],
            'files': [each.to_json() for each in self.lacking(lacking)],
        }


def read_record(value: Mapping[str, Any]) -> WeightRecord:
    """Make a record of what `WeightRecord.to_json` returned.

    Raises:
        ValueError: it is something else.
    """
    try:
        origins = [_read_origin(each) for each in value['origins']]
        files = [_read_file(each) for each in value['files']]
    except (KeyError, TypeError) as error:
        raise ValueError(f'not a record of origins: {error!r}') from error
    return WeightRecord(origins, files)


def _read_origin(value: Mapping[str, Any]) -> Origin:
    kind, sha256 = value['kind'], value['sha256']
    file = SourceFile('', value['source'], sha256, ()) if sha256 else None
    return Origin(
        value['part'], kind, file, value['tensors'], value['parameters']
    )


def _read_file(value: Mapping[str, Any]) -> SourceFile:
    prefixes = tuple(value['prefixes'])
    return SourceFile(value['slot'], value['path'], value['sha256'], prefixes)


def account(
    model: nn.Module, random: Iterable[str], files: Sequence[SourceFile]
) -> WeightRecord:
    """State the origin of every parameter and buffer of a model.

    Args:
        model: built and loaded.
        random: names of the tensors that hold random numbers.
        files: that it was loaded from; the last that covers a name counts.
    """
    random = set(random)
    groups: dict[tuple, list[int]] = {}
    held = set()
    for name, tensor in named_tensors(model).items():
        file, kind = None, CONFIG
        if name in random:
            kind = RANDOM
        elif (file := _file_of(name, files)) is not None:
            kind = FILE
            if file.slot != CHECKPOINT:  # it may be gone tomorrow
                held.add(name)
        key = (name.partition('.')[0], kind, file)
        groups.setdefault(key, []).append(tensor.numel())
    origins = [
        Origin(part, kind, file, len(sizes), sum(sizes))
        for (part, kind, file), sizes in groups.items()
    ]
    return WeightRecord(_merged(origins), files, frozenset(held))


def describe_origins(origins: Iterable[Origin]) -> list[str]:
    """Return one line for each origin that has numbers."""
    lines = []
    for each in origins:
        if not each.parameters:
            continue
        source = _NAMES[each.kind]
        if each.file is not None:
            source = f'{each.file.name} (SHA-256 {each.file.sha256[:12]})'
        lines.append(f'{each.part}: {source}, {each.parameters:,} values')
    return lines


def file_of(slot: str, path: Path, prefixes: Sequence[str]) -> SourceFile:
    """Describe a file, or a folder with safetensors files."""
    return SourceFile(slot, str(path.absolute()), '', tuple(prefixes))


def digest_of(path: str | Path) -> str:
    """Compute the SHA-256 of a file; of a folder that of its weights'."""
    path = Path(path)
    if path.is_file():
        return sha256_of(path)
    digests = [sha256_of(each) for each in sorted(path.glob('*.safetensors'))]
    if len(digests) == 1:
        return digests[0]
    return hashlib.sha256(' '.join(digests).encode()).hexdigest()


def allow_random(module: nn.Module) -> None:
    """Mark a part whose random numbers its config asked for by name."""
    setattr(module, _BY_NAME, True)


def not_allowed(model: nn.Module, names: Iterable[str]) -> set[str]:
    """Leave out the tensors of parts that may be random by name."""
    marked = [
        f'{name}.' if name else ''
        for name, module in model.named_modules()
        if getattr(module, _BY_NAME, False)
    ]
    return {name for name in names if not name.startswith(tuple(marked))}


def set_record(model: nn.Module, record: WeightRecord) -> None:
    """Attach a record to a model."""
    setattr(model, _RECORD, record)


def get_record(model: object) -> WeightRecord | None:
    """Return a model's record; None if it was built otherwise."""
    return getattr(model, _RECORD, None)


def record_of(model: object) -> WeightRecord:
    """Return the record of a model that `load_model` built."""
    record = get_record(model)
    assert record is not None, 'the model was built otherwise'
    return record


def is_random(model: object) -> bool:
    """Return whether the record of a model says that a part is random."""
    record = get_record(model)
    return record is not None and any(
        each.kind == RANDOM for each in record.origins
    )


def held_names(model: nn.Module, names: Iterable[str]) -> set[str]:
    """Pick the names of the tensors that a checkpoint must hold.

    These are all but the frozen parameters that a file has.

    Args:
        model: parts of it may be wrapped.
        names: of all tensors, as without wrappers.
    """
    record = get_record(model)
    in_files = frozenset() if record is None else record.in_files
    named = model.named_parameters()
    learn = {clean_name(name) for name, p in named if p.requires_grad}
    buffers = {clean_name(name) for name, _ in model.named_buffers()}
    return {
        name
        for name in names
        if name in learn or name in buffers or name not in in_files
    }


def _file_of(name: str, files: Sequence[SourceFile]) -> SourceFile | None:
    fits = [file for file in files if file.has(name)]
    return fits[-1] if fits else None


def _merged(origins: list[Origin]) -> list[Origin]:
    """Count what is no random number as random in a part that has no file.

    Its zeros and ones are the initial values of what is to be trained.
    """
    parts = {each.part for each in origins}
    found = []
    for part in sorted(parts):
        own = [each for each in origins if each.part == part]
        kinds = {each.kind for each in own}
        if RANDOM in kinds and FILE not in kinds:
            count = sum(each.tensors for each in own)
            size = sum(each.parameters for each in own)
            own = [Origin(part, RANDOM, None, count, size)]
        found += own
    return found
