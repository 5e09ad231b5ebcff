"""The weights that configs, baselines and metrics name, and where they lie."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.apis.inference.weights import WeightFile, find_local
from star.evaluation import weight_files as metric_files
from star.models.editors import weight_files as baseline_files
from star.utils import weight_files
from star.utils.paths import config_root

Row = tuple[str, Path | None, str]  # name, place, how to get it


def list_weights() -> Iterator[Row]:
    """List every weight file; nothing is downloaded."""
    yield from _configs()
    for table in (baseline_files.FILES, metric_files.FILES):
        yield from _published(table)


def _configs() -> Iterator[Row]:
    """List the files of the configs in `configs/star`."""
    for path in sorted((config_root() / 'star').glob('*.py')):
        wanted = Config.fromfile(path).get('weights') or {}
        if 'asset' in wanted:
            file = WeightFile(wanted['asset'])
            yield f'{path.stem}: {file.name}', find_local(file), ''
            continue
        for entry in _entries(wanted):
            file = WeightFile(**entry)
            hint = f'downloaded from {file.repo} when it is first used'
            if file.made_by:
                hint = f'{file.made_by}, from {file.made_from}'
            yield f'{path.stem}: {file.name}', find_local(file), hint


def _entries(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = [v for k, v in wanted.items() if k not in ('variants', 'random')]
    return [*parts, *wanted.get('variants', {}).values()]


def _published(table: weight_files.Table) -> Iterator[Row]:
    for name, entry in table.items():
        hint = f'get it from {entry.page}' if entry.page else 'made by hand'
        if entry.url:
            hint = f'downloaded from {entry.url} when it is first used'
        try:
            place = weight_files.find_local(table, name, None)
        except ValueError as error:  # another file of that name
            place, hint = None, str(error)
        yield name, place, hint
