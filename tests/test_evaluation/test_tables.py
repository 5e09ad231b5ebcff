"""Averages and Markdown."""

from star.evaluation.tables import average, markdown

ROWS = [
    {'model': 'b', 'psnr': 20.0, 'lpips': 0.5},
    {'model': 'a', 'psnr': 30.0},
    {'model': 'b', 'psnr': 23.0, 'lpips': None},
]


def test_average():
    assert average(ROWS, 'model', ['psnr', 'lpips']) == {
        'b': {'psnr': 21.5, 'lpips': 0.5},
        'a': {'psnr': 30.0, 'lpips': None},
    }


def test_markdown():
    columns = {'psnr': 'PSNR|.2f', 'lpips': 'LPIPS|+.1%'}
    rows = average(ROWS, 'model', list(columns))
    assert markdown('model', rows, columns).splitlines() == [
        '| model | PSNR | LPIPS |',
        '| --- | --- | --- |',
        '| b | 21.50 | +50.0% |',
        '| a | 30.00 |  |',
    ]
