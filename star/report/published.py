"""The numbers of the paper (arXiv 2501.02976, tables 1 and 6)."""

import csv
from importlib import resources
from pathlib import PurePosixPath

from star.report.runs import Run

# configs of ours that are the very method of a row
_CONFIGS = {
    'star/i2vgen': 'STAR (I2VGen-XL)',
    'star/i2vgen_fsdp': 'STAR (I2VGen-XL)',
    'star/cogvideox_2b': 'STAR (CogVideoX-2B)',
    'star/cogvideox_5b': 'STAR (CogVideoX-5B)',
}

Published = dict[str, dict[str, dict[str, float]]]


def load_published() -> Published:
    """Read the printed scores: by set, method and metric."""
    source = resources.files('star.report') / 'published.csv'
    table: Published = {}
    for row in csv.DictReader(source.read_text('utf-8').splitlines()):
        methods = table.setdefault(row['set'], {})
        scores = methods.setdefault(row['method'], {})
        scores[row['metric']] = float(row['value'])
    return table


def published_method(run: Run) -> str | None:
    """Name the paper's method that a run is, if it is one.

    That is a config of the same model, or saved results under the paper's
    name of the method. realesr-general-x4v3 and realesr-animevideov3 are not
    the paper's Real-ESRGAN.
    """
    if run.saved:
        names = {m for rows in load_published().values() for m in rows}
        return run.name if run.name in names else None
    path = PurePosixPath(str(run.method.get('config', '')).replace('\\', '/'))
    return _CONFIGS.get('/'.join(path.with_suffix('').parts[-2:]))
