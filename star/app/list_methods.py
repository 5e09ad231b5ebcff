"""Print the methods that can restore on this machine, as JSON.

Networks are built without memory, and no weights are read.
"""

import json
import warnings
from collections.abc import Iterator, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any

from mmengine.config import Config
from torch import nn

from star.apis.inference.baselines import names_files
from star.apis.inference.build import (
    DEFAULT_CONFIG,
    build_model,
    load_config,
    on_meta,
    without_text,
)
from star.apis.inference.model_files import prefixes_of
from star.apis.inference.weights import weight_entries
from star.app.methods import Method
from star.models.editors.weight_files import FILES
from star.utils.paths import config_root
from star.utils.weight_files import WeightFile, find_local
from star.video.color_fix import COLOR_FIXES

_LEFT_OUT = ('ablations',)  # folders of configs that nobody restores with
_NO_METHODS = ('saved_results',)
_NO_PROMPT = ('ConstantTextEncoder', 'none')  # text has no meaning to them
_BYTES = 4  # of a parameter in float32


def main() -> None:
    """Print a JSON list in one line."""
    warnings.simplefilter('ignore')
    found = [asdict(method) for method in list_methods()]
    print(json.dumps(found))


def list_methods() -> list[Method]:
    """List the methods: the default, those that are here, the others."""
    found = [method for config in _configs() for method in _methods(config)]
    return sorted(
        found,
        key=lambda m: (m.name != DEFAULT_CONFIG, bool(m.missing), m.key),
    )


def _configs() -> Iterator[Config]:
    """Yield the configs to restore with; of equal ones, the shortest name."""
    paths = [
        path
        for path in config_root().glob('[!_]*/*.py')
        if path.parent.name not in _LEFT_OUT and path.stem not in _NO_METHODS
    ]
    seen = set()
    for path in sorted(paths, key=lambda p: (len(p.stem), p.stem)):
        config = load_config(path)
        content = _content(config)
        if content not in seen:
            seen.add(content)
            yield config


def _content(config: Config) -> str:
    """Describe what tells a method from others: its weights, or itself."""
    return str(dict(config.get('weights', {})) or dict(config.model))


def _methods(config: Config) -> Iterator[Method]:
    """Yield the methods of a config: one for each word of its weights."""
    wanted = config.get('weights', {})
    if wanted.get('random', False):
        return
    try:
        with on_meta():
            model: Any = build_model(without_text(config))
    except (ImportError, ValueError):  # an extra is missing; a broken config
        return
    if names_files(config):
        if FILES.keys() >= set(model.weight_files):  # None: user's own
            files = {name: FILES[name] for name in model.weight_files}
            yield from _method(config, model, files)
        return
    files = weight_entries(wanted)
    words = wanted.get('variants', {})
    for word, entry in words.items():
        chosen = {**files, 'star': WeightFile(**entry)}
        yield from _method(config, model, chosen, word)
    if not words:
        yield from _method(config, model, files)


def _method(
    config: Config,
    model: Any,
    files: Mapping[str, WeightFile],
    word: str = '',
) -> Iterator[Method]:
    """Yield a method, unless files are missing that no program can fetch."""
    missing = {
        slot: file for slot, file in files.items() if not _is_here(file)
    }
    if any(f.made_by or not (f.url or f.repo) for f in missing.values()):
        return
    sizes = {slot: _size(model, slot) for slot in missing}
    if names_files(config) and missing:  # one network, several files
        sizes = {'all': _size(model, '')}
    licences = {file.licence for file in files.values() if file.licence}
    yield Method(
        Path(config.filename).stem,
        word,
        tuple(sorted(_used(config, model))),
        tuple(COLOR_FIXES),
        model.restore_options.scale,
        ', '.join(sorted(licences)),
        tuple(f'{f.name} from {_origin(f)}' for f in missing.values()),
        sum(sizes.values()),
        sum(size == 0 for size in sizes.values()),
    )


def _is_here(file: WeightFile) -> bool:
    return find_local(file, verify=False) is not None


def _origin(file: WeightFile) -> str:
    return file.repo or file.url.split('/')[2]


def _used(config: Config, model: Any) -> set[str]:
    """Return the options that matter; the text only where it is read."""
    text = config.model.get('text_encoder', {}).get('type', '')
    return set(model.options_used) - (
        {'prompt'} if text in _NO_PROMPT else set()
    )


def _size(model: nn.Module, slot: str) -> int:
    """Return the bytes of the tensors of a file; 0 where they are unknown."""
    prefixes = prefixes_of(model, slot) if slot else ('',)
    return _BYTES * sum(
        p.numel()
        for n, p in model.named_parameters()
        if n.startswith(prefixes)
    )


if __name__ == '__main__':
    main()
