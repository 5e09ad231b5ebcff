"""The numbers of the paper (arXiv 2501.02976, tables 1 and 3 to 7)."""

import csv
from collections.abc import Iterator, Mapping
from importlib import resources
from pathlib import PurePosixPath

from star.report.results import MethodResults

# configs that are a method of tables 1 and 6
_CONFIGS = {
    'star/i2vgen': 'STAR (I2VGen-XL)',
    'star/i2vgen_fsdp': 'STAR (I2VGen-XL)',
    'star/cogvideox_2b': 'STAR (CogVideoX-2B)',
    'star/cogvideox_5b': 'STAR (CogVideoX-5B)',
}

# configs of `configs/ablations` and their rows in tables 3, 4, 5 and 7
_ABLATIONS = {
    'liem_none': [(3, 'none')],
    'liem_spatial': [(3, 'position i, spatial')],
    'liem_temporal': [(3, 'position i, temporal')],
    'liem_both': [
        (3, 'position i, spatial+temporal'),
        (4, 'without frequency loss'),
    ],
    'liem_position_ii': [(3, 'position ii')],
    'liem_position_iii': [(3, 'position iii')],
    'frequency_whole': [(4, 'not separated')],
    'frequency_inverse': [(4, 'separated, inverse')],
    'frequency_direct': [(4, 'separated, direct'), (5, 'b linear, alpha 1')],
    'alpha_0p25': [(5, 'b linear, alpha 0.25')],
    'alpha_0p5': [(5, 'b linear, alpha 0.5')],
    'alpha_1p5': [(5, 'b linear, alpha 1.5')],
    'alpha_2': [(5, 'b linear, alpha 2'), (7, 'beta 1.0')],
    'b_exponential': [(5, 'b exponential')],
    'beta_0p25': [(7, 'beta 0.25')],
    'beta_0p75': [(7, 'beta 0.75')],
    'beta_1p5': [(7, 'beta 1.5')],
    'beta_2': [(7, 'beta 2.0')],
}
# the paper does not name the set of tables 3, 4, 5 and 7; their row of the
# full model has the scores that table 1 has for this set
ABLATION_SET = 'UDM10'
_COMPARISONS = ('1', '6')
_MODEL = 'star/i2vgen'
_ALPHA, _BETA = (f'model.losses.frequency.{n}' for n in ('alpha', 'beta'))

Published = dict[str, dict[str, dict[str, float]]]
PaperRow = tuple[int, str]  # number of the table, setting


def load_published() -> Published:
    """Return tables 1 and 6: scores by set, method and metric."""
    table: Published = {}
    for row in _rows():
        if row['table'] not in _COMPARISONS:
            continue
        methods = table.setdefault(row['set'], {})
        scores = methods.setdefault(row['method'], {})
        scores[row['metric']] = float(row['value'])
    return table


def printed_metrics(name: str) -> set[str]:
    """Return the metrics of tables 1 and 6 on a set; none of other sets."""
    methods = load_published().get(name, {})
    return {metric for scores in methods.values() for metric in scores}


def load_ablations() -> dict[PaperRow, dict[str, float]]:
    """Return tables 3, 4, 5 and 7: scores by row and metric."""
    table: dict[PaperRow, dict[str, float]] = {}
    for row in _rows():
        if row['table'] not in _COMPARISONS:
            key = int(row['table']), row['method']
            table.setdefault(key, {})[row['metric']] = float(row['value'])
    return table


def published_ablations(
    config: str, changes: Mapping[str, str] | None = None
) -> list[PaperRow]:
    """Return the rows of tables 3, 4, 5 and 7 that have this setting.

    Args:
        config: path of a config. Only those of `configs/ablations` and
            `star/i2vgen.py` have rows.
        changes: replaced values of the config, as texts by dotted key. Rows
            exist for one alpha or one beta.
    """
    name, changed = _config_name(config), dict(changes or {})
    if name.startswith('ablations/') and not changed:
        return list(_ABLATIONS.get(name.removeprefix('ablations/'), []))
    if name != _MODEL:
        return []
    if not changed:
        return list(_ABLATIONS['alpha_2'])
    (key, text), *more = changed.items()
    label = {_ALPHA: 'alpha', _BETA: 'beta'}.get(key)
    if more or label is None:
        return []
    return [p for p in load_ablations() if _states(p[1], label, text)]


def _states(setting: str, label: str, text: str) -> bool:
    """Return whether a row's setting ends with a label and this number."""
    head, _, value = setting.rpartition(f'{label} ')
    try:
        return head in ('', 'b linear, ') and float(value) == float(text)
    except ValueError:
        return False


def _rows() -> Iterator[dict[str, str]]:
    source = resources.files('star.report') / 'published.csv'
    yield from csv.DictReader(source.read_text('utf-8').splitlines())


def published_method(results: MethodResults) -> str | None:
    """Return the paper's name of a method; None if the paper lacks it.

    The paper has a method if the config is that of the same model, or if
    saved results have the paper's name. realesr-general-x4v3 and
    realesr-animevideov3 are not the paper's Real-ESRGAN.
    """
    if results.saved:
        names = {m for rows in load_published().values() for m in rows}
        return results.name if results.name in names else None
    return _CONFIGS.get(_config_name(str(results.method.get('config', ''))))


def _config_name(config: str) -> str:
    """Return a config's folder and name, such as star/i2vgen."""
    path = PurePosixPath(config.replace('\\', '/'))
    return '/'.join(path.with_suffix('').parts[-2:])
