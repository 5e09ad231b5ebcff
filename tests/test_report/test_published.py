"""Methods and settings of the paper, and their numbers."""

from pathlib import Path

import pytest

from star.report.published import (
    load_ablations,
    load_published,
    published_ablations,
    published_method,
)
from star.report.results import MethodResults
from tests.paths import VECTORS, needs_vectors

_TABLES = 'paper_tables.csv'


def run(name: str, kind: str, config: str) -> MethodResults:
    method = {'name': name, 'type': kind, 'config': config}
    return MethodResults(name, Path(), method, {}, {}, {}, [])


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
            'configs/real_esrgan/realesr_general_x4v3.py',
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


def test_ablations_are_whole():
    """Tables 3, 4, 5 and 7: 21 rows of three metrics."""
    table = load_ablations()
    assert [sum(p[0] == n for p in table) for n in (3, 4, 5, 7)] == [
        6,
        4,
        6,
        5,
    ]
    assert all(
        scores.keys() == {'PSNR', 'LPIPS', 'Ewarp'}
        for scores in table.values()
    )
    # the model itself stands in table 1 as well, with these scores
    own = load_published()['UDM10']['STAR (I2VGen-XL)']
    found = table[7, 'beta 1.0']
    assert all(own[metric] == score for metric, score in found.items())


ALPHA, BETA = (f'model.losses.frequency.{n}' for n in ('alpha', 'beta'))


@pytest.mark.parametrize(
    ('config', 'changes', 'expected'),
    [
        ('a/configs/ablations/liem_none.py', {}, [(3, 'none')]),
        (
            'configs/ablations/liem_both.py',
            None,
            [
                (3, 'position i, spatial+temporal'),
                (4, 'without frequency loss'),
            ],
        ),
        ('ablations/liem_none.py', {ALPHA: '1'}, []),
        ('ablations/liem_after_norm.py', {}, []),
        ('mine/liem_none.py', {}, []),
        ('star/tiny.py', {ALPHA: '1'}, []),
        (
            'star/i2vgen.py',
            {},
            [(5, 'b linear, alpha 2'), (7, 'beta 1.0')],
        ),
        ('star/i2vgen.py', {ALPHA: '0.50'}, [(5, 'b linear, alpha 0.5')]),
        ('star/i2vgen.py', {BETA: '2'}, [(7, 'beta 2.0')]),
        ('star/i2vgen.py', {BETA: '3'}, []),
        ('star/i2vgen.py', {BETA: 'x'}, []),
        ('star/i2vgen.py', {ALPHA: '1', BETA: '2'}, []),
        ('star/i2vgen.py', {'train_cfg.max_iters': '2'}, []),
    ],
)
def test_only_the_same_setting(
    config: str, changes: dict | None, expected: list
):
    assert published_ablations(config, changes) == expected


@needs_vectors
def test_numbers_are_those_collected():
    import csv

    source = VECTORS.parent / _TABLES
    if not source.is_file():
        pytest.skip(f'no {_TABLES} beside the vectors')
    with source.open(encoding='utf-8') as file:
        everything = list(csv.DictReader(file))
    ablations = load_ablations()
    rows = [r for r in everything if r['table'] in ('3', '4', '5', '7')]
    for row in rows:
        place = int(row['table']), row['setting']
        assert ablations[place][row['metric']] == float(row['value']), row
    assert len(rows) == 63
    rows = [r for r in everything if r['table'] in ('1', '6')]
    table = load_published()
    for row in rows:
        methods = table[row['dataset'].split(' (')[0]]
        value = methods[row['setting']][row['metric']]
        assert value == float(row['value']), row
    assert len(rows) == 187
