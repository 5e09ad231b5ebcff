"""The checkpoint of the best validation is kept."""

import math

import pytest
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.logging import MessageHub
from mmengine.registry import HOOKS, METRICS

from star.engine.best import BestScore, tell_scores
from star.engine.checkpointing import load_state
from star.utils.checkpoint_folder import (
    find_last,
    is_complete,
    load_ema,
    load_weights,
    resume_path,
)
from tests.test_engine.toy import Crash, start, toy_config
from tests.test_engine.watched import run, watched_config

HOOK = 'default_hooks.checkpoint.'
SCORES = [3.0, 5.0, 2.0, math.nan, 7.0, 7.0, 1.0, 6.0]  # by iteration


@METRICS.register_module()
class WaveMetric(BaseMetric):
    """Scores of `SCORES`."""

    def process(self, data_batch, data_samples):
        self.results.append(0)

    def compute_metrics(self, results):
        done = MessageHub.get_current_instance().get_info('iter') + 1
        return {'wave': SCORES[done - 1], 'other_acc': float(done)}


@HOOKS.register_module()
class WaveHook(Hook):
    """Validates as ValidationClipsHook does, but with `SCORES`."""

    priority = 'LOWEST'
    metrics = dict.fromkeys(['PSNR', 'LPIPS'])

    def validate(self, runner, iteration):
        score = SCORES[iteration - 1]
        tell_scores(runner, iteration, {'PSNR': score, 'LPIPS': score})

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        self.validate(runner, runner.iter + 1)


def config(folder, iterations=8, loop=True, **options):
    hooks = toy_config(folder).custom_hooks
    if loop:
        options |= {
            'train_cfg.val_interval': 1,
            'val_cfg': {},
            'val_dataloader': {
                'batch_size': 1,
                'sampler': {'type': 'DefaultSampler', 'shuffle': False},
                'dataset': {'type': 'ToyClips'},
            },
            'val_evaluator': {'type': 'WaveMetric'},
        }
    else:
        options['custom_hooks'] = [{'type': 'WaveHook'}, *hooks]
    return toy_config(folder, iterations, **options)


def slowly(*values):
    return pytest.param(*values, marks=pytest.mark.slow)


def bests(folder):
    return sorted(path.name for path in folder.glob('best_*'))


@pytest.mark.parametrize(
    'loop, name, rule, best',
    [
        (True, 'wave', 'greater', 'best_wave_iter_5'),  # the first of two
        slowly(True, 'wave', 'less', 'best_wave_iter_7'),
        slowly(True, 'other_acc', None, 'best_other_acc_iter_8'),
        (True, 'auto', 'less', 'best_wave_iter_7'),
        slowly(False, 'PSNR', None, 'best_PSNR_iter_5'),
        (False, 'LPIPS', None, 'best_LPIPS_iter_7'),
        slowly(False, 'auto', None, 'best_PSNR_iter_5'),
    ],
)
def test_the_best_is_kept(tmp_path, loop, name, rule, best):
    options = {f'{HOOK}save_best': name, f'{HOOK}rule': rule}
    options[f'{HOOK}max_keep'] = 9
    start(config(tmp_path, loop=loop, **options))
    assert bests(tmp_path) == [best]
    number = int(best.rpartition('_')[2])
    folder, same = tmp_path / best, tmp_path / f'iter_{number}'
    assert is_complete(folder) and find_last(tmp_path).name == 'iter_8'
    for load in (load_weights, load_ema):
        expected = load(same)
        assert all(t.equal(expected[k]) for k, t in load(folder).items())
    state = load_state(folder)
    assert state['iteration'] == number
    assert list(state['best'].values()) == [
        number if 'acc' in best else SCORES[number - 1]
    ]


def test_it_is_the_state_that_an_uninterrupted_run_has(tmp_path):
    """The run goes on from it as from any checkpoint."""
    options = {f'{HOOK}save_best': 'wave', f'{HOOK}rule': 'greater'}
    start(config(tmp_path / 'a', 7, **options))
    best = resume_path(tmp_path / 'a' / 'best_wave_iter_5')
    start(config(tmp_path / 'b', 7, **options), best)
    one, two = (load_weights(tmp_path / n / 'iter_7') for n in 'ab')
    assert all(tensor.equal(two[name]) for name, tensor in one.items())


