"""Shares of the votes by question, over all sets and for each set."""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass

from star.user_study.statistics import Interval, bootstrap_shares, wilson
from star.user_study.store import QUESTIONS, Vote

ALL = 'all'  # sets


@dataclass(frozen=True)
class VoteShare:
    """A method's share of the votes on a question.

    Args:
        dataset: set of the clips, or 'all'.
        question: one of `QUESTIONS`.
        method: name of the method.
        votes: for this method.
        total: votes for all methods.
        participants: number of people who voted.
        wilson: interval that takes votes as independent.
        bootstrap: interval over participants; None for fewer than two.
    """

    dataset: str
    question: str
    method: str
    votes: int
    total: int
    participants: int
    wilson: Interval
    bootstrap: Interval | None

    @property
    def share(self) -> float:
        """Votes for this method over all votes."""
        return self.votes / self.total


def counted(votes: Sequence[Vote], finished: bool = False) -> list[Vote]:
    """Return the votes that no later vote replaces.

    Args:
        votes: all votes.
        finished: return only those of participants who have finished.
    """
    return [v for v in votes if v.counts and (v.finished or not finished)]


def summarise(
    votes: Sequence[Vote], methods: Sequence[str], seed: int = 0
) -> list[VoteShare]:
    """Count the votes for each method.

    Args:
        votes: from `counted`.
        methods: all methods of the study.
        seed: of the bootstrap.

    Returns:
        Shares over all sets, then of each set if there are several; none for
        a question without votes.
    """
    sets = sorted({vote.dataset for vote in votes})
    shares = []
    for dataset in [ALL, *(sets if len(sets) > 1 else [])]:
        for question in QUESTIONS:
            group = [
                vote
                for vote in votes
                if vote.question == question and dataset in (ALL, vote.dataset)
            ]
            shares += _count(group, methods, dataset, seed) if group else []
    return shares


def _count(
    votes: Sequence[Vote], methods: Sequence[str], dataset: str, seed: int
) -> list[VoteShare]:
    people = sorted({vote.participant for vote in votes})
    by = Counter((vote.participant, vote.method) for vote in votes)
    table = [[by[person, method] for method in methods] for person in people]
    intervals = bootstrap_shares(table, seed)
    total = len(votes)
    return [
        VoteShare(
            dataset=dataset,
            question=votes[0].question,
            method=method,
            votes=(count := sum(row[i] for row in table)),
            total=total,
            participants=len(people),
            wilson=wilson(count, total),
            bootstrap=intervals[i] if intervals else None,
        )
        for i, method in enumerate(methods)
    ]
