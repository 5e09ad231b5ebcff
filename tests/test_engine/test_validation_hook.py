import json
import os
import random
import subprocess
import sys
from pathlib import Path
from types import SimpleNamespace

import cv2
import numpy as np
import pytest
import torch
from mmengine.config import Config

from star.engine.validation_hook import ValidationClipsHook
from star.utils.paths import config_path
from star.video.io import VideoReader
from tests.paths import ROOT
from tests.ranks import host_store, rank_variables
from tests.test_engine.configs import NETWORK
from tests.test_engine.watched import (
    WatchedModel,
    losses,
    run,
    scalars,
    watched_config,
)

METRIC = {'type': 'MeanDifference'}


def hook(**options):
    options = {'interval': 2, 'metrics': [METRIC]} | options
    clips = {'type': 'WatchedClips'} | options.pop('dataset', {})
    return {'type': 'ValidationClipsHook', 'dataset': clips, **options}


def validation(tmp_path):
    return tmp_path / 'work' / 'validation'


def decode(image):
    data = np.frombuffer(image.encoded_image_string, np.uint8)
    return cv2.imdecode(data, cv2.IMREAD_COLOR)[..., ::-1]


def expected_image(index):
    """Low quality, restored and ground truth of a clip of one colour."""
    panels = [10 * index, 5 * index, 10 * index + 5]
    rows = np.repeat(np.array(panels, np.uint8), 24)[None, :, None]
    return np.broadcast_to(rows, (16, 72, 3))


def test_images_clips_and_scores(tmp_path):
    config = watched_config(tmp_path, 5, custom_hooks=[hook()])
    _, events = run(config)
    folders = {path.name for path in validation(tmp_path).iterdir()}
    assert folders == {'iter_2', 'iter_4', 'iter_5'}  # the last one, too
    # 10 i + 5 - 5 i for i = 0 to 3: 5, 10, 15, 20
    assert scalars(events, 'val/MeanDifference') == dict.fromkeys(
        (2, 4, 5), 12.5
    )
    for index in range(4):
        name = f'{index:02d}_a_b_{index}'
        images = events.Images(f'val/{name}')
        assert [image.step for image in images] == [2, 4, 5]
        assert (decode(images[0]) == expected_image(index)).all()
        with VideoReader(validation(tmp_path) / f'iter_2/{name}.png') as file:
            (frame,) = file
        assert (frame.image == expected_image(index)).all()
        with VideoReader(validation(tmp_path) / f'iter_2/{name}.mp4') as file:
            frames = list(file)
        assert [float(frame.time) for frame in frames] == [0, 0.125, 0.25]
        difference = frames[0].image - expected_image(index).astype(int)
        assert np.abs(difference).max() <= 3
    scores = json.loads(
        (validation(tmp_path) / 'iter_4' / 'scores.json').read_text()
    )
    assert scores['02_a_b_2'] == {'MeanDifference': 15.0}


def test_training_is_not_disturbed(tmp_path):
    found = []
    for options in [
        [],
        [hook(interval=1, before_first=True)],
        [hook(interval=2, dataset={'broken': 1})],
    ]:
        folder = tmp_path / str(len(found))
        folder.mkdir()
        runner, _ = run(watched_config(folder, 6, custom_hooks=options))
        assert len(runner.model.seen) == (0, 7 * 4, 3 * 3)[len(found)]
        state = random.random(), np.random.rand(), torch.rand(()).item()
        modes = [part.training for part in runner.model.modules()]
        weight = runner.model.weight.tolist()
        found.append((losses(runner), state, modes, weight))
    assert found[0] == found[1] == found[2]
    assert len(set(found[0][0])) == 6  # they do depend on the draws


def star_config(folder, hooks):
    """A run of a STARModel so small that an iteration takes no time."""
    model = Config.fromfile(config_path('_base_/models/star_tiny.py')).model
    model.backbone.update(NETWORK, dropout=0.1)
    model.controlnet.update(NETWORK)
    model.losses = {}
    model.data_preprocessor.scale = 2
    model.restore_options.update(scale=2)
    model.frozen = {'autoencoder': (), 'text_encoder': ()}
    config = watched_config(folder, 3, custom_hooks=hooks)
    config.model = model
    return config


def test_a_star_model_learns_the_same(tmp_path):
    found = []
    for hooks in [], [hook(interval=1, before_first=True, num_clips=1)]:
        folder = tmp_path / str(len(found))
        folder.mkdir()
        torch.manual_seed(0)
        runner, events = run(star_config(folder, hooks))
        state = runner.model.state_dict()
        found.append((losses(runner, 'loss_velocity'), state))
    assert found[0][0] == found[1][0]
    assert all(torch.equal(found[0][1][k], v) for k, v in state.items())
    values = scalars(events, 'val/MeanDifference')
    assert values.keys() == {0, 1, 2, 3}
    image = events.Images('val/00_a_b_0')[0]
    assert (image.height, image.width) == (16, 72)
    assert (decode(image)[:, :24] == 0).all()
    assert (decode(image)[:, 48:] == 5).all()


