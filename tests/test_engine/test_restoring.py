"""How changed settings take effect where a run is resumed."""

import pytest

from star.engine.checkpointing import load_state
from star.utils.checkpoint_folder import find_last
from tests.test_engine.toy import Crash, read_losses, start, toy_config

LR = 'optim_wrapper.optimizer.lr'
BATCH = 'train_dataloader.batch_size'


def crash(work_dir, after=4, **options):
    with pytest.raises(Crash):
        start(
            toy_config(work_dir, **options, **{'custom_hooks.3.after': after})
        )


def resume(work_dir, **options):
    """Go on with options, as --cfg-options gives them."""
    changes = [pattern for k in options for pattern in (k, f'{k}.*')]
    config = toy_config(work_dir, **options)
    return start(config, find_last(work_dir), changes)


def rates(runner):
    return runner.message_hub.get_scalar('train/lr').data[0].tolist()


def steps(optimizer):
    return {float(entry['step']) for entry in optimizer['state'].values()}


ONE_CYCLE = [
    {
        'type': 'OneCycleLR',
        'eta_max': 0.1,
        'total_steps': 9,
        'by_epoch': False,
    }
]


@pytest.mark.parametrize(
    'options',
    [
        {LR: 0.03},
        {'param_scheduler.0.end': 6},
        {'param_scheduler.1.eta_min': 0.02},
        {'param_scheduler': [{'type': 'ConstantLR', 'by_epoch': False}]},
        {'param_scheduler': ONE_CYCLE},
        {'param_scheduler': [], LR: 0.3},
        {'auto_scale_lr': {'enable': True, 'base_batch_size': 2}},
    ],
    ids=str,
)
def test_rates_are_those_of_a_new_run_under_the_new_settings(
    tmp_path, options
):
    old = rates(start(toy_config(tmp_path / 'old')))
    new = rates(start(toy_config(tmp_path / 'new', **options)))
    assert old[4:] != new[4:]
    crash(tmp_path / 'run')
    found = rates(resume(tmp_path / 'run', **options))
    assert found == old[:4] + new[4:]
    groups = load_state(tmp_path / 'run' / 'iter_8')['optimizer']
    whole = load_state(tmp_path / 'new' / 'iter_8')['optimizer']
    assert groups['param_groups'] == whole['param_groups']
    assert steps(groups) == {8}  # its moments go on


def test_the_rate_of_a_batch_that_grows(tmp_path):
    """Scaled by its size, without a schedule that would know it."""
    options = {
        'param_scheduler': [],
        'auto_scale_lr': {'enable': True, 'base_batch_size': 3},
    }
    crash(tmp_path, **options)
    assert rates(resume(tmp_path, **options, **{BATCH: 6}))[3:5] == [0.1, 0.2]


def test_other_settings_of_the_optimiser(tmp_path):
    crash(tmp_path)
    runner = resume(
        tmp_path,
        **{
            'optim_wrapper.optimizer.weight_decay': 0.5,
            'optim_wrapper.optimizer.betas': (0.8, 0.9),
            'optim_wrapper.clip_grad.max_norm': 0.25,
            'custom_hooks.1.decay': 0.5,
        },
    )
    (group,) = runner.optim_wrapper.optimizer.param_groups
    assert group['weight_decay'] == 0.5 and group['betas'] == (0.8, 0.9)
    assert runner.optim_wrapper.clip_grad_kwargs == {'max_norm': 0.25}


def test_without_a_change_all_is_the_checkpoints(tmp_path):
    """Also what a schedule without settings in common has set."""
    options = {'param_scheduler': ONE_CYCLE}
    whole = start(toy_config(tmp_path / 'a', **options))
    crash(tmp_path / 'b', **options)
    assert rates(resume(tmp_path / 'b', **options)) == rates(whole)
    assert read_losses(tmp_path / 'a') == read_losses(tmp_path / 'b')


def test_a_run_can_become_longer(tmp_path):
    options = {'param_scheduler': [{'type': 'LinearLR', 'by_epoch': False}]}
    whole = start(toy_config(tmp_path / 'a', 8, **options))
    crash(tmp_path / 'b', **options, max_iters=6)
    longer = toy_config(tmp_path / 'b', 8, **options)
    resumed = start(longer, find_last(tmp_path / 'b'))
    assert rates(resumed)[4:] == rates(whole)[4:]
    assert resumed.param_schedulers[0].end == 8


def test_another_batch_size_goes_on_at_the_same_number(tmp_path):
    crash(tmp_path)
    runner = resume(tmp_path, **{BATCH: 2})
    assert runner.train_dataloader.dataset.loaded == list(range(12, 20))
    assert load_state(tmp_path / 'iter_8')['draw'] == 20
    # and back, from a checkpoint of the second size
    longer = toy_config(tmp_path, 9)
    runner = start(longer, tmp_path / 'iter_8', [BATCH])
    assert runner.train_dataloader.dataset.loaded == [20, 21, 22]


def test_more_steps_are_gathered_from_here_on(tmp_path):
    crash(tmp_path)
    key = 'optim_wrapper.accumulative_counts'
    runner = resume(
        tmp_path, **{key: 2, 'default_hooks.checkpoint.interval': 2}
    )
    assert runner.optim_wrapper._accumulative_counts == 2
    state = load_state(tmp_path / 'iter_8')['optimizer']
    assert steps(state) == {4 + 2}


def test_other_groups_of_parameters_are_refused(tmp_path):
    decay = {'optim_wrapper.optimizer.weight_decay': 0.1}
    crash(tmp_path, **decay)
    key = 'optim_wrapper.paramwise_cfg'
    with pytest.raises(ValueError, match=r'`paramwise_cfg`') as error:
        resume(tmp_path, **decay, **{key: {'norm_decay_mult': 0.0}})
    assert len(str(error.value).splitlines()) == 1


def test_a_schedule_that_follows_scores_must_stay(tmp_path):
    schedule = [{'type': 'ReduceOnPlateauLR', 'monitor': 'x'}]
    crash(tmp_path, param_scheduler=schedule)
    with pytest.raises(ValueError, match='ReduceOnPlateauLR follows scores'):
        resume(tmp_path, param_scheduler=schedule, **{LR: 0.2})


def test_changes_are_logged(tmp_path, capsys):
    crash(tmp_path)
    resume(tmp_path, **{'log_level': 'WARNING', LR: 0.2})
    shown = capsys.readouterr()
    (line,) = [
        line
        for line in (shown.out + shown.err).splitlines()
        if 'changed since the checkpoint' in line
    ]
    assert f'{LR}: 0.1 -> 0.2' in line and 'checkpoint.changes' not in line
