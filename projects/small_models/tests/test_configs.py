"""The project's configs build, and are found as a user calls them."""

import inspect

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from star.apis.inference.build import load_config
from star.datasets.transforms import compose
from star.registry import DATASETS, MODELS
from tests.paths import ROOT

CONFIGS = ROOT / 'projects' / 'small_models' / 'configs'
SAMPLER = CONFIGS / 'tiny_compact_sampler.py'
TRAININGS = ('tiny_compact_sampler', 'tiny_compact_defocus')


@pytest.mark.parametrize('name', ['windows', 'films', *TRAININGS])
def test_training_data_builds(name):
    dataset = load_config(CONFIGS / f'{name}.py').train_dataloader.dataset
    for each in dataset.get('datasets', [dataset]):
        options = {k: v for k, v in each.items() if k != 'type'}
        inspect.signature(DATASETS.get(each.type)).bind(**options)
        compose(each.pipeline)


@pytest.mark.parametrize('name', TRAININGS)
def test_the_trained_model_is_the_shipped_one(name):
    settings = load_config(CONFIGS / f'{name}.py')
    model = MODELS.build(settings.model)
    shipped = MODELS.build(load_config('tiny_compact').model)
    assert model.star.state_dict().keys() == shipped.state_dict().keys()
    assert model.timesteps[0] == [9]
    assert [len(t) for t in model.timesteps[1:]] in ([], [1, 1, 2])
    last = settings.param_scheduler[-1]
    assert last.begin + last.T_max == settings.train_cfg.max_iters


def test_two_iterations(tmp_path):
    settings = load_config(SAMPLER)
    rng = np.random.default_rng(0)
    gt = rng.integers(0, 256, (3, 5, 64, 64, 3), dtype=np.uint8)
    np.save(tmp_path / 'gt.npy', gt)
    np.save(tmp_path / 'lq.npy', gt[:, :, ::4, ::4])
    loader = settings.train_dataloader
    loader.update(batch_size=1, num_workers=0, persistent_workers=False)
    for each in loader.dataset.datasets:
        each.data_root = str(tmp_path)
        each.pipeline[1].update(height=32, width=32)
    settings.model.loss.update(lpips=0.0)
    settings.model.star.backbone.update(num_conv=4)
    settings.train_cfg.max_iters = 2
    settings.param_scheduler = []
    settings.default_hooks.checkpoint.interval = 2
    settings.work_dir = str(tmp_path / 'work')
    settings.experiment_name = tmp_path.name
    settings.log_level = 'ERROR'
    torch.manual_seed(0)
    runner = Runner.from_cfg(settings)
    before = runner.model.star.backbone.pixels.weight.detach().clone()
    runner.train()
    assert (tmp_path / 'work' / 'iter_2').is_dir()
    assert not torch.equal(runner.model.star.backbone.pixels.weight, before)