def test_times_and_memory_are_those_of_training(tmp_path):
    config = watched_config(
        tmp_path,
        4,
        custom_hooks=[hook(interval=1, num_clips=1)],
        model={'seconds': 0.6},
    )
    _, events = run(config)
    for name in ('time', 'data_time'):
        assert max(scalars(events, name).values()) < 0.5


def test_before_the_first_iteration_of_a_new_run_only(tmp_path):
    config = watched_config(
        tmp_path, 1, custom_hooks=[hook(interval=9, before_first=True)]
    )
    runner, _ = run(config)
    names = {path.name for path in validation(tmp_path).iterdir()}
    assert names == {'iter_0', 'iter_1'}
    (validation_hook,) = (
        h for h in runner.hooks if isinstance(h, ValidationClipsHook)
    )
    seen = len(runner.model.seen)
    validation_hook.before_train(runner)  # as when it is resumed
    assert len(runner.model.seen) == seen


@pytest.mark.parametrize('kind', ['EMAHook', 'TrainedEMAHook'])
def test_averaged_weights_are_shown(tmp_path, kind):
    config = watched_config(
        tmp_path, 3, custom_hooks=[{'type': kind}, hook(num_clips=1)]
    )
    runner, _ = run(config)
    plain, _ = run(
        watched_config(
            tmp_path,
            3,
            custom_hooks=[hook(num_clips=1)],
            experiment_name=f'plain_{tmp_path.name}',
        )
    )
    assert torch.equal(runner.model.weight, plain.model.weight)
    assert torch.equal(plain.model.seen[-1], plain.model.weight)
    shown, own = runner.model.seen[-1], runner.model.weight.detach()
    assert (shown.abs() < own.abs()).all()  # it lags behind
    assert (shown != 0).all() or kind == 'EMAHook'


def warnings_of(tmp_path, capsys, **options):
    """Run with a hook; return its warnings and the events."""
    config = watched_config(
        tmp_path, 2, custom_hooks=[hook(**options)], log_level='WARNING'
    )
    runner, events = run(config)
    assert len(losses(runner)) == 2
    text = ''.join(capsys.readouterr())
    lines = [line for line in text.splitlines() if 'alidation' in line]
    return lines, events


def test_a_broken_clip_is_one_line(tmp_path, capsys):
    (line,), events = warnings_of(tmp_path, capsys, dataset={'broken': 1})
    assert line.endswith(
        'validation at iteration 2: clip 1: cannot be read, it is broken'
    )
    # 5, 15 and 20
    found = scalars(events, 'val/MeanDifference')
    assert found == {2: pytest.approx(40 / 3)}


def test_a_model_that_fails_does_not_end_the_run(tmp_path, capsys):
    config = watched_config(
        tmp_path,
        3,
        custom_hooks=[hook(interval=1, num_clips=1)],
        model={'fail': 'no memory'},
        log_level='WARNING',
    )
    runner, events = run(config)
    assert len(losses(runner)) == 3
    text = ''.join(capsys.readouterr())
    assert text.count('00_a_b_0: no memory') == 3
    assert not events.Tags()['images']
    assert runner.model.training


def test_averages_that_cannot_be_taken_do_not_end_the_run(
    tmp_path, capsys, monkeypatch
):
    def fail(*args):
        raise torch.OutOfMemoryError('no memory')

    ema = 'star.engine.ema.TrainedEMAHook.before_val_epoch'
    monkeypatch.setattr(ema, fail)
    config = watched_config(
        tmp_path,
        2,
        custom_hooks=[{'type': 'TrainedEMAHook'}, hook()],
        log_level='WARNING',
    )
    assert len(losses(run(config)[0])) == 2
    text = ''.join(capsys.readouterr())
    assert text.count('nothing restored: no memory') == 1


def test_a_log_that_cannot_be_written_does_not_end_the_run(
    tmp_path, capsys, monkeypatch
):
    def fail(*args):
        raise OSError('disk full')

    monkeypatch.setattr('star.engine.validation_log._means', fail)
    (line,), _ = warnings_of(tmp_path, capsys)
    assert line.endswith('validation is not logged: disk full')


@pytest.mark.parametrize(
    ('late', 'message'),
    [
        (False, 'validation without MeanDifference: '),
        (True, 'validation at iteration 2: MeanDifference left out: '),
    ],
)
def test_a_metric_without_its_extra(tmp_path, capsys, late, message):
    missing = METRIC | {'missing': 'lpips', 'late': late}
    (line,), events = warnings_of(
        tmp_path, capsys, metrics=[missing, {'type': 'MeanValue'}]
    )
    assert message in line and line.endswith('`lpips` is not installed')
    assert scalars(events, 'val/Mean_value') == {2: 7.5}  # of 0, 5, 10, 15
    assert 'val/MeanDifference' not in events.Tags()['scalars']


