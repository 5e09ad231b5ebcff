"""Tables and charts of a study's votes."""

from collections.abc import Sequence
from dataclasses import astuple, fields
from pathlib import Path

from star.user_study.charts import draw_bars, draw_pies
from star.user_study.statistics import Interval
from star.user_study.store import Store, Vote
from star.user_study.summary import ALL, VoteShare, counted, summarise
from star.utils.files import csv_text, write_bytes, write_text

_SUMMARY = (
    *('set', 'question', 'method', 'votes', 'total', 'share', 'participants'),
    *('wilson_low', 'wilson_high', 'bootstrap_low', 'bootstrap_high'),
)


def export_study(
    store: Store, out: Path, finished: bool = False, seed: int = 0
) -> list[VoteShare]:
    """Write `votes.csv`, `summary.csv`, `pies.png` and `bars.png`.

    Args:
        store: the study.
        out: folder, made if need be; older files of these names are replaced.
        finished: count only the participants who have finished.
        seed: of the bootstrap.

    Returns:
        The rows of the summary.

    Raises:
        ValueError: no vote counts.
    """
    votes = store.votes()
    valid = counted(votes, finished)
    if not valid:
        whose = 'of participants who have finished ' if finished else ''
        raise ValueError(f'`db`: {store.path} has no votes {whose}yet')
    shares = summarise(valid, store.methods, seed)
    over_all_sets = [share for share in shares if share.dataset == ALL]
    write_text(out / 'votes.csv', _table_of_votes(votes))
    write_text(out / 'summary.csv', _table_of_shares(shares))
    write_bytes(out / 'pies.png', draw_pies(over_all_sets))
    write_bytes(out / 'bars.png', draw_bars(over_all_sets))
    return shares


def _table_of_votes(votes: Sequence[Vote]) -> str:
    head = [field.name for field in fields(Vote)]
    return csv_text([head, *(map(_plain, astuple(vote)) for vote in votes)])


def _plain(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


def _table_of_shares(shares: Sequence[VoteShare]) -> str:
    rows = (
        [
            *(s.dataset, s.question, s.method, s.votes, s.total),
            *(f'{s.share:.4f}', s.participants),
            *_ends(s.wilson),
            *_ends(s.bootstrap),
        ]
        for s in shares
    )
    return csv_text([_SUMMARY, *rows])


def _ends(interval: Interval | None) -> list[str]:
    if interval is None:
        return ['', '']
    return [f'{interval.low:.4f}', f'{interval.high:.4f}']
