"""Cells of the tables, in Markdown and as data."""

import csv
import html
import io
import json
import math
from pathlib import Path
from typing import Any

import pytest

from star.cli.options.choices import OPENVID_SETS
from star.datasets.published_sets import PUBLISHED
from star.report.comparison import Comparison, compare
from star.report.export import to_csv, to_json
from star.report.markdown import escape, to_markdown
from star.report.page import to_page
from star.report.paper_sets import PAPER_SETS, PaperSet
from star.report.published import load_published
from star.report.remarks import Remark
from star.report.results import load_results
from star.report.tables import (
    Table,
    clip_table,
    difference_table,
    memory,
    number,
    printed_table,
    score_table,
    set_tables,
)
from tests.test_report import made

SCORES: dict[str, list[tuple[float, float | None]]] = {
    'a|b': [(20.0, 0.30), (22.0, 0.40)],
    'star': [(21.0, 0.25), (23.0, 0.35)],
    'third': [(20.5, None), (22.5, None)],
}


def make(
    folder: Path, count: int = 10, change: dict[str, Any] | None = None
) -> Comparison:
    """Three methods on clips of UDM10; `star` is the paper's.

    Args:
        folder: of the results.
        count: of clips; their scores alternate.
        change: of the facts of the last clip of the last method.
    """
    sources = []
    for i, (name, scores) in enumerate(SCORES.items()):
        clips = [
            made.clip('UDM10', f'{k}', {'PSNR': p, 'LPIPS': q})
            for k, (p, q) in enumerate((scores * count)[:count])
        ]
        data = made.results(name, clips)
        made.as_paper(data)
        if name == 'third':
            clips[-1] |= change or {}
        if name == 'star':
            data['method']['config'] = '/x/configs/star/i2vgen.py'
        data['sets']['UDM10']['peak_memory'] = [None, 2**20, 2**31][i]
        sources.append(str(made.write(folder / str(i), data)))
    return compare(load_results(sources))


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    return make(tmp_path)


def texts(table: Table) -> list[list[str]]:
    return [[item.text for item in row] for row in table.rows]


def test_scores(comparison: Comparison):
    table = score_table(comparison, comparison.sets[0])
    assert table.title == 'UDM10 (10 clips)'
    assert table.remark == ''
    assert table.head == [
        *('method', 'PSNR ↑', 'LPIPS ↓', 's per frame', 'peak memory')
    ]
    assert texts(table) == [
        ['a|b', '21.00', '0.3500', '0.25', '\u2013'],
        ['star', '22.00', '0.3000', '0.25', '1 MiB'],
        [
            'STAR (I2VGen-XL), published, not measured',
            *('23.91', '0.1885', '\u2013', '\u2013'),
        ],
        ['third', '21.50', '\u2013', '0.25', '2.00 GiB'],
    ]
    assert [row[1].mark for row in table.rows] == [
        *('', 'best', 'printed', 'second')
    ]
    assert [row[2].mark for row in table.rows] == [
        *('second', 'best', 'printed', '')
    ]
    assert table.rows[0][1].note == '[20.40, 21.60]'


def test_differences(comparison: Comparison):
    table = difference_table(comparison, comparison.sets[0])
    assert table is not None
    assert table.title == 'UDM10: difference to a|b'
    assert texts(table) == [
        ['star', '+1.00', '\u22120.0500'],
        ['third', '+0.50', '\u2013'],
    ]
    assert table.rows[0][2].note == '[\u22120.0500, \u22120.0500]'
    assert [item.mark for item in table.rows[0]] == ['', 'better', 'better']


@pytest.mark.parametrize(('count', 'mark'), [(5, ''), (6, 'better')])
def test_a_verdict_needs_six_clips(tmp_path: Path, count: int, mark: str):
    """Five equal gains are shown with their interval, and not judged."""
    found = make(tmp_path, count)
    table = difference_table(found, found.sets[0])
    assert table is not None
    gains = [(item.text, item.mark) for item in table.rows[0][1:]]
    assert gains == [('+1.00', mark), ('\u22120.0500', mark)]
    assert table.rows[0][1].note == '[+1.00, +1.00]'
    assert ('better' in to_markdown(found, []).split('UDM10', 1)[1]) == bool(
        mark
    )


