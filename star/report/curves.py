"""Curves of scores over the frames of a clip, as SVG."""

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape

from star.report.results import FrameScores

_WIDTH, _HEIGHT = 360, 170
_LEFT, _RIGHT, _TOP, _BOTTOM = 48, 8, 10, 24
COLOURS = 8  # of lines in page.css

Point = tuple[float, float]


@dataclass(frozen=True)
class _Scale:
    """Maps values to a coordinate of the drawing."""

    low: float
    high: float
    start: float
    end: float

    def __call__(self, value: float) -> float:
        share = (value - self.low) / (self.high - self.low)
        return self.start + share * (self.end - self.start)


def draw_curves(
    title: str,
    series: Mapping[str, FrameScores],
    colours: Mapping[str, int],
    digits: int,
) -> str:
    """Draw one line for each method.

    Args:
        title: of the drawing, for screen readers.
        series: by method; missing and infinite values leave a gap.
        colours: number of each method's line in page.css.
        digits: printed after the decimal point on the axis.

    Returns:
        An svg element, or '' without a value.
    """
    lines = {name: _pieces(scores) for name, scores in series.items()}
    points = [
        p for pieces in lines.values() for piece in pieces for p in piece
    ]
    if not points:
        return ''
    across = _scale([x for x, _ in points], _LEFT, _WIDTH - _RIGHT)
    up = _scale([y for _, y in points], _HEIGHT - _BOTTOM, _TOP)
    marks = [
        _line(piece, across, up, colours[name] % COLOURS)
        for name, pieces in lines.items()
        for piece in pieces
    ]
    spoken = escape(f'{title}: {_describe(lines, digits)}', quote=True)
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" role="img" '
        f'aria-label="{spoken}">{_axes(across, up, digits)}'
        f'{"".join(marks)}</svg>'
    )


def _pieces(scores: FrameScores) -> list[list[Point]]:
    """Cut a curve where values are missing."""
    pieces: list[list[Point]] = [[]]
    for frame, value in zip(scores.frames, scores.values, strict=True):
        if value is not None and math.isfinite(value):
            pieces[-1].append((frame, value))
        elif pieces[-1]:
            pieces.append([])
    return [piece for piece in pieces if piece]


def _scale(values: list[float], start: float, end: float) -> _Scale:
    low, high = min(values), max(values)
    margin = (high - low) / 20 or abs(high) / 20 or 1
    if start < end:  # frames: from the first to the last
        margin = 0 if high > low else 0.5
    return _Scale(low - margin, high + margin, start, end)


def _line(points: list[Point], across: _Scale, up: _Scale, i: int) -> str:
    spots = [(across(x), up(y)) for x, y in points]
    if len(spots) == 1:
        x, y = spots[0]
        return f'<circle class="p{i}" cx="{x:.1f}" cy="{y:.1f}" r="3"/>'
    steps = ' '.join(f'{x:.1f},{y:.1f}' for x, y in spots)
    return f'<polyline class="l{i}" points="{steps}"/>'


def _axes(across: _Scale, up: _Scale, digits: int) -> str:
    """Draw three horizontal lines with their values, and frame numbers."""
    right, bottom = _WIDTH - _RIGHT, _HEIGHT - _BOTTOM
    drawn = []
    for share in (0.1, 0.5, 0.9):
        value = up.low + share * (up.high - up.low)
        y = up(value)
        drawn.append(
            f'<line x1="{_LEFT}" x2="{right}" y1="{y:.1f}" y2="{y:.1f}"/>'
            f'<text x="{_LEFT - 5}" y="{y + 4:.1f}" text-anchor="end">'
            f'{value:.{digits}f}</text>'
        )
    ends = {math.ceil(across.low), math.floor(across.high)}
    for frame in ends if len(ends) == 2 else {round(across.low + 0.5)}:
        anchor = 'start' if frame - across.low < 0.5 else 'end'
        drawn.append(
            f'<text x="{across(frame):.1f}" y="{bottom + 16}" '
            f'text-anchor="{anchor}">frame {frame}</text>'
        )
    return f'<g class="axes">{"".join(drawn)}</g>'


def _describe(lines: dict[str, list[list[Point]]], digits: int) -> str:
    """Return each method's lowest and highest value as text."""
    ranges = []
    for name, pieces in lines.items():
        values = [y for piece in pieces for _, y in piece]
        if values:
            low, high = min(values), max(values)
            ranges.append(f'{name} {low:.{digits}f} to {high:.{digits}f}')
    return '; '.join(ranges)
