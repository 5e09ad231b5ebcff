import json
import sys
from pathlib import Path
from types import SimpleNamespace

import pytest
import torch
from mmengine.hooks import IterTimerHook

from star.engine.monitor_hooks import MonitorHook, unmonitored
from star.utils.memory import peak_memory, reset_peak_memory
from tests.test_engine.watched import run, scalars, watched_config

CPU = torch.device('cpu')
MIB = 2**20
on_linux = pytest.mark.skipif(
    sys.platform != 'linux', reason='only Linux forgets a peak'
)


def test_the_event_file_has_the_numbers(tmp_path):
    config = watched_config(
        tmp_path,
        param_scheduler=[
            {
                'type': 'LinearLR',
                'start_factor': 0.5,
                'by_epoch': False,
                'end': 2,
            }
        ],
        optim_wrapper={'clip_grad': {'max_norm': 2.0}},
        train_dataloader={'dataset': {'seconds': 0.01}},
    )
    _, events = run(config)
    steps = {1, 2, 3, 4}
    for name in ('velocity', 'frequency'):
        assert scalars(events, f'loss_{name}').keys() == steps
    low = scalars(events, 'frequency_low')
    high = scalars(events, 'frequency_high')
    for step in steps:
        assert high[step] == pytest.approx(low[step] + 1, abs=1e-5)
    total = scalars(events, 'loss')
    parts = ('loss_velocity', 'loss_frequency')
    for step in steps:  # the parts to watch are no part of the sum
        found = sum(scalars(events, p)[step] for p in parts)
        assert total[step] == pytest.approx(found, rel=1e-5)
    assert set(scalars(events, 'frequency_weight').values()) == {0.25}
    assert set(scalars(events, 'grad_norm').values()) == {5.0}
    for value in scalars(events, 'grad_norm_clipped').values():
        assert value == pytest.approx(2.0, rel=1e-5)
    assert scalars(events, 'lr') == pytest.approx(
        {1: 0.05, 2: 0.1, 3: 0.1, 4: 0.1}
    )
    time = scalars(events, 'time')
    speed = scalars(events, 'iterations_per_second')
    waits = scalars(events, 'data_time')
    for step in steps:
        assert speed[step] == pytest.approx(1 / time[step], rel=1e-5)
        assert 0.02 <= waits[step] <= time[step]
    assert min(scalars(events, 'memory').values()) > 50


def test_the_log_has_the_names_of_openmmlab(tmp_path):
    runner, _ = run(watched_config(tmp_path, 3))
    (path,) = Path(runner.work_dir).rglob('vis_data/scalars.json')
    lines = [json.loads(line) for line in path.read_text().splitlines()]
    names = {'lr', 'loss', 'loss_velocity', 'loss_frequency', 'grad_norm'}
    names |= {'time', 'data_time', 'memory', 'iter', 'step'}
    watched = {'frequency_low', 'frequency_high', 'frequency_weight'}
    for number, line in enumerate(lines, 1):
        assert line.keys() == names | watched | {'iterations_per_second'}
        assert line['iter'] == line['step'] == number
        assert line['memory'] == int(line['memory']) > 50


def test_the_norm_is_logged_where_nothing_is_clipped(tmp_path):
    config = watched_config(tmp_path, 2, model={'slope': 3.0})
    runner, events = run(config)
    assert scalars(events, 'grad_norm') == {1: 15.0, 2: 15.0}
    assert 'grad_norm_clipped' not in events.Tags()['scalars']
    assert not runner.optim_wrapper.optimizer._optimizer_step_pre_hooks


def test_gradients_that_are_accumulated_have_one_norm(tmp_path):
    config = watched_config(
        tmp_path, 4, optim_wrapper={'accumulative_counts': 2}
    )
    runner, _ = run(config)
    history, _ = runner.message_hub.get_scalar('train/grad_norm').data
    assert list(history) == [5.0, 5.0]


def test_the_window_of_the_speed(tmp_path):
    config = watched_config(
        tmp_path, 3, default_hooks={'monitor': {'window': 1}}
    )
    runner, _ = run(config)
    times, _ = runner.message_hub.get_scalar('train/time').data
    hub = runner.message_hub
    speeds, _ = hub.get_scalar('train/iterations_per_second').data
    assert list(speeds) == pytest.approx([1 / t for t in times])


def test_a_wrong_window():
    with pytest.raises(ValueError, match='`window` must be at least 1, got 0'):
        MonitorHook(window=0)


@on_linux
def test_unmonitored_leaves_no_trace(monkeypatch):
    now = [100.0]
    monkeypatch.setattr('time.time', lambda: now[0])
    timer = IterTimerHook()
    runner = SimpleNamespace(
        hooks=[timer, IterTimerHook()], model=torch.nn.Linear(1, 1)
    )
    timer._before_epoch(runner)
    reset_peak_memory(CPU)
    before = peak_memory(CPU)
    now[0] = 101
    with unmonitored(runner):
        now[0] = 131
        torch.ones(200 * MIB, dtype=torch.uint8)
    assert timer.t == 130  # one second of the iteration had passed
    assert peak_memory(CPU) - before < 50 * MIB
