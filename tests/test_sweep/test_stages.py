"""Commands of a run, and marks in its folders."""

import sys
from pathlib import Path

import pytest

from star.sweep.plan import Run, make_setting
from star.sweep.stages import (
    SweepOptions,
    check_stage,
    is_done,
    make_stages,
    mark_stage,
)
from star.utils.files import read_json

RUN = Run(make_setting('c.py', {'model.a': '1'}), 3)


def stages(folder: Path, config=None, **options):
    given = SweepOptions(work_dir=folder, **options)
    return make_stages(RUN, given, config or {'model': {'a': 1}})


def test_commands(tmp_path, monkeypatch):
    monkeypatch.setenv('PYTHON', 'py')
    train, test = stages(
        tmp_path,
        common=('x=2',),
        train_args=('--amp',),
        test_args=('--ema', '--set', 'A=b c'),
    )
    folder = tmp_path / 'runs' / 'c-a=1' / 'seed_3'
    options = ['--cfg-options', 'x=2', 'model.a=1']
    assert train.command() == [
        *('py', '-m', 'star', 'train', 'c.py', '--amp', '--seed', '3'),
        *('--work-dir', str(folder / 'train'), *options),
    ]
    (folder / 'train').mkdir(parents=True)
    (folder / 'train' / 'last_checkpoint').write_text('iter_5\n')
    assert train.command()[-1] == '--resume'
    assert test.command() == [
        *('py', '-m', 'star', 'test', 'c.py'),
        str(folder / 'train' / 'iter_5'),
        *('--ema', '--set', 'A=b c', '--name', 'c-a=1'),
        *('--work-dir', str(folder / 'test'), *options),
    ]
    assert train.log == folder / 'train.log'


def test_commands_without_training(tmp_path, monkeypatch):
    monkeypatch.delenv('PYTHON', raising=False)
    (test,) = stages(tmp_path, train=False)
    command = test.command()
    assert command[:5] == [sys.executable, '-m', 'star', 'test', 'c.py']
    assert command[-1] == 'model.restore_options.seed=3'
    (test,) = stages(tmp_path, train=False, seeded=False)
    assert test.command()[-1] == 'model.a=1'


def test_marks(tmp_path):
    stage = stages(tmp_path)[0]
    check_stage(stage)
    assert not is_done(stage)
    mark_stage(stage)
    assert not is_done(stage)
    check_stage(stage)
    mark_stage(stage, 2.5)
    assert is_done(stage)
    saved = read_json(stage.folder / 'sweep.json')
    assert saved['seconds'] == 2.5 and saved['settings']['seed'] == '3'


@pytest.mark.parametrize(
    ('config', 'options', 'line'),
    [
        ({'model': {'a': 2}}, {}, 'config.model.a is 1 there and 2 here'),
        ({'model': {}}, {}, 'config.model.a is 1 there and not set here'),
        (
            None,
            {'train_args': ('--amp',)},
            'train_args is  there and --amp here',
        ),
    ],
)
def test_other_settings_are_stale(tmp_path, config, options, line):
    old, new = stages(tmp_path)[0], stages(tmp_path, config, **options)[0]
    mark_stage(old, 1.0)
    with pytest.raises(ValueError, match='is stale: it was done with') as e:
        check_stage(new)
    assert line in str(e.value) and str(new.folder) in str(e.value)
    assert '\n' not in str(e.value)


def test_new_test_words_leave_the_training_alone(tmp_path):
    for stage in stages(tmp_path):
        mark_stage(stage, 1.0)
    train, test = stages(tmp_path, test_args=('--ema',))
    check_stage(train)
    with pytest.raises(ValueError, match='test is stale'):
        check_stage(test)


def test_a_folder_of_somebody_else(tmp_path):
    stage = stages(tmp_path)[0]
    stage.folder.mkdir(parents=True)
    check_stage(stage)  # empty
    (stage.folder / 'precious').write_text('')
    with pytest.raises(ValueError, match='that no sweep wrote'):
        check_stage(stage)
