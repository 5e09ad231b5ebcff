import json

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file

from star.apis.testing import (
    check_testing,
    load_trained,
    save_metrics,
    trained_model,
    without_training,
)
from star.registry import MODELS


@MODELS.register_module()
class Scales(torch.nn.Module):
    """One number that is trained and one that is not."""

    def __init__(self) -> None:
        super().__init__()
        self.a = torch.nn.Parameter(torch.zeros(2))
        self.b = torch.nn.Parameter(torch.ones(2), requires_grad=False)


@pytest.fixture
def config():
    return Config({'model': {'type': 'Scales'}, 'weights': {}})


def checkpoint(folder, **tensors):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / 'weights.safetensors')
    return folder


def test_trained_tensors_suffice(config, tmp_path):
    folder = checkpoint(tmp_path / 'iter_7', a=torch.tensor([2.0, 3.0]))
    for path in (folder, folder / 'weights.safetensors'):
        model = trained_model(config, path)
        assert model.a.tolist() == [2, 3]
        assert model.b.tolist() == [1, 1]


def test_a_method_without_weights(config):
    model = trained_model(config, 'none')
    assert model.a.tolist() == [0, 0]
    assert not model.a.requires_grad


def test_averaged_weights(config, tmp_path):
    folder = checkpoint(tmp_path / 'iter_7', a=torch.zeros(2))
    save_file({'a': torch.ones(2)}, folder / 'ema.safetensors')
    assert trained_model(config, folder).a.tolist() == [0, 0]
    assert trained_model(config, folder, averaged=True).a.tolist() == [1, 1]


@pytest.mark.parametrize(
    ('tensors', 'line'),
    [
        ({'b': torch.ones(2)}, r'1 tensors missing \(a ...\)'),
        ({'a': torch.ones(3)}, 'of another shape'),
        ({'a': torch.ones(2), 'c': torch.ones(2)}, '1 tensors unknown'),
    ],
)
def test_weights_that_do_not_fit(config, tmp_path, tensors, line):
    folder = checkpoint(tmp_path / 'iter_7', **tensors)
    with pytest.raises(ValueError, match=line) as caught:
        load_trained(Scales(), folder / 'weights.safetensors')
    assert len(str(caught.value).splitlines()) == 1


def test_no_checkpoint(config, tmp_path):
    with pytest.raises(ValueError, match='there is no checkpoint'):
        trained_model(config, tmp_path / 'iter_7')
    (tmp_path / 'iter_7').mkdir()
    with pytest.raises(ValueError, match=r'weights\.safetensors'):
        trained_model(config, tmp_path / 'iter_7')


def test_config_without_tests(config):
    config.test_cfg = {'type': 'TestLoop'}
    line = 'lacks test_dataloader, test_evaluator'
    with pytest.raises(ValueError, match=line):
        check_testing(config)


def test_takes_training_out(config):
    config.train_cfg = {'max_iters': 1}
    config.optim_wrapper = {'type': 'OptimWrapper'}
    config.default_hooks = {
        'logger': {'type': 'LoggerHook', 'interval': 3},
        'guard': {'type': 'NonFiniteGuardHook'},
    }
    left = without_training(config)
    assert left.pop('model_wrapper_cfg').type.startswith('MMSeparate')
    assert set(left) == {'model', 'weights', 'default_hooks'}
    assert left.default_hooks == {
        'logger': {'type': 'LoggerHook', 'interval': 3},
        'checkpoint': None,
        'param_scheduler': None,
    }
    assert 'train_cfg' in config


def test_saves_metrics(tmp_path):
    path = save_metrics({'UDM10/PSNR': 30.5}, tmp_path / 'work')
    assert path == tmp_path / 'work' / 'metrics.json'
    assert json.loads(path.read_text()) == {'UDM10/PSNR': 30.5}
