"""Coordinates of curves against their scores."""

import math
from xml.etree import ElementTree

import pytest

from star.report.curves import draw_curves
from star.report.results import FrameScores


def drawn(series: dict[str, FrameScores]) -> ElementTree.Element:
    colours = {name: i for i, name in enumerate(series)}
    return ElementTree.fromstring(draw_curves('PSNR', series, colours, 1))


def points(line: ElementTree.Element) -> list[tuple[float, float]]:
    pairs = [pair.split(',') for pair in line.attrib['points'].split()]
    return [(float(x), float(y)) for x, y in pairs]


def test_points_are_in_proportion():
    svg = drawn({'a': FrameScores([0, 5, 10], [20.0, 25.0, 40.0])})
    (line,) = svg.iter('polyline')
    (x0, y0), (x1, y1), (x2, y2) = points(line)
    assert x1 - x0 == pytest.approx(x2 - x1, abs=0.1)
    assert (y1 - y2) / (y0 - y2) == pytest.approx(0.75, abs=0.01)
    assert y2 < y1 < y0  # more is higher


def test_axis_labels_are_right():
    svg = drawn({'a': FrameScores([0, 5, 10], [20.0, 25.0, 40.0])})
    (line,) = svg.iter('polyline')
    (_, y0), _, (_, y2) = points(line)
    rules = [float(rule.attrib['y1']) for rule in svg.iter('line')]
    labels = [text.text or '' for text in svg.iter('text')]
    for y, label in zip(rules, labels[:3], strict=True):
        value = 20 + (y - y0) / (y2 - y0) * 20
        assert float(label) == pytest.approx(value, abs=0.1)
    assert sorted(labels[3:]) == ['frame 0', 'frame 10']


def test_what_is_missing_leaves_a_gap():
    values = [1.0, 2.0, None, 3.0, math.inf, 4.0, 5.0, 6.0]
    svg = drawn({'a': FrameScores(list(range(8)), values)})
    assert [len(points(p)) for p in svg.iter('polyline')] == [2, 3]
    assert len(list(svg.iter('circle'))) == 1


def test_told_and_escaped():
    svg = drawn(
        {'<b>"&': FrameScores([0, 1], [1.0, 2.0]), 'c': FrameScores([], [])}
    )
    assert svg.attrib['aria-label'] == 'PSNR: <b>"& 1.0 to 2.0'


@pytest.mark.parametrize('value', [0.0, 7.0, -3.0])
def test_flat_lines(value: float):
    svg = drawn(
        {
            'a': FrameScores([0, 1], [value, value]),
            'b': FrameScores([3], [value]),
        }
    )
    (line,) = svg.iter('polyline')
    (dot,) = svg.iter('circle')
    heights = {y for _, y in points(line)} | {float(dot.attrib['cy'])}
    assert len(heights) == 1
    assert 10 < heights.pop() < 146


def test_one_frame_only():
    svg = drawn({'a': FrameScores([4], [1.0])})
    assert 'frame 4' in [text.text for text in svg.iter('text')]


def test_nothing_to_draw():
    assert (
        draw_curves('PSNR', {'a': FrameScores([0], [None])}, {'a': 0}, 1) == ''
    )
