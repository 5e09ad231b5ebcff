"""A study's votes as tables and charts."""

import csv
import io
from collections.abc import Iterable, Sequence
from dataclasses import fields
from pathlib import Path

from star.user_study.charts import draw_bars, draw_pies
from star.user_study.statistics import Interval
from star.user_study.store import Store, Vote
from star.user_study.summary import ALL, VoteShare, counted, summarise
from star.utils.files import write_bytes

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
        out: folder, made if it is not there; older files of these names are
            replaced.
        finished: count participants who have finished only.
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
    whole = [share for share in shares if share.dataset == ALL]
    out.mkdir(parents=True, exist_ok=True)
    write_bytes(out / 'votes.csv', _table_of_votes(votes))
    write_bytes(out / 'summary.csv', _table_of_shares(shares))
    write_bytes(out / 'pies.png', draw_pies(whole))
    write_bytes(out / 'bars.png', draw_bars(whole))
    return shares


def _table_of_votes(votes: Sequence[Vote]) -> bytes:
    names = [field.name for field in fields(Vote)]
    rows = ([getattr(vote, name) for name in names] for vote in votes)
    return _csv(names, ([_plain(value) for value in row] for row in rows))


def _plain(value: object) -> object:
    return int(value) if isinstance(value, bool) else value


def _table_of_shares(shares: Sequence[VoteShare]) -> bytes:
    rows = (
        [
            *(s.dataset, s.question, s.method, s.votes, s.total),
            *(f'{s.share:.4f}', s.participants),
            *_ends(s.wilson),
            *_ends(s.bootstrap),
        ]
        for s in shares
    )
    return _csv(_SUMMARY, rows)


def _ends(interval: Interval | None) -> list[str]:
    if interval is None:
        return ['', '']
    return [f'{interval.low:.4f}', f'{interval.high:.4f}']


def _csv(head: Iterable[str], rows: Iterable[Iterable[object]]) -> bytes:
    file = io.StringIO()
    writer = csv.writer(file, lineterminator='\n')
    writer.writerow(head)
    writer.writerows(rows)
    return file.getvalue().encode('utf-8')
