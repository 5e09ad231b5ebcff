"""The weights that configs, baselines and metrics name, and where they lie."""

from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.evaluation import weight_files as metric_files
from star.models.editors import weight_files as baseline_files
from star.perceptual import weight_files as lpips_files
from star.utils.paths import config_root
from star.utils.weight_files import WeightFile, find_local

Row = tuple[str, Path | None, str]  # name, place, how to get it


def list_weights() -> Iterator[Row]:
    """List every weight file; nothing is downloaded."""
    yield from _configs()
    for files in (baseline_files, lpips_files, metric_files):
        yield from _published(files.FILES)


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
                hint = f'{file.made_by}, from {file.source}'
            place = find_local(file, verify=False)
            yield f'{path.stem}: {file.name}', place, hint


def _entries(wanted: Mapping[str, Any]) -> list[dict[str, Any]]:
    parts = [v for k, v in wanted.items() if k not in ('variants', 'random')]
    return [*parts, *wanted.get('variants', {}).values()]


def _published(table: Mapping[str, WeightFile]) -> Iterator[Row]:
    for name, file in table.items():
        hint = f'get it from {file.source}' if file.source else 'made by hand'
        if file.url:
            hint = f'downloaded from {file.url} when it is first used'
        try:
            place = find_local(file)
        except ValueError as error:  # another file of that name
            place, hint = None, str(error)
        yield name, place, hint