def test_clips_of_a_verdict_are_paired(tmp_path: Path):
    """Eight clips each, of which five are common."""
    sources = []
    for name, first in {'a': 0, 'b': 3}.items():
        clips = [
            made.clip('s', str(i), {'PSNR': 20.0 + (name == 'b')})
            for i in range(first, first + 8)
        ]
        data = made.results(name, clips)
        sources.append(str(made.write(tmp_path / name, data)))
    found = compare(load_results(sources))
    table = difference_table(found, found.sets[0])
    assert table is not None
    assert (table.rows[0][1].text, table.rows[0][1].mark) == ('+1.00', '')


NOT_SHOWN = "The paper's numbers are not shown: this is not its UDM10 ({})"


@pytest.mark.parametrize(
    ('count', 'change', 'reason'),
    [
        (9, {}, '9 clips, not 10 clips'),
        (11, {}, '11 clips, not 10 clips'),
        (10, {'num_frames': 8}, '8 frames, not 32 frames'),
        (
            10,
            {'size': [720, 1280], 'lq_size': [180, 320]},
            '1280x720 pixels, not 1272x720 pixels',
        ),
        (10, {'lq_size': [360, 636]}, 'x2, not x4'),
        (10, {'lq_size': None}, ''),
    ],
)
def test_only_the_papers_set_has_its_numbers(
    tmp_path: Path, count: int, change: dict[str, Any], reason: str
):
    """One clip of one method is enough; all means are over the same clips."""
    found = make(tmp_path, count, change)
    (set_,) = found.sets
    tables = set_tables(found, set_)
    published = [table.title for table in tables if 'published' in table.title]
    rows = [row[0].text for row in tables[0].rows]
    assert len(published) == (not reason)
    assert len(rows) == 3 + (not reason)
    expected = NOT_SHOWN.format(reason) if reason else ''
    assert tables[0].remark == set_.departure == expected
    data = to_json(found, [])
    shown = [row['published'] for row in data['rows'] if row['published']]
    assert shown == ([] if reason else [23.91, 0.1885])
    assert data['departures'] == ({'UDM10': expected} if reason else {})
    texts = [to_markdown(found, []), to_page(found, [], [])]
    for text in [*texts, to_csv(found)]:
        assert ('23.91' in text) == (not reason)
    assert [reason in html.unescape(text) for text in texts] == [True] * 2


def test_a_mean_over_fewer_clips_is_not_the_papers(tmp_path: Path):
    found = make(tmp_path)
    for results in found.results.values():
        results.clips['UDM10', '3'].scores.pop('PSNR')
    (set_,) = compare(list(found.results.values())).sets
    assert set_.departure == NOT_SHOWN.format('9 clips, not 10 clips')


def test_facts_of_the_papers_sets_are_those_of_the_preparation():
    known = {
        each.name: PaperSet(each.num_clips, each.num_frames, each.size)
        for each in PUBLISHED.values()
    }
    known |= {
        name: PaperSet(clips, frames, size)
        for name, clips, frames, size in OPENVID_SETS.values()
    }
    assert {name: known[name] for name in PAPER_SETS} == PAPER_SETS
    assert PAPER_SETS.keys() == load_published().keys()


def test_a_difference_that_may_be_none_is_not_marked(tmp_path: Path):
    sources = []
    for name, scores in {'a': [20, 30], 'b': [21, 28]}.items():
        clips = [
            made.clip('s', str(i), {'PSNR': s}) for i, s in enumerate(scores)
        ]
        data = made.results(name, clips)
        sources.append(str(made.write(tmp_path / name, data)))
    found = compare(load_results(sources))
    table = difference_table(found, found.sets[0])
    assert table is not None
    (row,) = table.rows
    assert (row[1].text, row[1].mark) == ('\u22120.50', '')


