"""Tables that are computed once."""

import torch

from star.utils.kept_tables import kept
from star.utils.shape_run import ShapeRun


def test_runs_without_content_leave_no_tables():
    made = []

    @kept
    def table(side: int) -> torch.Tensor:
        made.append(side)
        return torch.ones(side, side)

    with ShapeRun():
        assert table(200).is_meta
        assert table(200).is_meta
    assert made == [200]
    with ShapeRun():
        table(200)
    assert made == [200, 200]
    assert table(200).sum() == 40_000
    assert table(200) is table(200)
    assert made == [200, 200, 200]
