"""Points are the files' means and the paper's numbers."""

import csv
import dataclasses
from pathlib import Path

import pytest

from star.report.results import load_results
from star.report.tradeoff import (
    Mark,
    MetricPair,
    draw_tradeoff,
    marks_of_results,
    marks_of_table,
    published_marks,
)
from star.sweep.plan import make_setting
from star.sweep.results import SettingScore, SweepResults
from star.sweep.tables import to_csv
from tests.test_report.made import as_paper, clip, results, write

AXES = MetricPair(None, 'PSNR', 'LPIPS')
COLUMNS = ('setting', 'config', 'changes', 'kind', 'set', 'metric', 'mean')
COLUMNS += ('spread', 'seeds', 'departure')
# table 7 of the paper: beta, PSNR, LPIPS
TABLE_7 = [
    (0.25, 23.55, 0.1825),
    (0.75, 23.76, 0.1842),
    (1.0, 23.91, 0.1885),
    (1.5, 24.08, 0.2272),
    (2.0, 24.41, 0.3339),
]


def make_run(folder: Path, name: str, scores: list[tuple[float, float]]):
    clips = [
        clip('set', f'clip{i}', {'PSNR': x, 'LPIPS': y})
        for i, (x, y) in enumerate(scores)
    ]
    return str(write(folder / name, results(name, clips)))


def make_table(folder: Path, lines: list[tuple]) -> Path:
    path = folder / 'table.csv'
    with open(path, 'w', newline='') as file:
        csv.writer(file).writerows([COLUMNS, *lines])
    return path


def line(setting: str, changes: str, metric: str, mean: float, spread='', **k):
    kind, dataset = k.get('kind', 'measured'), k.get('dataset', 'UDM10')
    config = 'configs/star/tiny.py'
    facts = (setting, config, changes, kind, dataset, metric, mean, spread)
    return (*facts, 3, k.get('departure', ''))


@pytest.fixture
def table(tmp_path: Path) -> Path:
    lines = []
    for beta, x, y in ((2, 24.0, 0.3), (0.5, 22.0, 0.1)):
        change = f'model.losses.frequency.beta={beta}'
        lines += [
            line(f'tiny-beta={beta}', change, 'PSNR', x, 0.5),
            line(f'tiny-beta={beta}', change, 'LPIPS', y),
        ]
    lines += [
        line('tiny', '', 'PSNR', 23.0),
        line('tiny', '', 'LPIPS', 0.2),
        line('tiny', '', 'PSNR', 99.0, kind='published, table 7: beta 1.0'),
        line('half', '', 'PSNR', 20.0),
    ]
    return make_table(tmp_path, lines)


def test_runs(tmp_path: Path):
    sources = [
        make_run(tmp_path, 'a', [(20.0, 0.3), (24.0, 0.1)]),
        make_run(tmp_path, 'b', [(30.0, 0.5)] * 2),
    ]
    dataset, (a, b) = marks_of_results(load_results(sources), AXES)
    assert dataset == 'set'
    assert (a.series, a.x, b.y) == ('a', 22.0, 0.5)
    assert a.y == pytest.approx(0.2)
    # of two clips a mean is one, the other or their mean
    assert a.x_bar == pytest.approx((2, 2))
    assert a.y_bar == pytest.approx((0.1, 0.1))
    assert b.x_bar == (0, 0)


def test_table(table: Path):
    dataset, marks = marks_of_table(table, AXES)
    assert dataset == 'UDM10'
    assert [(m.value, m.x, m.y) for m in marks] == [
        (2, 24.0, 0.3),
        (0.5, 22.0, 0.1),
        (None, 23.0, 0.2),
    ]
    assert [m.series for m in marks] == ['tiny, beta', 'tiny, beta', 'tiny']
    assert marks[0].x_bar == (0.5, 0.5) and marks[0].y_bar == (0, 0)


def test_table_as_a_sweep_writes_it(tmp_path: Path):
    config = 'configs/star/i2vgen.py'
    rows = []
    for beta, x, y in (('0.25', 20.0, 0.4), ('2', 22.0, 0.5)):
        change = {'model.losses.frequency.beta': beta}
        setting = make_setting(config, change)
        rows.append(
            SettingScore(setting, 'UDM10', 'PSNR', True, {0: x, 1: x + 2})
        )
        rows.append(SettingScore(setting, 'UDM10', 'LPIPS', False, {0: y}))
    settings = [row.setting for row in rows[::2]]
    path = tmp_path / 'table.csv'
    for row in rows:
        row.clips.update(dict.fromkeys(row.values, 10))
    path.write_text(to_csv(SweepResults(rows, []), settings))
    _, marks = marks_of_table(path, AXES)
    assert [(m.value, m.x, m.y) for m in marks] == [
        (0.25, 21.0, 0.4),
        (2.0, 23.0, 0.5),
    ]
    assert marks[0].x_bar == pytest.approx((2**0.5, 2**0.5))


