"""The protocol of a test, and the check that a folder has the same one."""

import hashlib
import json
import platform
from collections.abc import Collection, Mapping, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import av
import cv2
import mmengine
import numpy as np
import torch
from mmengine.config import Config

import star
from star.apis.inference.devices import dtype_of
from star.apis.inference.savings import describe_savings
from star.apis.test.clip_files import KINDS
from star.apis.test.method import TestedMethod
from star.utils.config import describe_differences, flatten
from star.utils.files import read_json, write_json

RUN_FILE, RECORDS = 'run.json', 'clips'
IN_MEMORY = 'restored in memory'  # source of scored clips
# these may change when a test is started again
_FREE = (
    'method.checkpoint',
    'method.config',
    'method.name',
    'protocol.device',
    'protocol.fingerprint',  # follows from the others
    'protocol.threads',
)


def describe_method(
    name: str, config: Config, method: TestedMethod
) -> dict[str, Any]:
    """Return what identifies a method, as JSON can hold it.

    Args:
        name: of the method, in tables.
        config: of the method.
        method: built from `config`.
    """
    model: Any = method.model  # restores as well
    dtype = dtype_of(model) or torch.float32
    return {
        'name': name,
        'config': config.filename,
        'type': type(model).__name__,
        'checkpoint': method.checkpoint,
        'weights': method.files,
        'random_init': method.random_init,
        'origins': [each.to_json() for each in method.origins],
        'options': model.describe_options(model.restore_options),
        'model': config.model.to_dict(),
        'dtype': str(dtype).removeprefix('torch.'),
        **describe_savings(model),
    }


def describe_protocol(
    metrics: Sequence[Mapping[str, Any]],
    sets: Mapping[str, Any],
    seed: int,
    source: str,
    device: torch.device,
) -> dict[str, Any]:
    """Return how results are made, as JSON can hold it.

    Args:
        metrics: what `describe` of each metric returns.
        sets: what `describe_set` returns for each set, by name.
        seed: of the restoration.
        source: of the scored clips, such as 'restored in memory'.
        device: that restores.

    Returns:
        The arguments, versions, and `fingerprint`, a digest of metrics and
        sets: tests with equal fingerprints can be compared.
    """
    return {
        'fingerprint': _fingerprint(metrics, sets),
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
    work_dir: str | Path, facts: Mapping[str, Any], again: bool = False
) -> dict[str, Any]:
    """Claim an empty folder for a test, or check that it holds the same test.

    Args:
        work_dir: the folder.
        facts: as for `join_facts`.
        again: metrics are computed from clips that the test saved; the
            protocol's `input` then names the kind of their files as well.

    Returns:
        The facts that the folder has now.

    Raises:
        ValueError: as for `join_facts`.
    """
    joined = join_facts(work_dir, facts)
    sources = joined['protocol']['input'].split(', ')
    if again and sources[0] == IN_MEMORY:
        sources.append(KINDS[joined['save']])
        joined['protocol']['input'] = ', '.join(dict.fromkeys(sources))
    write_json(Path(work_dir) / RUN_FILE, joined)
    return joined


def join_facts(
    work_dir: str | Path, facts: Mapping[str, Any]
) -> dict[str, Any]:
    """Join the facts of a test with those of the folder that it continues.

    Args:
        work_dir: the folder, which may be new.
        facts: `method`, `protocol` and everything else that must not change
            when the test is started again. Other metrics may be added; those
            of the folder stay. `save` may be left out.

    Returns:
        The facts with the metrics of both, after a round trip through JSON.

    Raises:
        ValueError: the folder holds a test with other facts, or records
            without any.
    """
    path = Path(work_dir) / RUN_FILE
    if not path.exists() and (path.parent / RECORDS).exists():
        raise ValueError(
            f'{path.parent} holds records of an unknown protocol, without '
            f'{RUN_FILE}; choose another --work-dir, or remove this one'
        )
    current = json.loads(json.dumps(facts, default=str))
    if not path.exists():
        return current
    saved = read_json(path)
    if current.get('save') is None and 'save' in saved:
        current['save'] = saved['save']
    _compare(path, saved, current)
    return _join(saved, current)


def _join(saved: dict[str, Any], current: dict[str, Any]) -> dict[str, Any]:
    """Add what stands in the folder to the facts of the test."""
    before, protocol = saved['protocol'], current['protocol']
    here = [each['name'] for each in protocol['metrics']]
    there = [each['name'] for each in before['metrics']]
    if not set(there) <= set(here):
        new = [e for e in protocol['metrics'] if e['name'] not in there]
        protocol['metrics'] = [*before['metrics'], *new]
    fingerprint = _fingerprint(protocol['metrics'], protocol['sets'])
    protocol |= {'input': before['input'], 'fingerprint': fingerprint}
    return current


def _fingerprint(metrics: Any, sets: Any) -> str:
    decides = json.dumps([metrics, sets], sort_keys=True, default=str)
    return hashlib.sha256(decides.encode()).hexdigest()


def _compare(path: Path, saved: Any, current: Any) -> None:
    names = [
        {each['name'] for each in facts['protocol']['metrics']}
        for facts in (saved, current)
    ]
    common = names[0] & names[1]
    # other sets are named once, without all their options
    for list_facts in _names, partial(_facts, names=common):
        found = describe_differences(
            list_facts(saved), list_facts(current), _FREE
        )
        if found:
            raise ValueError(
                f'{path.parent} holds a test with another protocol: {found}; '
                'choose another --work-dir, or remove this one'
            )


def _names(facts: Mapping[str, Any]) -> dict[str, str]:
    """List the names of the sets."""
    sets = facts['protocol']['sets']
    return {'protocol.sets': ', '.join(sorted(sets))}


def _facts(facts: Mapping[str, Any], names: Collection[str]) -> dict[str, str]:
    """List all facts by dotted name, those of some metrics by their names."""
    protocol = facts['protocol']
    metrics = {
        each['name']: each
        for each in protocol['metrics']
        if each['name'] in names
    }
    source = protocol['input']
    if source.startswith(IN_MEMORY):  # others came with added metrics
        source = IN_MEMORY
    protocol = {**protocol, 'metrics': metrics, 'input': source}
    return flatten({**facts, 'protocol': protocol})


def _device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'{device.type} ({platform.machine()})'
