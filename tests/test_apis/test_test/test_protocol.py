import copy

import pytest
import torch
from mmengine.config import Config

from star.apis.test.method import load_method
from star.apis.test.protocol import (
    IN_MEMORY,
    claim_folder,
    describe_method,
    describe_protocol,
    join_facts,
)
from star.utils.files import read_json

METRICS = [{'name': 'PSNR', 'options': {'border': 0}, 'weights': {}}]
SETS = {'A': {'clips': 2, 'frames': None, 'manifest_sha256': 'ab'}}
CPU = torch.device('cpu')


def facts():
    config = Config({'model': {'type': 'Bicubic', 'scale': 2}})
    method = describe_method('bicubic', config, load_method(config))
    protocol = describe_protocol(METRICS, SETS, 0, 'restored in memory', CPU)
    return {'method': method, 'protocol': protocol}


def test_the_method():
    method = facts()['method']
    assert method['type'] == 'Bicubic'
    assert method['model'] == {'type': 'Bicubic', 'scale': 2}
    assert method['options']['scale'] == 2
    assert (method['weights'], method['random_init']) == ({}, False)


def test_the_fingerprint_is_of_what_decides():
    def fingerprint(metrics=METRICS, sets=SETS, seed=0, source='x'):
        protocol = describe_protocol(metrics, sets, seed, source, CPU)
        return protocol['fingerprint']

    assert fingerprint() == fingerprint(seed=1, source='y')
    other = copy.deepcopy(METRICS)
    other[0]['options']['border'] = 1
    assert fingerprint(other) != fingerprint()
    assert fingerprint(sets={'A': {**SETS['A'], 'frames': 3}}) != fingerprint()


def with_metrics(*names):
    changed = facts()
    metrics = [{**METRICS[0], 'name': name} for name in names]
    protocol = describe_protocol(metrics, SETS, 0, IN_MEMORY, CPU)
    return {**changed, 'protocol': protocol}


def test_metrics_are_joined(tmp_path):
    first = claim_folder(tmp_path, {**facts(), 'save': 'mkv'})
    wanted = {**with_metrics('NIQE', 'PSNR'), 'save': None}
    joined = join_facts(tmp_path, wanted)
    assert joined['save'] == 'mkv'  # what the folder has
    assert joined['protocol'] == wanted['protocol']  # as in another folder
    assert read_json(tmp_path / 'run.json') == first  # not claimed yet
    added = claim_folder(tmp_path, wanted, again=True)
    assert added['protocol']['input'] == 'restored in memory, ffv1 mkv'
    same = wanted['protocol']['fingerprint']
    assert added['protocol']['fingerprint'] == same
    # metrics that are not named stay, and the sources of the scores
    fewer = claim_folder(tmp_path, {**with_metrics('SSIM'), 'save': None})
    names = [each['name'] for each in fewer['protocol']['metrics']]
    assert names == ['NIQE', 'PSNR', 'SSIM']
    assert fewer['protocol']['input'] == added['protocol']['input']
    expected = with_metrics('NIQE', 'PSNR', 'SSIM')['protocol']['fingerprint']
    assert fewer['protocol']['fingerprint'] == expected


def test_a_folder_is_one_runs(tmp_path):
    first = claim_folder(tmp_path / 'a', facts())
    assert read_json(tmp_path / 'a' / 'run.json') == first
    again = facts()
    again['protocol']['threads'] = 99
    again['protocol']['device'] = 'another'
    again['method']['config'] = 'elsewhere.py'
    assert claim_folder(tmp_path / 'a', again)['protocol']['threads'] == 99


@pytest.mark.parametrize(
    ('change', 'line'),
    [
        (
            {'protocol': {'sets': {'A': {**SETS['A'], 'frames': 3}}}},
            r'protocol\.sets\.A\.frames is None there and 3 here',
        ),
        (
            {'protocol': {'sets': {'A': {**SETS['A'], 'clips': 3}}}},
            r'protocol\.sets\.A\.clips is 2 there and 3 here',
        ),
        (
            {'protocol': {'sets': {'B': SETS['A']}}},
            r'protocol: protocol\.sets is A there and B here; choose',
        ),
        (
            {'protocol': {'metrics': [{**METRICS[0], 'weights': {'a': 'b'}}]}},
            r"protocol\.metrics\.PSNR\.weights\.a is not set there and 'b'",
        ),
        (
            {'method': {'weights': {'iter_2': 'cd'}}},
            r"method\.weights\.iter_2 is not set there and 'cd' here",
        ),
        ({'save': 'png'}, "save is not set there and 'png' here"),
    ],
)
def test_other_rules_are_refused(tmp_path, change, line):
    claim_folder(tmp_path, facts())
    other = facts()
    for part, values in change.items():
        if isinstance(values, dict):
            other[part].update(values)
        else:
            other[part] = values
    with pytest.raises(ValueError, match=line) as caught:
        claim_folder(tmp_path, other)
    assert len(str(caught.value).splitlines()) == 1
    assert read_json(tmp_path / 'run.json')['method'] == facts()['method']
