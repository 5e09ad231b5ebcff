"""The files of a report."""

from star.sweep.plan import Run
from star.sweep.report import write_report
from tests.test_sweep.made import make_sweep, setting, write_results


def test_files(tmp_path):
    runs = make_sweep(tmp_path)
    results = write_report(runs, tmp_path)
    assert len(results.scores) == 4
    names = {p.name for p in (tmp_path / 'report').iterdir()}
    assert names == {
        *('.lock', 'index.html', 'runs.csv', 'table.csv', 'table.md'),
        *('alpha_UDM10.png', 'alpha_UDM10.csv'),
    }
    page = (tmp_path / 'report' / 'index.html').read_text()
    assert page.count('data:image/png;base64,') == 1


def test_more_results_change_the_report(tmp_path):
    runs = make_sweep(tmp_path)
    write_report(runs[:3], tmp_path)
    before = (tmp_path / 'report' / 'runs.csv').read_text().splitlines()
    write_report(runs, tmp_path)
    after = (tmp_path / 'report' / 'runs.csv').read_text().splitlines()
    assert set(before) < set(after)
    assert (len(before), len(after)) == (1 + 3 * 2, 1 + 6 * 2)


def test_nothing_is_written_of_nothing(tmp_path):
    results = write_report([Run(setting('1'), 0)], tmp_path)
    assert results.scores == []
    assert [p.name for p in (tmp_path / 'report').iterdir()] == ['.lock']


def test_sets_with_odd_names(tmp_path):
    runs = [Run(setting(a), 0) for a in ('1', '2')]
    for run in runs:
        write_results(tmp_path, run, {'PSNR': 20.0}, dataset='my set')
    write_report(runs, tmp_path)
    assert (tmp_path / 'report' / 'alpha_my_set.png').is_file()
