"""Fragments: cells and splicing; more in the tests of DOVER."""

import pytest
import torch

from star.evaluation.functional.fragments import (
    cell_origins,
    draw_offsets,
    sigmoid,
    splice,
)

MEAN = torch.tensor([123.675, 116.28, 103.53]).view(3, 1, 1, 1)
STD = torch.tensor([58.395, 57.12, 57.375]).view(3, 1, 1, 1)


def test_cells():
    assert cell_origins(224) == [0, 32, 64, 96, 128, 160, 192]
    assert cell_origins(720) == [0, 102, 204, 306, 408, 510, 612]
    assert cell_origins(40) == [0, 5, 8, 8, 8, 8, 8]
    assert cell_origins(32) == [0] * 7


def test_frames_without_room_are_whole():
    """At 224 x 224 the cells touch, and nothing is left to draw."""
    generator = torch.Generator().manual_seed(0)
    clip = torch.randint(0, 256, (3, 3, 224, 224), generator=generator)
    clip = clip.to(torch.uint8)
    rows, columns = draw_offsets((224, 224), 2, generator)
    assert not rows.any() and not columns.any()
    view = splice(clip, torch.tensor([2, 0]), rows[..., 0], columns[..., 0])
    expected = (clip[[2, 0]].movedim(1, 0) - MEAN) / STD
    assert torch.equal(view, expected)


@pytest.mark.parametrize('x', [-800.0, -2.0, 0.0, 3.0, 800.0])
def test_sigmoid(x: float):
    expected = torch.tensor(x, dtype=torch.float64).sigmoid().item()
    assert sigmoid(x) == pytest.approx(expected, abs=1e-15)