@pytest.mark.parametrize('crash, kept', [(3, 2), (6, 5)])
def test_a_resumed_run_knows_its_best(tmp_path, crash, kept):
    options = {f'{HOOK}save_best': 'PSNR', f'{HOOK}rule': 'greater'}
    options[f'{HOOK}interval'] = 3
    crashing = config(tmp_path, loop=False, **options)
    crashing.custom_hooks[-1].after = crash
    with pytest.raises(Crash):
        start(crashing)
    assert bests(tmp_path) == [f'best_PSNR_iter_{kept}']
    written = (tmp_path / f'best_PSNR_iter_{kept}').stat().st_mtime_ns
    start(config(tmp_path, loop=False, **options), find_last(tmp_path))
    assert bests(tmp_path) == ['best_PSNR_iter_5']
    same = (tmp_path / 'best_PSNR_iter_5').stat().st_mtime_ns == written
    assert same == (kept == 5)


def test_a_kill_may_leave_two(tmp_path):
    options = {f'{HOOK}save_best': 'PSNR'}
    start(config(tmp_path, 2, loop=False, **options))
    (tmp_path / 'best_PSNR_iter_2').rename(tmp_path / 'kept')
    state = tmp_path / 'best_PSNR_iter_1'
    start(config(tmp_path / 'one', 1, loop=False, **options))
    (tmp_path / 'one' / 'best_PSNR_iter_1').rename(state)
    (tmp_path / 'kept').rename(tmp_path / 'best_PSNR_iter_2')
    start(config(tmp_path, 4, loop=False, **options), find_last(tmp_path))
    assert 'best_PSNR_iter_2' in bests(tmp_path)  # 2 is not better than 5
    start(config(tmp_path, 5, loop=False, **options), find_last(tmp_path))
    assert bests(tmp_path) == ['best_PSNR_iter_5']


@pytest.mark.parametrize(
    'loop, name, reason',
    [
        (False, 'SSIM', r"there are: PSNR, LPIPS\) .* got 'SSIM'"),
        (True, 'wave', r"`rule` must be 'greater' or 'less' .*'wave'"),
        (True, 'acc_of', 'must name one score .* which has wave, other_acc'),
    ],
)
def test_what_cannot_be_kept_is_refused(tmp_path, loop, name, reason):
    with pytest.raises(ValueError, match=reason):
        start(config(tmp_path, loop=loop, **{f'{HOOK}save_best': name}))


def test_a_run_without_validation_has_no_best(tmp_path):
    with pytest.raises(ValueError, match='there are: none'):
        start(toy_config(tmp_path, **{f'{HOOK}save_best': 'PSNR'}))


def test_a_new_run_does_not_take_the_best_of_another(tmp_path):
    start(config(tmp_path, loop=False, **{f'{HOOK}save_best': 'PSNR'}))
    (tmp_path / 'last_checkpoint').unlink()
    with pytest.raises(ValueError, match='holds an earlier run, saved at bes'):
        start(config(tmp_path, loop=False))


@pytest.mark.parametrize('broken', [None, 1])
def test_the_clips_of_the_hook_decide(tmp_path, broken):
    """All of them, or none."""
    clips = {'type': 'WatchedClips', 'broken': broken}
    hook = {'type': 'ValidationClipsHook', 'dataset': clips, 'interval': 2}
    hook['metrics'] = [{'type': 'MeanValue'}]
    settings = watched_config(tmp_path, 5, custom_hooks=[hook])
    settings.train_dataloader.sampler = {'type': 'DrawSampler'}
    settings.default_hooks.checkpoint = {
        'type': 'SafeCheckpointHook',
        'save_best': 'Mean_value',
        'rule': 'greater',
    }
    run(settings)
    found = bests(tmp_path / 'work')
    assert found == ([] if broken else ['best_Mean_value_iter_2'])


@pytest.mark.parametrize('rule', ['more', ''])
def test_wrong_rules(rule):
    with pytest.raises(ValueError, match="`rule` must be 'greater', 'less'"):
        BestScore('PSNR', rule)
