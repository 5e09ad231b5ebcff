import pytest
from mmengine.config import Config

from star.apis.test.metrics import build_metrics, choose_metrics

OWN = [
    {'type': 'PSNR'},
    {'type': 'PSNR', 'channel': 'y'},
    {'type': 'SSIM', 'border': 4},
]


def choose(*words):
    config = Config({'test_evaluator': OWN})
    return choose_metrics(config, words or None)


def test_all_of_the_config():
    assert choose() == OWN


def test_other_forms_of_the_config():
    one = Config({'test_evaluator': {'type': 'PSNR', 'border': 4}})
    assert choose_metrics(one) == [{'type': 'PSNR', 'border': 4}]
    for wrong in ("[dict(type='PSNR')", ['PSNR'], [{'border': 4}]):
        with pytest.raises(ValueError, match='must be a list of dictionaries'):
            choose_metrics(Config({'test_evaluator': wrong}))


def test_by_name():
    assert choose('psnr') == OWN[:2]
    assert choose('SSIM', 'PSNR') == [OWN[2], *OWN[:2]]
    assert choose('ewarp') == [{'type': 'EWarp'}]


def test_named_metrics_are_for_all_sets():
    config = Config(
        {
            'test_evaluator': [
                {'type': 'PSNR', 'border': 2, 'datasets': ['A']},
                {'type': 'SSIM', 'datasets': ['B']},
            ]
        }
    )
    assert choose_metrics(config) == config.test_evaluator
    named = choose_metrics(config, ['psnr', "SSIM:datasets=['C']"])
    assert named == [
        {'type': 'PSNR', 'border': 2},
        {'type': 'SSIM', 'datasets': ['C']},
    ]
    with pytest.raises(ValueError, match=r"must be a list .* got 'C'"):
        build_metrics([{'type': 'SSIM', 'datasets': 'C'}], 'cpu')


def test_with_options():
    assert choose('ssim:channel=y') == [{'type': 'SSIM', 'channel': 'y'}]
    wanted = 'PSNR:frames=[0, 2],border=3,channel=y'
    assert choose(wanted, 'SSIM') == [
        {'type': 'PSNR', 'frames': [0, 2], 'border': 3, 'channel': 'y'},
        OWN[2],
    ]


def test_no_such_metric():
    with pytest.raises(ValueError, match=r"metric 'fid', only .*PSNR, SSIM"):
        choose('fid')
    with pytest.raises(ValueError, match=r'NAME:KEY=VALUE,\.\.\., got'):
        choose('psnr:border')


def test_names_are_the_metrics_own():
    metrics = build_metrics(OWN, 'cpu')
    assert [m.name for m in metrics.built] == ['PSNR', 'PSNR_Y', 'SSIM']
    assert metrics.problems == []


def test_what_lacks_its_weights_is_left_out(tmp_path):
    ewarp = {'type': 'EWarp', 'weights': str(tmp_path / 'none.pth')}
    metrics = build_metrics([ewarp, OWN[0]], 'cpu')
    assert [m.name for m in metrics.built] == ['PSNR']
    (problem,) = metrics.problems
    assert problem.startswith('EWarp: ') and 'none.pth' in problem
    assert len(problem.splitlines()) == 1
    with pytest.raises(ValueError, match=r'no metric: EWarp: .*none\.pth'):
        build_metrics([ewarp], 'cpu')
    with pytest.raises(ValueError, match='no metric: the config names none'):
        build_metrics([], 'cpu')


def test_two_of_one_name():
    with pytest.raises(ValueError, match='two parts have the name PSNR'):
        build_metrics([OWN[0], {'type': 'PSNR', 'border': 2}], 'cpu')


def test_a_misspelt_option():
    with pytest.raises(TypeError, match='chanel'):
        build_metrics([{'type': 'PSNR', 'chanel': 'y'}], 'cpu')
