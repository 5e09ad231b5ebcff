"""Cells of the tables, in Markdown and as data."""

import csv
import io
import json
import math
from pathlib import Path

import pytest

from star.report.comparison import Comparison, compare
from star.report.export import to_csv, to_json
from star.report.markdown import escape, to_markdown
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

SCORES = {
    'a|b': [(20.0, 0.30), (22.0, 0.40)],
    'star': [(21.0, 0.25), (23.0, 0.35)],
    'third': [(20.5, None), (22.5, None)],
}


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    """Three methods on two clips of UDM10; `star` is the paper's."""
    sources = []
    for i, (name, scores) in enumerate(SCORES.items()):
        clips = [
            made.clip('UDM10', f'{k}', {'PSNR': p, 'LPIPS': q})
            for k, (p, q) in enumerate(scores)
        ]
        data = made.results(name, clips)
        if name == 'star':
            data['method']['config'] = '/x/configs/star/i2vgen.py'
        data['sets']['UDM10']['peak_memory'] = [None, 2**20, 2**31][i]
        sources.append(str(made.write(tmp_path / str(i), data)))
    return compare(load_results(sources))


def texts(table: Table) -> list[list[str]]:
    return [[item.text for item in row] for row in table.rows]


def test_scores(comparison: Comparison):
    table = score_table(comparison, comparison.sets[0])
    assert table.title == 'UDM10 (2 clips)'
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
    assert table.rows[0][1].note == '[20.00, 22.00]'


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
    assert '| a\\|b | 21.00 \\[20.00, 22.00\\] |' in text
    assert '| star | **22.00** \\[21.00, 23.00\\] | **0.3000** ' in text
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
    assert (star['clips'], star['difference_clips']) == (2, 2)
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
