"""The project's configs build, and are found as a user calls them."""

import inspect

import numpy as np
import pytest
import torch
from mmengine.runner import Runner

from star.apis.inference.build import load_config
from star.cli.main import main
from star.datasets.transforms import compose
from star.models.layers.liem import LIEM
from star.models.losses import DynamicFrequencyLoss
from star.registry import DATASETS, MODELS
from tests.paths import ROOT

CONFIGS = ROOT / 'projects' / 'small_models' / 'configs'
SAMPLER = CONFIGS / 'tiny_compact_sampler.py'
TRAININGS = (
    'tiny_compact_sampler',
    'tiny_compact_defocus',
    'tiny_compact_soft',
)


@pytest.mark.parametrize(
    'name', ['windows', 'films', 'tiny_teacher', *TRAININGS]
)
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


def test_the_teachers_ablations_can_be_swept(tmp_path, capsys):
    configs = [CONFIGS / 'tiny_teacher.py', *CONFIGS.glob('teacher_*.py')]
    changes = ['--cfg-options', 'model.losses.perceptual=None']
    words = [*map(str, configs), '--work-dir', str(tmp_path), *changes]
    assert main(['sweep', *words, '--dry-run']) == 0
    assert capsys.readouterr().out.endswith('5 runs, 0 done\n')


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


@pytest.mark.parametrize('name', ['tiny_student', 'tiny_student_pixel'])
def test_a_student_has_its_teachers_parts_and_one_step(name):
    student, teacher = (
        load_config(CONFIGS / f'{each}.py').model
        for each in (name, 'tiny_teacher')
    )
    for part in ('backbone', 'controlnet', 'schedule'):
        assert student[part] == teacher[part]
    own, other = student.restore_options, teacher.restore_options
    assert (own.pop('steps'), other.pop('steps')) == (1, 4)
    assert (own.pop('strength'), other.pop('strength')) == (0.5, 0.6)
    assert own == other
    student.losses.pop('pixels', None)  # needs the weights of LPIPS
    assert MODELS.build(student.losses).latent is not None


@pytest.mark.parametrize(
    'name',
    ['liem_none', 'liem_after_norm', 'frequency_none', 'frequency_official'],
)
def test_an_ablation_of_the_teacher_changes_what_it_names(name):
    settings = load_config(CONFIGS / f'teacher_{name}.py').model
    settings.controlnet.pretrained = None
    model = MODELS.build(settings)
    gates = [m for m in model.modules() if isinstance(m, LIEM)]
    gated = [gate for gate in gates if gate.conv is not None]
    assert bool(gated) == (name != 'liem_none')
    after = [gate.gate == 'after_norm' for gate in gated]
    assert all(after) if name == 'liem_after_norm' else not any(after)
    frequency = [
        each
        for each in model.objective.on_pixels
        if isinstance(each, DynamicFrequencyLoss)
    ]
    assert len(frequency) == (name != 'frequency_none')
    official = [each.filter == 'official' for each in frequency]
    assert any(official) == (name == 'frequency_official')
