"""Scores for a model card, read from the results of tests."""

import math
from collections.abc import Sequence
from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from star.utils.checkpoint_folder import EMA
from star.utils.files import read_json
from star.utils.results_format import FORMAT


@dataclass(frozen=True)
class SetScores:
    """The scores of one test set.

    Args:
        dataset: name of the set.
        clips: number of clips.
        frames: number of frames.
        scores: mean by metric; infinity for equal clips.
        higher: names of the metrics of which more is better.
        protocol: fingerprint of how the clips were scored.
        version: of star that scored them.
    """

    dataset: str
    clips: int
    frames: int
    scores: dict[str, float]
    higher: frozenset[str]
    protocol: str
    version: str


def read_scores(
    paths: Sequence[Path], digests: AbstractSet[str]
) -> list[SetScores]:
    """Read the scores of tests of certain weights.

    Args:
        paths: of `results.json` files, which `star test` wrote.
        digests: SHA-256 of the files with the weights.

    Raises:
        ValueError: a file is no such result, or is of other weights.
    """
    found = []
    for path in paths:
        results = read_json(path)
        if not isinstance(results, dict) or results.get('format') != FORMAT:
            raise ValueError(f'{path}: is no results.json of `star test`')
        if not _is_of(results['method'], digests):
            raise ValueError(
                f'{path}: is a test of other weights, by their SHA-256: test '
                'the weights that you publish'
            )
        found += _read_sets(results)
    return found


def _is_of(method: dict[str, Any], digests: AbstractSet[str]) -> bool:
    """Return whether a test had these weights, averaged or not as they."""
    tested = method['weights']
    other = EMA in tested and tested[EMA] not in digests
    here = bool(digests) and digests <= {*tested.values()}
    return here and not other and not method['random_init']


def _read_sets(results: dict[str, Any]) -> list[SetScores]:
    protocol = results['protocol']
    higher = frozenset(
        metric['name']
        for metric in protocol['metrics']
        if metric['higher_is_better']
    )
    return [
        SetScores(
            name,
            each['clips'],
            each['frames'],
            {k: float(v) for k, v in each['scores'].items() if v is not None},
            higher,
            protocol['fingerprint'],
            protocol['versions']['star'],
        )
        for name, each in results['sets'].items()
    ]


def is_number(score: float) -> bool:
    """Return whether a score is one that a card's header may hold."""
    return math.isfinite(score)
