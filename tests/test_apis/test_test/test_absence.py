import copy
from types import SimpleNamespace

import pytest

from star.apis.test.absence import foresee_absences, list_absences
from star.apis.test.metrics import Metrics


def metric(name, needs_gt=False, datasets=None):
    return SimpleNamespace(name=name, needs_gt=needs_gt, datasets=datasets)


def metrics(*built, named=True):
    return Metrics(list(built), [], named)


WITH, WITHOUT = SimpleNamespace(has_gt=True), SimpleNamespace(has_gt=False)
UNKNOWN = SimpleNamespace()
PSNR = metric('PSNR', needs_gt=True)
NIQE = metric('NIQE')
ONLY_A = metric('ILNIQE', datasets=['A'])


def test_named_metrics_that_need_ground_truth():
    sets = {'A': WITH, 'B': WITHOUT, 'C': UNKNOWN}
    assert foresee_absences(metrics(PSNR, NIQE), sets, sets) == [
        'PSNR of B: it needs ground truth, a folder gt/'
    ]
    line = r'set B would have no scores: PSNR needs ground truth.*; leave'
    for named in (True, False):
        with pytest.raises(ValueError, match=line):
            foresee_absences(metrics(PSNR, named=named), sets, sets)


def test_filters_of_the_config():
    config = metrics(NIQE, ONLY_A, named=False)
    assert foresee_absences(config, {'A': WITH, 'B': WITH}, 'AB') == []
    assert foresee_absences(config, {'mine': WITH}, 'AB') == [
        'ILNIQE of mine: the config has it for A only; --metrics ILNIQE '
        'computes it'
    ]
    line = r'set mine would have no scores: ILNIQE is for A \(`datasets`\)'
    with pytest.raises(ValueError, match=line):
        foresee_absences(metrics(ONLY_A, named=False), {'mine': WITH}, 'AB')


def test_filters_that_select_nothing():
    typo = metric('NIQE', datasets=['Vidlq'])
    line = "`datasets` of NIQE names 'Vidlq', which is no set: there are A, B"
    for named in (True, False):
        with pytest.raises(ValueError, match=line):
            foresee_absences(
                metrics(typo, PSNR, named=named), {'A': WITH}, 'AB'
            )
    with pytest.raises(ValueError, match=r'ILNIQE is for A .* test is of B'):
        foresee_absences(metrics(ONLY_A, NIQE), {'B': WITH}, 'AB')


def results(*clips, problems=()):
    """Return results of clips with a set, a name and scores."""
    sets = {}
    for dataset, _, scores in clips:
        scored = sets.setdefault(dataset, {k: 0 for k in scores})
        for name, score in scores.items():
            scored[name] += score is not None
    return {
        'sets': {k: {'scores': v, 'scored': v} for k, v in sets.items()},
        'clips': [{'dataset': d, 'name': n, 'scores': s} for d, n, s in clips],
        'problems': list(problems),
    }


def test_scores_that_are_absent_in_the_end():
    found = results(
        ('A', 'x', {'PSNR': 1.0, 'NIQE': 2.0}),
        ('A', 'y', {'PSNR': None, 'NIQE': 2.0}),
        ('B', 'x', {'PSNR': None, 'NIQE': None}),
        problems=['NIQE of B/x: it fails'],
    )
    assert list_absences(found, metrics(PSNR, NIQE)) == [
        'PSNR of A: it needs ground truth, a folder gt/ (1 of 2 clips)',
        'PSNR of B: it needs ground truth, a folder gt/ (1 of 1 clips)',
    ]
    # not named, PSNR is only missed where nothing else was scored
    assert list_absences(found, metrics(PSNR, NIQE, named=False)) == [
        'PSNR of B: it needs ground truth, a folder gt/ (1 of 1 clips)',
    ]


def test_metrics_of_the_folder_that_this_command_does_not_name():
    found = results(('A', 'x', {'PSNR': 1.0, 'NIQE': None}))
    assert list_absences(found, metrics(PSNR)) == []  # of no ground truth
    del found['clips'][0]['scores']['NIQE']
    left_out = copy.deepcopy(found)
    left_out['clips'][0]['left_out'] = ['NIQE']
    assert list_absences(left_out, metrics(PSNR)) == []
    assert list_absences(found, metrics(PSNR)) == [
        'NIQE of A: not computed by this command; name it with --metrics '
        '(1 of 1 clips)'
    ]


def test_a_filter_is_no_problem():
    found = results(
        ('A', 'x', {'PSNR': 1.0, 'ILNIQE': 3.0}),
        ('B', 'x', {'PSNR': 1.0, 'ILNIQE': None}),
    )
    assert list_absences(found, metrics(PSNR, ONLY_A, named=False)) == []
    only = results(('B', 'x', {'ILNIQE': None}))
    assert list_absences(only, metrics(ONLY_A, named=False)) == [
        'ILNIQE of B: it is for A (`datasets`) (1 of 1 clips)'
    ]