def test_clips_without_ground_truth(tmp_path, capsys):
    lines, events = warnings_of(
        tmp_path,
        capsys,
        dataset={'with_gt': False},
        metrics=[METRIC, {'type': 'MeanValue'}],
    )
    assert lines == []
    image = events.Images('val/03_a_b_3')[0]
    assert (decode(image) == expected_image(3)[:, :48]).all()
    assert scalars(events, 'val/Mean_value') == {2: 7.5}
    assert 'val/MeanDifference' not in events.Tags()['scalars']


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        ({'interval': 0}, '`interval` must be at least 1, got 0'),
        ({'num_clips': 0}, '`num_clips` must be at least 1, got 0'),
        ({'dataset': {'length': 0}}, '`dataset` must hold at least one clip'),
        ({'dataset': {'length': -1}}, '`length` must not be negative'),
        ({'metrics': [METRIC, METRIC]}, 'have the name MeanDifference'),
    ],
)
def test_bad_options_end_before_the_run(tmp_path, options, message):
    config = watched_config(tmp_path, 2, custom_hooks=[hook(**options)])
    with pytest.raises(ValueError, match=message):
        run(config)


class Wrapped(torch.nn.Module):
    """Stands for a wrapper that shards the model inside it."""

    def __init__(self, module):
        super().__init__()
        self.module = module

    def val_step(self, data):
        return self.module.val_step(data)


@pytest.mark.parametrize(('rank', 'images'), [(0, 4), (1, 0)])
def test_sharded_models_restore_each_clip_on_all_ranks(
    tmp_path, monkeypatch, rank, images
):
    module = 'star.engine.validation_hook'
    monkeypatch.setattr(f'{module}.get_rank', lambda: rank)
    monkeypatch.setattr(f'{module}.get_world_size', lambda: 2)
    monkeypatch.setattr(
        f'{module}.is_model_wrapper', lambda m: isinstance(m, Wrapped)
    )
    logged = []
    monkeypatch.setattr(
        f'{module}.log_results', lambda *args: logged.append(args[2])
    )
    model = WatchedModel()
    options = hook()
    options.pop('type')
    runner = SimpleNamespace(
        model=Wrapped(model), hooks=[], work_dir=str(tmp_path)
    )
    ValidationClipsHook(**options).validate(runner, 2)
    assert len(model.seen) == 4
    assert len(logged) == (rank == 0)
    assert len(list(tmp_path.rglob('*.png'))) == images


RANK = """
import json, os, sys
from types import SimpleNamespace
import torch
from torch.nn.parallel import DistributedDataParallel
torch.set_num_threads(1)
torch.distributed.init_process_group('gloo')
import star.engine.validation_hook as under_test
from mmengine.model import MMDistributedDataParallel
from tests.test_engine.watched import WatchedModel
model = MMDistributedDataParallel(WatchedModel(), find_unused_parameters=True)
hook = under_test.ValidationClipsHook(
    dict(type='WatchedClips', length=5, broken=3), 2,
    [dict(type='MeanDifference')],
)
numbers = []
board = SimpleNamespace(
    _vis_backends={}, add_scalars=lambda values, step: numbers.append(values)
)
runner = SimpleNamespace(
    model=model, hooks=[], work_dir=sys.argv[1], visualizer=board
)
hook.validate(runner, 2)
print(json.dumps([len(model.module.seen), numbers]))
torch.distributed.barrier()  # who leaves first makes the other abort
torch.distributed.destroy_process_group()
"""


def test_two_ranks_share_the_clips(tmp_path):
    store = host_store()
    ranks = [
        subprocess.Popen(
            [sys.executable, '-c', RANK, str(tmp_path)],
            cwd=ROOT,
            stdout=subprocess.PIPE,
            text=True,
            env=os.environ | rank_variables(store, rank, 2),
        )
        for rank in range(2)
    ]
    outputs = [rank.communicate(timeout=200)[0] for rank in ranks]
    first, second = (json.loads(text.splitlines()[-1]) for text in outputs)
    # the clips 0, 2, 4 and 1 (3 is broken); 5, 15, 25 and 10
    assert first == [3, [{'val/MeanDifference': 13.75, 'iter': 2}]]
    assert second == [1, []]
    folder = Path(tmp_path) / 'validation' / 'iter_2'
    names = {path.name for path in folder.glob('*.mp4')}
    assert names == {f'0{i}_a_b_{i}.mp4' for i in (0, 1, 2, 4)}
