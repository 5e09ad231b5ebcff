import csv
import math

import pytest

from star.apis.test.results import (
    collect_results,
    read_finished,
    record_path,
    write_results,
)
from star.utils.files import read_json, write_json

FACTS = {
    'method': {'name': 'm', 'random_init': True},
    'protocol': {'metrics': [{'name': 'PSNR'}, {'name': 'Ewarp'}]},
}


def record(folder, dataset, name, psnr, ewarp, **values):
    content = {
        **{'dataset': dataset, 'name': name, 'num_frames': 2, 'fps': 25.0},
        **{'size': [32, 48], 'seconds': 3.0, 'peak_memory': 100},
        'scores': {'PSNR': psnr, 'Ewarp': ewarp},
        'parts': {'Ewarp': {'frames': [0], 'values': [ewarp]}},
        'problems': [],
        **values,
    }
    write_json(record_path(folder, dataset, name), content)


@pytest.fixture
def folder(tmp_path):
    record(tmp_path, 'B', 'x', 30.0, 1.5)
    record(
        *(tmp_path, 'B', 'y', math.inf, 2.0),
        **{'num_frames': 6, 'seconds': 5.0, 'peak_memory': 300},
    )
    record(tmp_path, 'A', 'x', None, 4.0, seconds=None, peak_memory=None)
    failed = {'dataset': 'A', 'name': 'z', 'failed': True, 'problems': ['z!']}
    write_json(record_path(tmp_path, 'A', 'z'), failed)
    return tmp_path


SETS = {'B': ['x', 'y'], 'A': ['x', 'z', 'w']}


def test_means_over_clips(folder):
    results = collect_results(folder, SETS, FACTS, ['DOVER: no weights'])
    assert list(results['sets']) == ['B', 'A']
    assert results['sets']['B'] == {
        'clips': 2,
        'frames': 8,
        'scores': {'PSNR': math.inf, 'Ewarp': 1.75},
        'scored': {'PSNR': 2, 'Ewarp': 2},
        'seconds_per_frame': 1.0,
        'peak_memory': 300,
    }
    assert results['sets']['A'] == {
        'clips': 1,
        'frames': 2,
        'scores': {'PSNR': None, 'Ewarp': 4.0},
        'scored': {'PSNR': 0, 'Ewarp': 1},
        'seconds_per_frame': None,
        'peak_memory': None,
    }
    names = [(clip['dataset'], clip['name']) for clip in results['clips']]
    assert names == [('B', 'x'), ('B', 'y'), ('A', 'x')]
    lines = ['DOVER: no weights', 'z!', 'A/w: it was not tested']
    assert results['problems'] == lines


def test_what_failed_is_not_finished(folder):
    assert read_finished(record_path(folder, 'B', 'x'))['name'] == 'x'
    assert read_finished(record_path(folder, 'A', 'z')) is None
    assert read_finished(record_path(folder, 'A', 'w')) is None


def test_files(folder):
    results = collect_results(folder, SETS, FACTS)
    path = write_results(results, folder)
    assert path == folder / 'results.json'
    saved = read_json(path)
    assert saved['format'] == 'star-results/1'
    assert saved['sets']['B']['scores'] == {'PSNR': 'inf', 'Ewarp': 1.75}
    tables = {}
    for name in ('sets', 'clips', 'frames'):
        with open(folder / f'{name}.csv', newline='') as file:
            lines = list(csv.reader(file))
        labels = [line.pop(0) for line in lines]
        assert labels == ['method', *['m (random weights)'] * (len(lines) - 1)]
        tables[name] = lines
    assert tables['sets'] == [
        [
            *('dataset', 'clips', 'frames', 'PSNR', 'Ewarp'),
            *('seconds_per_frame', 'peak_memory'),
        ],
        ['B', '2', '8', 'inf', '1.75', '1.0', '300'],
        ['A', '1', '2', '', '4.0', '', ''],
    ]
    assert tables['clips'][0][-4:] == ['height', 'width', 'PSNR', 'Ewarp']
    assert tables['clips'][3] == [
        *('A', 'x', '2', '25.0', '', '', '32', '48', '', '4.0')
    ]
    assert tables['frames'] == [
        ['dataset', 'name', 'frame', 'metric', 'value'],
        ['B', 'x', '0', 'Ewarp', '1.5'],
        ['B', 'y', '0', 'Ewarp', '2.0'],
        ['A', 'x', '0', 'Ewarp', '4.0'],
    ]