def test_tables_without_content_are_left_out(tmp_path: Path):
    sources = []
    for name, sets in {'a': 'ST', 'b': 'S'}.items():
        clips = [made.clip(s, 'c', {'PSNR': 1.0}) for s in sets]
        clips.append(made.clip('U', 'c', {'PSNR': None}))
        data = made.results(name, clips)
        sources.append(str(made.write(tmp_path / name, data)))
    found = compare(load_results(sources), reference='b')
    titles = [t.title for p in found.sets for t in set_tables(found, p)]
    assert titles == [
        *('S (1 clip)', 'S: difference to b', 'T (1 clip)', 'U (no scores)')
    ]
    assert clip_table(found, ('U', 'c')) is None


def test_one_clip(comparison: Comparison):
    table = clip_table(comparison, ('UDM10', '1'))
    assert table is not None
    assert texts(table) == [
        ['a|b', '22.00', '0.4000'],
        ['star', '23.00', '0.3500'],
        ['third', '22.50', '\u2013'],
    ]


def test_printed_numbers():
    table = printed_table('VideoLQ')
    assert table is not None
    assert table.head == ['method', 'ILNIQE', 'DOVER', 'Ewarp']
    rows = {row[0]: row[1:] for row in texts(table)}
    assert len(rows) == 9
    assert rows['MGLD-VSR, published, not measured'] == [
        *('23.94', '0.5319', '7.82')
    ]
    assert printed_table('elsewhere') is None


@pytest.mark.parametrize(
    ('value', 'shown'),
    [(1.005, '1.00'), (None, '\u2013'), (math.inf, '∞'), (math.nan, '\u2013')],
)
def test_numbers(value: float | None, shown: str):
    assert number(value, 2) == shown


@pytest.mark.parametrize(
    ('size', 'shown'),
    [(None, '\u2013'), (3 * 2**19, '2 MiB'), (3 * 2**29, '1.50 GiB')],
)
def test_memory(size: float | None, shown: str):
    assert memory(size) == shown


def test_markdown(comparison: Comparison):
    text = to_markdown(comparison, [Remark('warning', 'x <b>')])
    lines = text.splitlines()
    assert '- warning: x &lt;b\\>.' in lines
    assert '| a\\|b | 21.00 \\[20.40, 21.60\\] |' in text
    assert '| star | **22.00** \\[21.40, 22.60\\] | **0.3000** ' in text
    assert '| third | <ins>21.50</ins> ' in text
    assert '*STAR (I2VGen-XL), published, not measured* | *23.91* |' in text
    assert '| +1.00 better \\[+1.00, +1.00\\] |' in text
    # each table has rows of one width
    for i, line in enumerate(lines):
        if line.startswith('| ---'):
            width = lines[i - 1].replace('\\|', '').count('|')
            assert line.count('|') == width


def test_markdown_escapes_names():
    assert escape('a_b*<i>\n|`') == 'a\\_b\\*&lt;i\\> \\|\\`'


def test_json_and_csv_hold_the_numbers(comparison: Comparison):
    data = json.loads(json.dumps(to_json(comparison, []), allow_nan=False))
    rows = {(r['method'], r['metric']): r for r in data['rows']}
    star = rows['star', 'LPIPS']
    assert star['mean'] == pytest.approx(0.3)
    assert (star['rank'], star['published']) == (1, 0.1885)
    assert star['difference'] == pytest.approx(-0.05)
    assert (star['clips'], star['difference_clips']) == (10, 10)
    assert rows['third', 'PSNR']['peak_memory'] == 2**31
    assert data['reference'] == 'a|b'
    read = list(csv.DictReader(io.StringIO(to_csv(comparison))))
    assert len(read) == len(data['rows']) == 5
    for row in read:
        expected = rows[row['method'], row['metric']]
        assert float(row['mean']) == expected['mean']


def test_infinity_is_a_string_in_json(tmp_path: Path):
    data = made.results('a', [made.clip('s', 'c', {'PSNR': 'inf'})])
    found = compare(load_results([str(made.write(tmp_path, data))]))
    (row,) = to_json(found, [])['rows']
    assert (row['mean'], row['low']) == ('inf', None)
