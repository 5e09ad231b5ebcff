"""The best checkpoint of a run, by a score of its validations."""

import math
from collections.abc import Mapping
from typing import Protocol, runtime_checkable

from mmengine import dist
from mmengine.runner import Runner

from star.engine.checkpointing import find_best, load_state
from star.registry import METRICS
from star.structures import Metric

AUTO = 'auto'
GREATER, LESS = 'greater', 'less'
# parts of the names of scores, as mmengine's CheckpointHook has them
_GREATER = ('acc', 'top', 'ar@', 'auc', 'precision', 'map', 'mdice', 'miou')
_LESS = ('loss',)


@runtime_checkable
class Validator(Protocol):
    """A hook that validates with metrics of its own."""

    metrics: dict[str, Metric]

    def validate(self, runner: Runner, iteration: int) -> None:
        """Validate and log."""


@runtime_checkable
class BestKeeper(Protocol):
    """A hook that keeps the best checkpoint."""

    def keep_best(
        self, runner: Runner, iteration: int, scores: Mapping[str, float]
    ) -> None:
        """Save the checkpoint if its scores are the best."""


def tell_scores(
    runner: Runner, iteration: int, scores: Mapping[str, float]
) -> None:
    """Pass scores to the hooks that keep the best checkpoint.

    All ranks must call it, with the same scores.

    Args:
        runner: of the training.
        iteration: number of iterations that it has done.
        scores: means over all clips, by metric.
    """
    for hook in runner.hooks:
        if isinstance(hook, BestKeeper):
            hook.keep_best(runner, iteration, scores)


class BestScore:
    """Compares the validations of a run by one score.

    Args:
        name: of the score; its part after the last `/` is enough. 'auto' is
            the first score of the first validation.
        rule: 'greater' or 'less' is better; None to infer it from the metric
            of this name, or from words that the name has.

    Raises:
        ValueError: `rule` is unknown.
    """

    def __init__(self, name: str, rule: str | None = None) -> None:
        if rule not in (None, GREATER, LESS):
            raise ValueError(
                f"`rule` must be '{GREATER}', '{LESS}' or None, got {rule!r}"
            )
        self.name = name
        self.rule = rule
        self.best = math.nan  # of the run; NaN before the first
        self.of_clips = False  # from a hook's clips, not from a val loop
        self._metrics: dict[str, Metric] = {}

    def prepare(self, runner: Runner) -> None:
        """Check a run's validation, and read its best score so far.

        Raises:
            ValueError: nothing validates, or not with this score.
        """
        for hook in runner.hooks:
            if isinstance(hook, Validator):
                self._metrics |= hook.metrics
        self.of_clips = bool(self._metrics) and (
            self.name in (AUTO, *self._metrics)
        )
        if not self.of_clips and runner._val_loop is None:
            names = ', '.join(self._metrics) or 'none'
            raise ValueError(
                f'`save_best` must be {AUTO!r} or a metric of a '
                f'ValidationClipsHook (there are: {names}) where nothing else '
                f'validates, got {self.name!r}'
            )
        if self.of_clips and self.name == AUTO:
            self.name = next(iter(self._metrics))
        if self.name != AUTO:
            self._start(runner)

    def is_better(self, runner: Runner, scores: Mapping[str, float]) -> bool:
        """Return whether scores are the best so far, and note them.

        Raises:
            ValueError: the score is not among them.
        """
        if self.name == AUTO:
            self.name = next(iter(scores))
            self._start(runner)
        value = _find_score(self.name, scores)
        if not self._beats(value, self.best):
            return False
        self.best = value
        return True

    @property
    def word(self) -> str:
        """The score's name as a part of a folder's name."""
        return self.name.replace('/', '_')

    def _start(self, runner: Runner) -> None:
        """Find the rule, and the best score that the run's folder holds."""
        metric = self._metrics.get(self.name)
        self.rule = self.rule or _find_rule(self.name, metric)
        found = [math.nan]
        if dist.is_main_process():
            for folder in find_best(runner.work_dir, self.word):
                value = load_state(folder, mmap=True)['best'][self.name]
                found = [value] if self._beats(value, found[0]) else found
        dist.broadcast_object_list(found)
        self.best = found[0]

    def _beats(self, value: float, best: float) -> bool:
        if math.isnan(best):
            return not math.isnan(value)
        return value > best if self.rule == GREATER else value < best


def _find_rule(name: str, metric: Metric | None) -> str:
    last = name.rpartition('/')[2]
    found = METRICS.get(last) if metric is None else metric
    greater = getattr(found, 'higher_is_better', None)
    if greater is not None:
        return GREATER if greater else LESS
    for rule, words in ((GREATER, _GREATER), (LESS, _LESS)):
        if any(word in last.lower() for word in words):
            return rule
    raise ValueError(
        f"`rule` must be '{GREATER}' or '{LESS}' for `save_best` {name!r}: it "
        'cannot be inferred from the name'
    )


def _find_score(name: str, scores: Mapping[str, float]) -> float:
    keys = [key for key in scores if name in (key, key.rpartition('/')[2])]
    if name in scores:
        keys = [name]
    if len(keys) != 1:
        raise ValueError(
            f'`save_best` {name!r} must name one score of the validation, '
            f'which has {", ".join(scores)}'
        )
    return float(scores[keys[0]])
