"""By which rules a test was made, and whether a folder's were the same."""

import hashlib
import json
import platform
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from pathlib import Path
from typing import Any

import av
import cv2
import mmengine
import numpy as np
import torch
from mmengine.config import Config

import star
from star.apis.test.method import Method
from star.models.editors import Baseline
from star.models.restoration.options import RestoreOptions
from star.utils.files import read_json, write_json

_NAMED = ('protocol.metrics', 'protocol.sets')
RUN_FILE, RECORDS = 'run.json', 'clips'
# these may change from one start of a run to the next
_FREE = (
    'method.checkpoint',
    'method.config',
    'method.name',
    'protocol.device',
    'protocol.fingerprint',  # follows from the others
    'protocol.threads',
)


def describe_method(
    name: str, config: Config, method: Method
) -> dict[str, Any]:
    """Tell what was tested, to be written as JSON.

    Args:
        name: of the method, in tables.
        config: its config.
        method: built from it.
    """
    options = getattr(method.model, 'restore_options', None)
    assert isinstance(options, RestoreOptions), 'a model that restores'
    weight = next(method.model.parameters(), torch.empty(0))
    if isinstance(method.model, Baseline):
        described = method.model.describe_options(options)
    else:
        described = asdict(options)
    return {
        'name': name,
        'config': config.filename,
        'type': type(method.model).__name__,
        'checkpoint': method.checkpoint,
        'weights': method.files,
        'random_init': method.random_init,
        'options': described,
        'model': config.model.to_dict(),
        'dtype': str(weight.dtype).removeprefix('torch.'),
    }


def describe_protocol(
    metrics: Sequence[Mapping[str, Any]],
    sets: Mapping[str, Any],
    seed: int,
    source: str,
    device: torch.device,
) -> dict[str, Any]:
    """Tell how results were made, to be written as JSON.

    Args:
        metrics: each as its `describe` tells.
        sets: by name, each as `describe_set` tells.
        seed: of the restoration.
        source: of what was scored, such as 'restored in memory'.
        device: that restored.

    Returns:
        These, versions, and a `fingerprint` of what decides whether two
        tests can be compared: metrics and sets.
    """
    decides = json.dumps([metrics, sets], sort_keys=True, default=str)
    return {
        'fingerprint': hashlib.sha256(decides.encode()).hexdigest(),
        'metrics': list(metrics),
        'sets': dict(sets),
        'versions': {
            'python': platform.python_version(),
            'torch': torch.__version__,
            'star': star.__version__,
            'av': av.__version__,
            'mmengine': mmengine.__version__,
            'numpy': np.__version__,
            'opencv': cv2.__version__,
        },
        'decoder': f'PyAV {av.__version__} (FFmpeg {av.ffmpeg_version_info})',
        'seed': seed,
        'input': source,
        'device': _device_name(device),
        'threads': torch.get_num_threads(),
    }


def claim_folder(
    work_dir: str | Path, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Make a folder a run's, or check that it is this run's already.

    Args:
        work_dir: the folder.
        facts: `method`, `protocol` and whatever else must not change between
            the starts of a run.

    Returns:
        The facts as JSON gives them back.

    Raises:
        ValueError: the folder is of a run by other rules, the first few of
            which are named, or its rules are not known.
    """
    path = Path(work_dir) / RUN_FILE
    if not path.exists() and (path.parent / RECORDS).exists():
        raise ValueError(
            f'{path.parent} holds records by unknown rules, without '
            f'{RUN_FILE}; choose another --work-dir, or remove this one'
        )
    current = json.loads(json.dumps(facts, default=str))
    if path.exists():
        _compare(path, read_json(path), current)
    write_json(path, current)
    return current


def _compare(path: Path, saved: Any, current: Any) -> None:
    ours, theirs = (_leaves(each) for each in (current, saved))
    names = [
        name
        for name in sorted(ours.keys() | theirs.keys())
        if ours.get(name) != theirs.get(name)
    ]
    # the names of metrics and sets say it; their options would repeat it
    coarse = [name for name in _NAMED if name in names]
    names = [
        n for n in names if not n.startswith(tuple(f'{c}.' for c in coarse))
    ]
    if names:
        shown = ', '.join(
            f'{name} is {theirs.get(name, "not set")} there and '
            f'{ours.get(name, "not set")} here'
            for name in names[:3]
        )
        more = f' and {len(names) - 3} more' if len(names) > 3 else ''
        raise ValueError(
            f'{path.parent} holds a test by other rules: {shown}{more}; '
            'choose another --work-dir, or remove this one'
        )


def _leaves(facts: Mapping[str, Any]) -> dict[str, str]:
    """List what must stay as it is, by dotted name."""
    protocol = facts['protocol']
    metrics = [each['name'] for each in protocol['metrics']]
    return {
        'protocol.metrics': ', '.join(sorted(metrics)),
        'protocol.sets': ', '.join(sorted(protocol['sets'])),
        **{k: v for k, v in _flatten(facts) if not k.startswith(_FREE)},
    }


def _flatten(value: Any, name: str = '') -> Iterator[tuple[str, str]]:
    """List the leaves of nested containers by dotted name."""
    if isinstance(value, Mapping):
        items = list(value.items())
    elif isinstance(value, (list, tuple)):
        items = [(_label(i, item), item) for i, item in enumerate(value)]
    else:
        yield name, json.dumps(value)
        return
    for key, item in items:
        yield from _flatten(item, f'{name}.{key}' if name else str(key))


def _label(index: int, item: Any) -> str:
    """Call a metric in a list by its name."""
    named = isinstance(item, Mapping) and 'name' in item
    return str(item['name'] if named else index)


def _device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'{device.type} ({platform.machine()})'
