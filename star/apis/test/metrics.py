"""The metrics of a test, as a config and a person name them."""

import inspect
import re
from ast import literal_eval
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from mmengine.config import Config

from star.registry import METRICS

# what a metric raises that lacks its extra, its weights or a download
_MISSING = (ImportError, OSError, RuntimeError, ValueError)
_COMMA = re.compile(r',(?![^\[(]*[\])])')  # not within brackets


@dataclass(frozen=True)
class Metrics:
    """The metrics that could be built, and why others could not.

    Args:
        built: with different `name`s.
        problems: one line for each that could not be built.
    """

    built: list[Any]
    problems: list[str]


def choose_metrics(
    config: Config, words: Sequence[str] | None = None
) -> list[dict]:
    """Choose metrics of a config, and others by name.

    Args:
        config: with `test_evaluator`.
        words: `NAME` for the config's metrics of that type, or one with its
            default options where the config has none; `NAME:KEY=VALUE,...`
            for one with these options. Capitals do not count. None for all
            of the config.

    Returns:
        Configs of the metrics.

    Raises:
        ValueError: there is no such metric, or the options cannot be read.
    """
    own = config.test_evaluator
    own = [each.to_dict() for each in own if own] if own else []
    if words is None:
        return own
    chosen: list[dict] = []
    for word in words:
        name, _, options = word.partition(':')
        kind = _find_type(name)
        given = [each for each in own if each['type'] == kind]
        if options or not given:
            given = [{'type': kind, **_read_options(word, options)}]
        chosen += [each for each in given if each not in chosen]
    return chosen


def build_metrics(
    configs: Sequence[Mapping[str, Any]],
    device: str,
    weights_dir: str | Path | None = None,
) -> Metrics:
    """Build metrics; one that lacks something is left out, aloud.

    Args:
        configs: of the metrics.
        device: where those with a network run, unless they say so.
        weights_dir: where files of weights are looked for first.

    Raises:
        ValueError: two metrics have one name, or none could be built.
    """
    built: dict[str, Any] = {}
    problems = []
    extra = {'device': device, 'weights_dir': weights_dir}
    for config in configs:
        try:
            metric = METRICS.build(_complete(config, extra))
        except _MISSING as error:
            problems.append(f'{config["type"]}: {_one_line(error)}')
            continue
        if metric.name in built:
            raise ValueError(f'two metrics have the name {metric.name}')
        built[metric.name] = metric
    if not built:
        found = problems or ['the config names none']
        raise ValueError('there is no metric: ' + '; '.join(found))
    return Metrics(list(built.values()), problems)


def _complete(
    config: Mapping[str, Any], extra: Mapping[str, Any]
) -> dict[str, Any]:
    """Add the options that the metric's type has."""
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
        f'there is no metric {name!r}, only {", ".join(known)}; variants are '
        'written as LPIPS:net=squeeze'
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


def _one_line(error: Exception) -> str:
    text = ' '.join(str(error).split())
    return text or type(error).__name__
