"""Which of our runs are the paper's methods, and what it printed."""

from pathlib import Path

import pytest

from star.report.published import load_published, published_method
from star.report.runs import Run
from tests.paths import VECTORS, needs_vectors

_TABLES = 'paper_tables.csv'


def run(name: str, kind: str, config: str) -> Run:
    method = {'name': name, 'type': kind, 'config': config}
    return Run(name, Path(), method, {}, {}, {}, [])


@pytest.mark.parametrize(
    ('name', 'kind', 'config', 'expected'),
    [
        ('a', 'STARModel', 'configs/star/i2vgen.py', 'STAR (I2VGen-XL)'),
        ('a', 'STARModel', 'i2vgen.py', None),
        ('a', 'STARModel', 'configs/star/tiny.py', None),
        ('i2vgen', 'STARModel', 'configs/ablations/i2vgen.py', None),
        (
            'Real-ESRGAN',
            'RealESRGANCompact',
            'configs/baselines/realesr_general_x4v3.py',
            None,
        ),
        ('RealViformer', 'SavedResults', 'x/saved.py', 'RealViformer'),
        ('my RealViformer', 'SavedResults', 'x/saved.py', None),
    ],
)
def test_only_the_same_method(
    name: str, kind: str, config: str, expected: str | None
):
    assert published_method(run(name, kind, config)) == expected


def test_tables_are_whole():
    """Table 1: 9 methods, 5 metrics on 3 sets and 3 on one; table 6: 5."""
    table = load_published()
    count = {
        name: [len(scores) for scores in methods.values()]
        for name, methods in table.items()
    }
    assert count == {
        'UDM10': [5] * 9,
        'REDS30': [5] * 9,
        'OpenVid30': [5] * 9,
        'VideoLQ': [3] * 9,
        'OpenVid10': [5] * 5,
    }
    # as the paper marks them: the best of table 1 on UDM10
    best = {
        metric: pick(table['UDM10'], key=lambda m: table['UDM10'][m][metric])
        for metric, pick in [('PSNR', max), ('SSIM', max), ('Ewarp', min)]
    }
    assert best == {
        'PSNR': 'RealViformer',
        'SSIM': 'STAR (I2VGen-XL)',
        'Ewarp': 'STAR (I2VGen-XL)',
    }


@needs_vectors
def test_numbers_are_those_collected():
    import csv

    source = VECTORS.parent / _TABLES
    if not source.is_file():
        pytest.skip(f'no {_TABLES} beside the vectors')
    with source.open(encoding='utf-8') as file:
        rows = [r for r in csv.DictReader(file) if r['table'] in ('1', '6')]
    table = load_published()
    for row in rows:
        methods = table[row['dataset'].split(' (')[0]]
        value = methods[row['setting']][row['metric']]
        assert value == float(row['value']), row
    assert len(rows) == 187
