"""Plots of metrics against a swept number."""

import csv
import io

import numpy as np
import pytest
from PIL import Image

from star.sweep import plots
from star.sweep.plan import Run, make_setting
from star.sweep.results import gather
from tests.test_sweep.made import ALPHA, make_sweep, write_results


def test_points(tmp_path):
    results = gather(make_sweep(tmp_path), tmp_path)
    ((place, points),) = plots.make_plots(results).items()
    assert place == (ALPHA, 'UDM10')
    ours = [p for p in points if p.seeds and p.metric == 'PSNR']
    assert [(p.value, p.mean, p.spread) for p in ours] == [
        (0.5, 21.0, 1.0),
        (1.0, 24.0, 1.0),
    ]
    printed = [p for p in points if not p.seeds and p.metric == 'PSNR']
    assert [(p.value, p.series, p.mean) for p in printed] == [
        (0.5, 'published, table 5', 23.71),
        (1.0, 'published, table 5', 23.85),
    ]
    rows = list(csv.DictReader(plots.to_csv(points).splitlines()))
    assert rows[0] == {
        'value': '0.5',
        'series': '',
        'metric': 'PSNR',
        'mean': '21.0',
        'spread': '1.0',
        'seeds': '3',
    }


@pytest.mark.parametrize(
    ('values', 'expected'),
    [
        ([{'a': '1'}, {'a': '2'}], ['a']),
        ([{'a': '1'}, {'a': '1.0'}], []),
        ([{'a': 'x'}, {'a': '2'}], []),
        ([{'a': '1'}, {}], []),
        ([{'a': '1', 'b': '3'}, {'a': '1', 'b': '4'}], ['b']),
    ],
)
def test_what_varies(values, expected):
    settings = [make_setting('c.py', changes) for changes in values]
    assert plots.swept_keys(settings) == expected


def test_other_changes_make_series(tmp_path):
    runs = [
        Run(make_setting('c.py', {'m.a': a, 'm.kind': kind}), 0)
        for a in '12'
        for kind in 'xy'
    ]
    for run in runs:
        write_results(tmp_path, run, {'PSNR': 20.0})
    ((_, points),) = plots.make_plots(gather(runs, tmp_path)).items()
    assert {p.series for p in points} == {'m.kind=x', 'm.kind=y'}


def pixels(png: bytes) -> np.ndarray:
    return np.asarray(Image.open(io.BytesIO(png)).convert('RGB')).astype(int)


def test_drawing(tmp_path):
    results = gather(make_sweep(tmp_path), tmp_path)
    ((_, points),) = plots.make_plots(results).items()
    image = pixels(plots.draw(ALPHA, 'UDM10', points))
    assert image.shape[1] > 2 * image.shape[0]  # two panels
    blue, red = np.array([0, 0x72, 0xB2]), np.array([0xD5, 0x5E, 0])
    for colour in (blue, red):
        assert (np.abs(image - colour).sum(-1) < 12).sum() > 200
    flat = [p for p in points if p.seeds]
    image = pixels(plots.draw(ALPHA, 'UDM10', flat))
    assert (np.abs(image - red).sum(-1) < 12).sum() == 0


def test_the_same_numbers_give_the_same_file():
    points = [plots.Point(a, '', 'PSNR', 20 + a, 0.1, 2) for a in (1.0, 2.0)]
    assert plots.draw('a', 'b', points) == plots.draw('a', 'b', points)
