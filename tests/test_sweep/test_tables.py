"""Tables of a sweep: our numbers and the paper's."""

import csv
import html
import re

import pytest

from star.sweep import plots, tables
from star.sweep.plan import Run, Setting
from star.sweep.results import gather
from tests.test_sweep.made import make_sweep, setting, write_results


@pytest.fixture
def found(tmp_path):
    runs = make_sweep(tmp_path)
    settings = list(dict.fromkeys(run.setting for run in runs))
    return gather(runs, tmp_path), settings


def test_csv(found):
    rows = list(csv.DictReader(tables.to_csv(*found).splitlines()))
    first = rows[0]
    assert first['setting'] == 'i2vgen-alpha=0.5'
    assert first['changes'] == 'model.losses.frequency.alpha=0.5'
    facts = [first[k] for k in ('kind', 'set', 'metric', 'mean', 'spread')]
    assert facts == ['measured', 'UDM10', 'PSNR', '21.0', '1.0']
    printed = [r for r in rows if r['kind'].startswith('published')]
    assert {r['kind'] for r in printed} == {
        'published, table 5: b linear, alpha 0.5',
        'published, table 5: b linear, alpha 1',
    }
    assert {r['set'] for r in printed} == {'not stated'}
    values = [r['mean'] for r in printed if r['metric'] == 'PSNR']
    assert values == ['23.71', '23.85']
    assert {r['seeds'] for r in printed} == {''}


def test_csv_of_runs(found):
    rows = list(csv.DictReader(tables.to_runs_csv(found[0]).splitlines()))
    psnr = [r['value'] for r in rows if r['metric'] == 'PSNR']
    assert psnr == ['20.0', '21.0', '22.0', '23.0', '24.0', '25.0']
    assert {r['clips'] for r in rows} == {'10'}


def test_scores_with_the_papers_row_below(found):
    table, differences, printed = tables.make_tables(*found)
    assert table.head == ['setting', 'PSNR ↑', 'LPIPS ↓']
    texts = [[item.text for item in row] for row in table.rows]
    assert texts == [
        ['i2vgen-alpha=0.5', '21.00', '0.1000'],
        ['table 5: b linear, alpha 0.5, published', '23.71', '0.2010'],
        ['i2vgen-alpha=1', '24.00', '0.0700'],
        ['table 5: b linear, alpha 1, published', '23.85', '0.1903'],
    ]
    assert table.rows[2][1].note == '± 1.00 (3)'
    marks = [row[1].mark for row in table.rows]
    assert marks == ['second', 'printed', 'best', 'printed']
    gain = differences.rows[0][1]
    assert (gain.text, gain.note) == ('+3.00', '± 0.00 (3)')
    assert printed.head[2:] == ['PSNR', 'LPIPS', 'Ewarp']
    assert 'published, not measured' in printed.title


def test_another_set_has_no_row_of_the_paper_in_it(tmp_path):
    run = Run(setting('1'), 0)
    write_results(tmp_path, run, {'PSNR': 20.0}, dataset='mine')
    found = gather([run], tmp_path), [run.setting]
    table, printed = tables.make_tables(*found)
    assert len(table.rows) == 1 and table.rows[0][1].note == '(1)'
    assert len(printed.rows) == 1


def test_a_set_of_the_same_name_has_no_row_of_the_paper(tmp_path):
    """Not in the tables, the files or the plots; one remark says why."""
    runs = make_sweep(tmp_path)
    write_results(tmp_path, runs[0], {'PSNR': 20.0, 'LPIPS': 0.1}, frames=8)
    settings = list(dict.fromkeys(run.setting for run in runs))
    results = gather(runs, tmp_path)
    scores, differences = tables.make_tables(results, settings)
    assert len(scores.rows) == 2
    assert '8 frames, not 32 frames' in scores.remark
    assert differences.remark == ''
    texts = [
        tables.to_markdown(results, settings),
        tables.to_page(results, settings, {}),
        tables.to_csv(results, settings),
    ]
    for text in texts:
        assert '23.71' not in text and 'published' not in text
    assert [text.count('8 frames, not 32') for text in texts] == [1, 1, 4]
    (points,) = plots.make_plots(results).values()
    assert {point.seeds for point in points} == {3}


def test_remarks_follow_the_tables(tmp_path):
    runs = make_sweep(tmp_path)
    write_results(tmp_path, runs[0], {'PSNR': 20.0}, problems=('lost',))
    settings = list(dict.fromkeys(run.setting for run in runs))
    results = gather(runs, tmp_path)
    text = tables.to_markdown(results, settings)
    assert text.index('| setting') < text.index('1 problems, see')
    page = tables.to_page(results, settings, {})
    assert page.rindex('</table>') < page.index('1 problems, see')


def test_settings_without_scores_still_have_their_printed_row(tmp_path):
    lone = Setting('liem_none', 'configs/ablations/liem_none.py')
    (printed,) = tables.make_tables(gather([], tmp_path), [lone])
    texts = [item.text for item in printed.rows[0]]
    assert texts[1:3] == ['table 3: none, published', '23.14']


def test_markdown_and_page(found):
    text = tables.to_markdown(*found)
    assert '| i2vgen-alpha=1 | **24.00** ± 1.00 (3) | **0.0700**' in text
    assert '*table 5: b linear, alpha 1, published*' in text
    page = tables.to_page(*found, {'UDM10: <alpha>': b'png'})
    assert '<b title="best">24.00</b> <small>± 1.00 (3)</small>' in page
    assert 'alt="UDM10: &lt;alpha&gt;"' in page
    assert 'src="data:image/png;base64,cG5n"' in page
    assert not re.search(r'(src|href)="(?!data:)', page)
    assert html.escape(tables.EXPLANATION) in page
