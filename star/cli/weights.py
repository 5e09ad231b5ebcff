"""The weight files that configs, baselines and metrics name."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from mmengine.config import Config

from star.evaluation import weight_files as metric_files
from star.models.editors import weight_files as baseline_files
from star.perceptual import weight_files as lpips_files
from star.utils.paths import config_root
from star.utils.weight_files import WeightFile, find_local

Row = tuple[str, Path | None, str]  # name, place, how to get it


def list_weights() -> Iterator[Row]:
    """List every weight file; nothing is downloaded."""
    known: dict[str, tuple[WeightFile, list[str]]] = {}
    for config, file in _config_files():
        _, configs = known.setdefault(f'{file.repo}/{file.file}', (file, []))
        if config not in configs:
            configs.append(config)
    for file, configs in known.values():
        place = find_local(file, verify=False)  # gigabytes
        yield f'{file.name} ({", ".join(configs)})', place, _hint(file)
    for module in (baseline_files, lpips_files, metric_files):
        for file in module.FILES.values():
            yield _published(file)


def _config_files() -> Iterator[tuple[str, WeightFile]]:
    """List the files that restoring with a config of `configs/star` needs."""
    for path in sorted((config_root() / 'star').glob('*.py')):
        wanted: dict[str, Any] = dict(Config.fromfile(path).get('weights', {}))
        if 'asset' in wanted:
            yield path.stem, WeightFile(wanted['asset'])
            continue
        variants = wanted.pop('variants', {})
        wanted.pop('random', None)
        for entry in [*wanted.values(), *variants.values()]:
            yield path.stem, WeightFile(**entry)


def _published(file: WeightFile) -> Row:
    try:
        return file.name, find_local(file), _hint(file)
    except ValueError as error:  # another file of that name
        return file.name, None, str(error)


def _hint(file: WeightFile) -> str:
    """Return how to get a file, and its licence if it is known."""
    licence = f'; licence: {file.licence}' if file.licence else ''
    return f'{_source(file)}{licence}'


def _source(file: WeightFile) -> str:
    if file.made_by:
        return f'{file.made_by} makes it from {file.source}'
    if file.repo or file.url:
        host = urlsplit(file.url).hostname or file.repo
        return f'downloaded from {host} at first use'
    if file.source:
        return f'get it from {file.source}'
    return 'give a folder that holds it with --weights-dir'