def test_other_changes_part_the_series(tmp_path: Path):
    lines = [
        line(f'{b}{s}', f'a.beta={b}; a.b={s}', metric, 1.0)
        for b in (1, 2)
        for s in ('linear', 'exponential')
        for metric in ('PSNR', 'LPIPS')
    ]
    _, marks = marks_of_table(make_table(tmp_path, lines), AXES)
    assert {m.series for m in marks} == {
        'tiny, a.b=linear, beta',
        'tiny, a.b=exponential, beta',
    }


def test_published():
    marks = published_marks([7], AXES)
    assert [(m.value, m.x, m.y) for m in marks] == TABLE_7
    assert {m.series for m in marks} == {'table 7: beta'}
    assert all(m.published for m in marks)
    squeeze = MetricPair(None, 'PSNR', 'LPIPS_squeeze')
    assert published_marks([7], squeeze) == marks


def test_published_rows_without_a_number():
    marks = published_marks([5], AXES)
    assert [m.value for m in marks] == [0.25, 0.5, 1, 1.5, 2, None]
    assert marks[-1].series == 'table 5: b exponential'
    assert {m.series for m in marks[:-1]} == {'table 5: b linear, alpha'}


@pytest.mark.parametrize(
    ('tables', 'axes', 'message'),
    [
        ([1], AXES, '`published` must be of 3, 4, 5, 7, got 1'),
        ([7], MetricPair(None, 'SSIM', 'LPIPS'), 'table 7 has only PSNR'),
    ],
)
def test_published_that_is_not_there(
    tables: list, axes: MetricPair, message: str
):
    with pytest.raises(ValueError, match=message):
        published_marks(tables, axes)


def test_curves_lie_on_the_points_in_order(table: Path):
    dataset, marks = marks_of_table(table, AXES)
    axes = dataclasses.replace(AXES, dataset=dataset)
    figure = draw_tradeoff(marks, published_marks([7], axes), axes)
    (panel,) = figure.axes  # the paper's set: one scale
    assert panel.get_title() == 'UDM10; hollow: printed in the paper'
    curves = {c.get_label(): c.lines[0] for c in panel.containers}
    assert list(curves) == ['tiny, beta', 'tiny', 'table 7: beta']
    points = curves['tiny, beta'].get_xydata().tolist()
    assert points == [[22.0, 0.1], [24.0, 0.3]]
    paper = curves['table 7: beta']
    assert paper.get_xydata().tolist() == [[x, y] for _, x, y in TABLE_7]
    assert paper.get_markerfacecolor() == 'none'
    assert curves['tiny'].get_markerfacecolor() != 'none'
    texts = [text.get_text() for text in panel.texts]
    assert texts == ['0.5', '2', '0.25', '0.75', '1', '1.5', '2']
    assert panel.get_xlabel() == 'PSNR ↑' and panel.get_ylabel() == 'LPIPS ↓'


def test_other_sets_and_metrics_get_a_panel_of_their_own():
    mark = Mark('a', None, 20.0, 0.4)
    for axes in (
        MetricPair('set', 'PSNR', 'LPIPS'),
        MetricPair('UDM10', 'PSNR', 'LPIPS_squeeze'),
    ):
        theirs = published_marks([7], AXES)
        ours, other = draw_tradeoff([mark], theirs, axes).axes
        assert len(ours.containers) == len(other.containers) == 1
        assert ours.get_title() == f'{axes.dataset}, measured'
        assert 'printed in the paper' in other.get_title()
        assert other.get_ylabel() == 'LPIPS ↓'


def test_other_clips_than_the_papers(tmp_path: Path):
    """Eight frames of one clip are no UDM10, whatever their set is called."""
    data = results('a', [clip('UDM10', 'c', {'PSNR': 20.0, 'LPIPS': 0.3})])
    found = load_results([str(write(tmp_path / 'a', data))])
    dataset, marks = marks_of_results(found, AXES)
    axes = dataclasses.replace(AXES, dataset=dataset)
    panels = draw_tradeoff(marks, published_marks([7], axes), axes).axes
    assert [panel.get_title() for panel in panels] == [
        "UDM10, measured (other clips than the paper's)",
        'printed in the paper (UDM10, by the numbers)',
    ]


