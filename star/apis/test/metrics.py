"""Metrics of a test: choosing them from a config and building them."""

import inspect
import re
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.registry import METRICS
from star.structures import Metric
from star.utils.building import build_available

_COMMA = re.compile(r',(?![^\[(]*[\])])')  # not within brackets


@dataclass(frozen=True)
class Metrics:
    """The metrics that could be built, and the reasons for the others.

    Args:
        built: with different names.
        problems: one line for each metric that could not be built.
        named: the user named them, so each must score every set.
    """

    built: list[Metric]
    problems: list[str]
    named: bool = False


def choose_metrics(
    config: Config, words: Sequence[str] | None = None
) -> list[dict]:
    """Choose metrics of a config, and others by name.

    Args:
        config: with `test_evaluator`.
        words: `NAME` for the config's metrics of that type, or for one with
            default options if the config has none; `NAME:KEY=VALUE,...` for
            one with these options. Upper and lower case are equal. A named
            metric scores all sets, whatever `datasets` the config gives it.
            None for all metrics of the config.

    Returns:
        Configs of the metrics.

    Raises:
        ValueError: unknown metric, or options that cannot be read.
    """
    own = _own_metrics(config)
    if words is None:
        return own
    chosen: list[dict] = []
    for word in words:
        name, _, options = word.partition(':')
        kind = _find_type(name)
        given = [_for_all_sets(each) for each in own if each['type'] == kind]
        if options or not given:
            given = [{'type': kind, **_read_options(word, options)}]
        chosen += [each for each in given if each not in chosen]
    return chosen


def build_metrics(
    configs: Sequence[Mapping[str, Any]],
    device: str,
    weights_dir: str | Path | None = None,
) -> Metrics:
    """Build metrics; skip those whose package or weights are missing.

    Args:
        configs: of the metrics.
        device: where networks run, unless the config of the metric states
            another device.
        weights_dir: folder that is searched first for files of weights.

    Raises:
        ValueError: two metrics have one name, or none could be built.
    """
    extra = {'device': device, 'weights_dir': weights_dir}
    built, problems = build_available(
        configs, lambda config: METRICS.build(_complete(config, extra))
    )
    if not built:
        found = problems or ['the config names none']
        raise ValueError('there is no metric: ' + '; '.join(found))
    return Metrics(list(built.values()), problems)


def _own_metrics(config: Config) -> list[dict[str, Any]]:
    given = config.test_evaluator or []
    own = [given] if isinstance(given, Mapping) else given  # as in mmengine
    if not all(isinstance(each, Mapping) and 'type' in each for each in own):
        raise ValueError(
            '`test_evaluator` must be a list of dictionaries such as '
            f"{{'type': 'PSNR'}}, got {given!r}"
        )
    return [dict(each) for each in own]


def is_for(metric: Metric, dataset: str) -> bool:
    """Return whether a metric is for a set of that name."""
    return metric.datasets is None or dataset in metric.datasets


def _for_all_sets(config: Mapping[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in config.items() if key != 'datasets'}


def _complete(
    config: Mapping[str, Any], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Add those options that the metric's class has."""
    kind = METRICS.get(config['type'])
    names = inspect.signature(kind).parameters if kind else {}
    added = {
        key: value
        for key, value in extra.items()
        if key in names and value is not None
    }
    return {**added, **config}


def _find_type(name: str) -> str:
    METRICS.import_from_location()
    known = sorted(METRICS.module_dict)
    for kind in known:
        if kind.lower() == name.lower():
            return kind
    raise ValueError(
        f'there is no metric {name!r}, only {", ".join(known)}; write '
        'variants as LPIPS:net=squeeze'
    )


def _read_options(word: str, text: str) -> dict[str, Any]:
    options = {}
    for pair in filter(None, _COMMA.split(text)):
        key, equals, value = pair.partition('=')
        if not (key and equals and value):
            raise ValueError(f'metrics are NAME:KEY=VALUE,..., got {word!r}')
        options[key] = _value(value)
    return options


def _value(text: str) -> Any:
    try:
        return literal_eval(text)
    except (SyntaxError, ValueError):
        return text
