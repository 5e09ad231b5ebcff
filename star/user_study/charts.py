"""Pie charts of the shares, as in the paper, and bars with intervals."""

import io
from collections.abc import Sequence

from matplotlib.axes import Axes
from matplotlib.figure import Figure

from star.user_study.summary import VoteShare

# Okabe and Ito's, which colour-blind people can tell apart
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
    groups = _by_question(shares)
    figure = _figure(4.6 * len(groups), 4.2)
    for i, (question, group) in enumerate(groups.items()):
        axes = figure.add_subplot(1, len(groups), i + 1)
        chosen = [(j, share) for j, share in enumerate(group) if share.votes]
        axes.pie(
            [share.votes for _, share in chosen],
            labels=[f'{s.method}\n{100 * s.share:.1f} %' for _, s in chosen],
            colors=[_COLOURS[j % len(_COLOURS)] for j, _ in chosen],
            startangle=90,
            counterclock=False,
            wedgeprops={'edgecolor': 'white'},
        )
        axes.set_title(f'{_TITLES[question]}\n{_base(group[0])}', fontsize=10)
    return _png(figure)


def draw_bars(shares: Sequence[VoteShare]) -> bytes:
    """Draw a bar with its interval for each method and question.

    The interval is the one over participants, or Wilson's for a single
    participant. The dashed line is the share by chance.

    Args:
        shares: of one set, or of all together.

    Returns:
        PNG.
    """
    groups = _by_question(shares)
    count = max(len(group) for group in groups.values())
    figure = _figure(4.6 * len(groups), 1.6 + 0.45 * count)
    for i, (question, group) in enumerate(groups.items()):
        axes = figure.add_subplot(1, len(groups), i + 1)
        _bars(axes, group)
        axes.set_title(f'{_TITLES[question]}\n{_base(group[0])}', fontsize=10)
    return _png(figure)


def _bars(axes: Axes, shares: Sequence[VoteShare]) -> None:
    heights = range(len(shares))
    colours = [_COLOURS[i % len(_COLOURS)] for i in heights]
    axes.barh(heights, [100 * s.share for s in shares], color=colours)
    for height, share in zip(heights, shares, strict=True):
        ends = share.bootstrap or share.wilson
        axes.plot(
            [100 * ends.low, 100 * ends.high], [height] * 2, 'k|-', lw=1.2
        )
    axes.axvline(100 / len(shares), color='0.4', ls='--', lw=1)
    axes.set_yticks(heights, [share.method for share in shares])
    axes.invert_yaxis()
    axes.set_xlim(0, 100)
    kind = 'participants' if shares[0].bootstrap else 'Wilson'
    axes.set_xlabel(f'% of votes, 95 % interval ({kind})', fontsize=9)
    axes.spines[['top', 'right']].set_visible(False)


def _base(share: VoteShare) -> str:
    people = 'participant' if share.participants == 1 else 'participants'
    return f'{share.total} votes of {share.participants} {people}'


def _by_question(shares: Sequence[VoteShare]) -> dict[str, list[VoteShare]]:
    groups: dict[str, list[VoteShare]] = {}
    for share in shares:
        groups.setdefault(share.question, []).append(share)
    return groups


def _figure(width: float, height: float) -> Figure:
    # without pyplot: no window and no global state
    return Figure(figsize=(width, height), layout='constrained')


def _png(figure: Figure) -> bytes:
    file = io.BytesIO()
    figure.savefig(file, format='png', dpi=150, metadata={'Software': None})
    return file.getvalue()
