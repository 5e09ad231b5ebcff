"""Shares as pie charts, as the paper draws them, and as bars."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from star.user_study.summary import VoteShare
from star.utils import compat

if TYPE_CHECKING:
    from matplotlib.figure import Figure

# of Okabe and Ito: told apart by people who see fewer colours
_COLOURS = (
    *('#0072b2', '#e69f00', '#009e73', '#cc79a7', '#56b4e9', '#d55e00'),
    *('#f0e442', '#999999'),
)
_TITLES = {
    'quality': 'Best visual quality',
    'consistency': 'Best temporal consistency',
}


def draw_pies(shares: Sequence[VoteShare]) -> bytes:
    """Draw a pie for each question.

    Args:
        shares: of one set, or of all together.

    Returns:
        PNG.
    """
    parts = _by_question(shares)
    figure = _figure(4.6 * len(parts), 4.2)
    for i, (question, part) in enumerate(parts.items()):
        axes = figure.add_subplot(1, len(parts), i + 1)
        chosen = [(j, share) for j, share in enumerate(part) if share.votes]
        axes.pie(
            [share.votes for _, share in chosen],
            labels=[f'{s.method}\n{100 * s.share:.1f} %' for _, s in chosen],
            colors=[_COLOURS[j % len(_COLOURS)] for j, _ in chosen],
            startangle=90,
            counterclock=False,
            wedgeprops={'edgecolor': 'white'},
        )
        axes.set_title(f'{_TITLES[question]}\n{_base(part[0])}', fontsize=10)
    return _png(figure)


def draw_bars(shares: Sequence[VoteShare]) -> bytes:
    """Draw a bar with its interval for each method and question.

    The interval is the one over participants, or Wilson's where there is a
    single one; the dashed line is what chance gives.

    Args:
        shares: of one set, or of all together.

    Returns:
        PNG.
    """
    parts = _by_question(shares)
    count = max(len(part) for part in parts.values())
    figure = _figure(4.6 * len(parts), 1.6 + 0.45 * count)
    for i, (question, part) in enumerate(parts.items()):
        axes = figure.add_subplot(1, len(parts), i + 1)
        _bars(axes, part)
        axes.set_title(f'{_TITLES[question]}\n{_base(part[0])}', fontsize=10)
    return _png(figure)


def _bars(axes: Any, part: Sequence[VoteShare]) -> None:
    places = range(len(part))
    colours = [_COLOURS[i % len(_COLOURS)] for i in places]
    axes.barh(places, [100 * s.share for s in part], color=colours)
    for place, share in zip(places, part, strict=True):
        ends = share.bootstrap or share.wilson
        axes.plot(
            [100 * ends.low, 100 * ends.high], [place] * 2, 'k|-', lw=1.2
        )
    axes.axvline(100 / len(part), color='0.4', ls='--', lw=1)
    axes.set_yticks(places, [share.method for share in part])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    what = 'participants' if part[0].bootstrap else 'Wilson'
    axes.set_xlabel(f'% of votes, 95 % interval ({what})', fontsize=9)
    axes.spines[['top', 'right']].set_visible(False)


def _base(share: VoteShare) -> str:
    people = 'participant' if share.participants == 1 else 'participants'
    return f'{share.total} votes of {share.participants} {people}'


def _by_question(shares: Sequence[VoteShare]) -> dict[str, list[VoteShare]]:
    parts: dict[str, list[VoteShare]] = {}
    for share in shares:
        parts.setdefault(share.question, []).append(share)
    return parts


def _figure(width: float, height: float) -> 'Figure':
    module = compat.require('matplotlib.figure', 'study')
    # a figure without pyplot: no window and no global state
    return module.Figure(figsize=(width, height), layout='constrained')


def _png(figure: 'Figure') -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=150, metadata={'Software': None})
    return file.getvalue()
