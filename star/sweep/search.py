"""Search over numbers with Optuna."""

import json
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING

from star.sweep.plan import Setting, make_setting
from star.utils.compat import require
from star.utils.text import read_number

if TYPE_CHECKING:
    from optuna import Study
    from optuna.distributions import BaseDistribution
    from optuna.trial import TrialState

DATABASE = 'search.db'
_STUDY = 'sweep'

Evaluate = Callable[[Sequence[Setting]], list[float | None]]


@dataclass(frozen=True)
class Range:
    """Range of a number in a search.

    Args:
        key: of the config, dotted.
        low: smallest value.
        high: largest value.
        log: search on a logarithmic scale.
        whole: try whole numbers only.
    """

    key: str
    low: float
    high: float
    log: bool = False
    whole: bool = False


@dataclass(frozen=True)
class Search:
    """A search for the best numbers of a config.

    Args:
        config: file.
        ranges: of the numbers.
        trials: number of points to try.
        dataset: set of the objective.
        metric: of the objective.
        seed: of the search.
    """

    config: str
    ranges: Sequence[Range]
    trials: int
    dataset: str
    metric: str
    seed: int = 0


def parse_range(text: str) -> Range:
    """Read KEY=LOW:HIGH[:log]; between whole numbers only such are tried.

    Raises:
        ValueError: the text has another form, or LOW and HIGH are no range.
    """
    key, _, rest = text.partition('=')
    ends = rest.split(':')
    log = len(ends) == 3 and ends[2] == 'log'
    low, high = (read_number(end) for end in (*ends, '', '')[:2])
    wrong = len(ends) != 2 + log or low is None or high is None
    if not key or wrong:
        raise ValueError(f'--search takes KEY=LOW:HIGH[:log], got {text!r}')
    assert low is not None and high is not None
    if not low < high or (log and low <= 0):
        raise ValueError(
            f'--search {key}: LOW must be below HIGH, and above 0 with log, '
            f'got {rest}'
        )
    whole = all(end.lstrip('-').isdecimal() for end in ends[:2])
    return Range(key, low, high, log, whole)


def parse_objective(text: str) -> tuple[str, str]:
    """Read SET/METRIC.

    Raises:
        ValueError: the text has another form.
    """
    dataset, _, metric = text.partition('/')
    if not (dataset and metric):
        raise ValueError(f'--objective takes SET/METRIC, got {text!r}')
    return dataset, metric


def run_search(
    search: Search, work_dir: Path, batch: int, evaluate: Evaluate
) -> list[Setting]:
    """Try points and keep their costs in a database.

    A killed search resumes: its open trials come first.

    Args:
        search: the config and its ranges.
        work_dir: of the sweep; has the database.
        batch: trials at once.
        evaluate: returns the costs of settings, smaller is better; None for
            settings that failed.

    Returns:
        All settings that were tried, in their order.

    Raises:
        ImportError: Optuna is not installed.
        ValueError: the database belongs to another search.
    """
    optuna = require('optuna', 'sweeps')
    study = _open_study(optuna, search, work_dir)
    states = optuna.trial.TrialState
    waiting = _open_trials(study, search, states)
    while True:
        room = search.trials - len(study.get_trials(deepcopy=False))
        while room > 0 and len(waiting) < batch:
            trial = study.ask(_distributions(optuna, search))
            waiting.append((trial.number, dict(trial.params)))
            room -= 1
        if not waiting:
            return _settings_tried(study, search)
        now, waiting = waiting[:batch], waiting[batch:]
        costs = evaluate([_setting(search, params) for _, params in now])
        for (name, _), cost in zip(now, costs, strict=True):
            if cost is None:
                study.tell(name, state=states.FAIL)
            else:
                study.tell(name, cost)


def _settings_tried(study: 'Study', search: Search) -> list[Setting]:
    """Return the settings of a study's trials in their order."""
    trials = study.get_trials(deepcopy=False)
    full = [t.params for t in trials if len(t.params) == len(search.ranges)]
    return list(dict.fromkeys(_setting(search, params) for params in full))


def _open_study(optuna: ModuleType, search: Search, work_dir: Path) -> 'Study':
    """Create the study, or continue it."""
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    work_dir.mkdir(parents=True, exist_ok=True)
    study = optuna.create_study(
        storage=f'sqlite:///{work_dir / DATABASE}',
        study_name=_STUDY,
        direction='minimize',
        load_if_exists=True,
    )
    rules = asdict(search)
    del rules['trials'], rules['seed']
    text = json.dumps(rules, sort_keys=True)
    if study.user_attrs.setdefault('rules', text) != text:
        raise ValueError(
            f'{work_dir / DATABASE} belongs to another search: '
            f'{study.user_attrs["rules"]}; choose another --work-dir'
        )
    study.set_user_attr('rules', text)
    # a resumed search must not repeat its first points
    count = len(study.get_trials(deepcopy=False))
    study.sampler = optuna.samplers.TPESampler(seed=search.seed + count)
    return study


def _open_trials(
    study: 'Study', search: Search, states: 'type[TrialState]'
) -> list[tuple[int, dict[str, float]]]:
    """Return the open trials of a killed search; fail those without values."""
    left = []
    for trial in study.get_trials(states=[states.RUNNING]):
        if len(trial.params) == len(search.ranges):
            left.append((trial.number, trial.params))
        else:
            study.tell(trial.number, state=states.FAIL)
    return left


def _distributions(
    optuna: ModuleType, search: Search
) -> dict[str, 'BaseDistribution']:
    kinds = optuna.distributions
    return {
        r.key: kinds.IntDistribution(int(r.low), int(r.high), log=r.log)
        if r.whole
        else kinds.FloatDistribution(r.low, r.high, log=r.log)
        for r in search.ranges
    }


def _setting(search: Search, params: dict[str, float]) -> Setting:
    changes = {r.key: repr(params[r.key]) for r in search.ranges}
    return make_setting(search.config, changes)
