import re

import pytest
import torch
from torch import nn

from star.apis.inference.build import load_config
from star.apis.train import plan as training_plan
from star.apis.train.distillation_plan import (
    TeacherCost,
    count_evaluations,
    teacher_cost,
)
from star.apis.train.plan import (
    ClipSize,
    Part,
    TrainingMemory,
    count_parts,
    describe_plan,
    find_clip,
    find_gpus,
    plan_training,
)
from star.apis.train.step_memory import StepCost
from star.apis.train.training import RunOptions, run_config
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.models.restoration.options import RestoreOptions
from tests.test_engine.configs import NETWORK, write_clips


def test_counts_parts():
    model = nn.Module()
    model.a, model.b, model.c = nn.Linear(3, 2), nn.Linear(2, 2), nn.ReLU()
    model.a.weight.requires_grad_(False)
    assert count_parts(model) == [Part('a', 2, 8), Part('b', 6, 6)]


def test_sums_memory():
    plain = TrainingMemory(
        weights=800, gradients=80, optimizer=160, activations=7
    )
    assert plain.total == 1047
    sharded = TrainingMemory(800, 80, 160, 7, shards=8, gathered=300)
    assert sharded.total == 130 + 300 + 7


def test_reads_the_official_config(monkeypatch):
    monkeypatch.delenv('WORLD_SIZE', raising=False)
    config = load_config('i2vgen')
    assert find_gpus(config) == 8
    assert find_clip(config) == ClipSize(32, 720, 1280)
    monkeypatch.setenv('WORLD_SIZE', '3')
    assert find_gpus(config) == 3


@pytest.fixture
def config(tmp_path):
    write_clips(tmp_path / 'clips')
    changes = {
        'train_dataloader.dataset.data_root': str(tmp_path / 'clips'),
        'train_cfg.max_iters': 1500,
        'model.backbone': NETWORK,
        'model.controlnet': NETWORK,
        'model.losses': None,
    }
    options = RunOptions(work_dir='somewhere', changes=changes)
    return run_config('tiny', options)


def test_plans_and_describes(config):
    before = torch.get_rng_state()
    plan = plan_training(config)
    assert torch.equal(before, torch.get_rng_state())
    trained = sum(part.trained for part in plan.parts)
    assert {p.name: p.trained > 0 for p in plan.parts} == {
        'backbone': True,
        'controlnet': True,
    }
    memory = plan.memory
    assert memory.gradients == 4 * trained
    assert memory.optimizer == 8 * trained  # AdamW: two numbers each
    assert memory.weights == 4 * sum(part.total for part in plan.parts)
    assert memory.activations > 0
    text = describe_plan(plan)
    assert f'{trained:,}' in text
    assert re.search('data .*CaptionedFolder.*clips: 1 videos', text)
    assert 'batch       2 per GPU x 1 = 2 clips' in text
    assert '1,500: 3,000 clips' in text
    assert 'somewhere' in text
    assert 'estimate' in text


@pytest.fixture
def quick(monkeypatch):
    """Do without the simulated step, which takes seconds."""
    monkeypatch.setattr(
        training_plan, 'step_cost', lambda *_: StepCost(10**9, 1.0)
    )


def test_averages_take_memory(config, quick):
    before = plan_training(config).memory
    config.default_hooks.ema = {'type': 'TrainedEMAHook'}
    after = plan_training(config).memory
    assert after.optimizer == 1.5 * before.optimizer


def test_missing_data_is_told(config, quick):
    config.train_dataloader.dataset.data_root = '/no/such/folder'
    plan = plan_training(config)
    assert plan.data.startswith('CaptionedFolder, /no/such/folder: MISSING: ')
    assert len(plan.data.splitlines()) == 1


def test_missing_weights_are_told(config, quick):
    assert plan_training(config).weights == []
    assert plan_training(config, 'no.pt').weights == ['no.pt: MISSING']
    assert plan_training(config, 'random').weights == ['random numbers']
    config.load_from = 'other.pth'
    assert plan_training(config).weights == ['other.pth: MISSING']


def test_hours_of_a_student_and_its_teacher(quick, monkeypatch, tmp_path):
    monkeypatch.setattr(
        training_plan,
        'teacher_cost',
        lambda *_: TeacherCost('tiny', 50, 3600.0, None),
    )
    changes = {'train_cfg.max_iters': 7200}
    options = RunOptions(work_dir=str(tmp_path), changes=changes)
    plan = plan_training(run_config('tiny_onestep', options), 'no.pt')
    assert plan.clip == ClipSize(3, 88, 96)  # of the teacher's data set
    lines = describe_plan(plan, 0.5).splitlines()
    assert 'step        1 TFLOP per GPU' in lines
    assert (
        'teacher     tiny: 50 evaluations, 3,600 TFLOP a clip; the cache is '
        'not there yet'
    ) in lines
    assert (
        'hours       at 0.5 TFLOP/s per GPU: 4 of training on 1 GPUs, 2e+03 '
        'of the teacher for 1,000 clips on as many'
    ) in lines


@pytest.mark.parametrize(
    ('options', 'count'),
    [
        ({'steps': 25}, 50),
        ({'steps': 25, 'guidance_scale': 1}, 25),
        ({'steps': 3, 'sampler': 'heun', 'guidance_scale': 1}, 5),
        ({'steps': 4, 'guidance_scale': 0, 'guidance_exponent': 5}, 4),
        ({'mode': 'fast'}, 28),
    ],
)
def test_evaluations_of_a_teacher(options, count):
    options = RestoreOptions(**{'mode': 'normal', **options})
    assert count_evaluations(I2VGenSchedule(), options) == count


@pytest.mark.slow
def test_operations_of_a_teacher():
    """They grow with the clip; autoencoder and text do not count."""
    config = load_config('tiny_onestep')
    small = teacher_cost(config, ClipSize(1, 24, 32))
    assert (small.config, small.evaluations, small.clips) == ('tiny', 2, None)
    large = teacher_cost(config, ClipSize(2, 24, 32))
    assert 1.5 < large.tflop / small.tflop <= 2
    assert teacher_cost(load_config('tiny'), ClipSize(1, 24, 32)) is None


def test_nothing_to_train(config):
    for part in ('train_dataloader', 'train_cfg', 'optim_wrapper'):
        config.pop(part)
    with pytest.raises(ValueError, match='has no train_dataloader'):
        plan_training(config)