def test_the_papers_clips(tmp_path: Path):
    scores = {'PSNR': 20.0, 'LPIPS': 0.3}
    data = results('a', [clip('UDM10', f'{i}', scores) for i in range(10)])
    as_paper(data)
    found = load_results([str(write(tmp_path / 'a', data))])
    axes = dataclasses.replace(AXES, dataset='UDM10')
    marks = marks_of_results(found, axes)[1]
    (panel,) = draw_tradeoff(marks, published_marks([7], axes), axes).axes
    assert panel.get_title() == 'UDM10; hollow: printed in the paper'


@pytest.mark.parametrize(
    ('columns', 'departure', 'words'),
    [
        (COLUMNS, 'not its UDM10', "other clips than the paper's"),
        (COLUMNS[:-1], None, 'the table does not state the clips'),
    ],
)
def test_tables_of_other_clips(
    tmp_path: Path, columns: tuple, departure: str | None, words: str
):
    rows = [line('a', '', m, 1.0) for m in ('PSNR', 'LPIPS')]
    path = tmp_path / 'table.csv'
    with open(path, 'w', newline='') as file:
        last = [] if departure is None else [departure]
        lines = [[*row[:-1], *last] for row in rows]
        csv.writer(file).writerows([columns, *lines])
    axes = dataclasses.replace(AXES, dataset='UDM10')
    marks = marks_of_table(path, axes)[1]
    panels = draw_tradeoff(marks, published_marks([7], axes), axes).axes
    assert len(panels) == 2
    assert panels[0].get_title() == f'UDM10, measured ({words})'


def test_published_alone():
    figure = draw_tradeoff([], published_marks([7], AXES), AXES)
    (panel,) = figure.axes
    assert 'printed in the paper' in panel.get_title()


def test_no_two_series_look_alike():
    axes = MetricPair(None, 'PSNR', 'LPIPS')
    figure = draw_tradeoff([], published_marks([3, 4, 5, 7], axes), axes)
    lines = [c.lines[0] for c in figure.axes[0].containers]
    looks = {(line.get_color(), line.get_marker()) for line in lines}
    assert len(looks) == len(lines) == 13


def test_bars_reach_as_far_as_said():
    mark = Mark('a', None, 20.0, 0.5, (1.0, 2.0), (0.1, 0.3))
    (panel,) = draw_tradeoff([mark], [], MetricPair('s', 'PSNR', 'LPIPS')).axes
    bars = panel.containers[0].lines[2]
    (across,), (up,) = (bar.get_segments() for bar in bars)
    assert across[:, 0].tolist() == [19.0, 22.0]
    assert up[:, 1].tolist() == pytest.approx([0.4, 0.8])


@pytest.mark.parametrize(
    ('axes', 'message'),
    [
        (
            MetricPair('set', 'PSNR', 'DOVER'),
            'set: nothing has both PSNR and DOVER',
        ),
        (
            MetricPair('other', 'PSNR', 'LPIPS'),
            "`set` must be one of set, got 'oth",
        ),
    ],
)
def test_runs_without(tmp_path: Path, axes: MetricPair, message: str):
    runs = load_results([make_run(tmp_path, 'a', [(20.0, 0.3)])])
    with pytest.raises(ValueError, match=message):
        marks_of_results(runs, axes)


def test_several_sets_must_be_chosen_from(tmp_path: Path):
    lines = [
        line('a', '', metric, 1.0, dataset=name)
        for name in ('one', 'two')
        for metric in ('PSNR', 'LPIPS')
    ]
    path = make_table(tmp_path, lines)
    with pytest.raises(ValueError, match='must be one of one, two, got none'):
        marks_of_table(path, AXES)
    chosen = dataclasses.replace(AXES, dataset='two')
    assert len(marks_of_table(path, chosen)[1]) == 1


def test_no_table(tmp_path: Path):
    path = tmp_path / 'table.csv'
    with pytest.raises(ValueError, match=r'table.csv cannot be read'):
        marks_of_table(path, AXES)
    path.write_text('a,b\n1,2\n')
    with pytest.raises(ValueError, match="it has no column 'setting'"):
        marks_of_table(path, AXES)
