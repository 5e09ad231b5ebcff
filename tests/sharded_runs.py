"""What `test_sharded.py` looks at: runs of two ranks, sharded and not.

Run as a program, so that torch is loaded once: it forks all ranks.
"""

import copy
import os
import sys
from functools import partial
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.dist import get_rank
from mmengine.hooks import Hook
from mmengine.optim import OptimWrapper
from mmengine.registry import HOOKS, MODELS, OPTIM_WRAPPERS
from mmengine.runner import FlexibleRunner, Runner
from torch import nn
from torch.distributed.fsdp import FullyShardedDataParallel
from torch.nn.parallel import DistributedDataParallel

from star.cli.main import main
from star.engine import BFloat16OptimWrapper
from star.engine.checkpointing import set_resume
from star.engine.run_state import get_rng_state, set_rng_state
from star.engine.sharded_gradients import clip_by_whole_norm
from star.engine.sharded_optimizer import gather_optimizer, load_optimizer
from star.engine.sharded_state import (
    cut,
    gather,
    load_whole,
    named_shards,
    state_names,
    whole_shapes,
    whole_state,
)
from tests.ranks import run_ranks
from tests.test_engine.toy import LossFileHook, ToyModel, toy_config

SHARDED = {
    'type': 'MMFullyShardedDataParallel',
    'device_id': torch.device('cpu'),
}
CLIPS = {
    'norm': {'max_norm': 0.01},
    'loose': {'max_norm': 1e6},
    'largest': {'max_norm': 0.01, 'norm_type': 'inf'},
    'sum': {'max_norm': 0.01, 'norm_type': 1},
    'value': {'type': 'value', 'clip_value': 1e-3},
}
# what ranks load late, so that it is loaded once
LATE = (
    'matplotlib.backends.backend_agg',
    'matplotlib.figure',
    'star.datasets',
    'star.evaluation',
    'star.models',
    'torch._dynamo',
)
BAD = {'train_dataloader.dataset.bad': [7]}  # of the second iteration


class Net(nn.Module):
    """Parts of all kinds; those that learn are at the end, on one rank."""

    def __init__(self):
        super().__init__()
        self.outside = nn.Linear(6, 6).requires_grad_(False)
        self.frozen = nn.Linear(6, 40).requires_grad_(False)
        self.unit = nn.Sequential(nn.Linear(40, 9), nn.Linear(9, 5))
        self.last = nn.Linear(5, 1)
        self.register_buffer('count', torch.arange(3.0))

    def forward(self, x):
        x = self.frozen(self.outside(x)).tanh()
        return self.last(self.unit(x)).square().mean()


class LateNet(Net):
    """A network of which one rank's share does not learn at all."""

    def __init__(self):
        super().__init__()
        self.unit = nn.Linear(40, 5).requires_grad_(False)

    def forward(self, x):
        return self.last(self.unit(self.frozen(x))).square().mean()


@MODELS.register_module()
class SeededToyModel(ToyModel):
    """Has the same initial weights on all ranks."""

    def __init__(self):
        with torch.random.fork_rng():
            torch.manual_seed(0)
            super().__init__()


class ScaledOptimWrapper(OptimWrapper):
    """Scales the loss and back, as mmengine's AmpOptimWrapper on a GPU."""

    def backward(self, loss, **kwargs):
        super().backward(loss * 1024, **kwargs)

    def step(self, **kwargs):
        for group in self.optimizer.param_groups:
            for parameter in group['params']:
                if parameter.grad is not None:
                    parameter.grad /= 1024
        super().step(**kwargs)


@HOOKS.register_module()
class AverageHook(Hook):
    """Runs the averaged model after each iteration, as validation does."""

    priority = 'LOWEST'

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        ema = next(h for h in runner.hooks if hasattr(h, 'averages'))
        ema.before_val_epoch(runner)
        runner.model.eval()
        with torch.no_grad():
            inputs = torch.linspace(-1, 1, 16).reshape(2, 8)
            state = get_rng_state()
            np.random.seed(0)
            loss = runner.model(inputs, None, mode='loss')['loss_toy']
            set_rng_state(state)
        runner.model.train()
        ema.after_val_epoch(runner)
        runner.message_hub.update_scalar('train/average_loss', float(loss))


def connect():
    torch.set_num_threads(1)
    torch.distributed.init_process_group('gloo')


def shard(net, **options):
    def units(module, recurse, nonwrapped_numel):
        return recurse or isinstance(module, nn.Sequential)

    return FullyShardedDataParallel(
        net,
        device_id=torch.device('cpu'),
        use_orig_params=True,
        auto_wrap_policy=units,
        ignored_modules=[net.outside],
        **options,
    )


def optimise(model, clip, kind=OptimWrapper, counts=1, rate=0.1):
    optimizer = torch.optim.AdamW(model.parameters(), lr=rate)
    wrapper = kind(
        optimizer=optimizer, clip_grad=dict(clip), accumulative_counts=counts
    )
    if isinstance(model, FullyShardedDataParallel):
        clip_by_whole_norm(wrapper, model)
    return wrapper


def inputs(step):
    seed = torch.Generator().manual_seed(2 * step + get_rank())
    return torch.randn(4, 6, generator=seed)


def steps(model, wrapper, numbers):
    """Train; return what was clipped: the norms logged and those of steps."""
    seen = []
    optimizer = wrapper.optimizer

    def see(*_):
        grads = [p.grad for p in named_shards(model).values()]
        local = sum(float(g.square().sum()) for g in grads if g is not None)
        seen.append(local)

    handle = optimizer.register_step_pre_hook(see)
    for number in numbers:
        with wrapper.optim_context(model):
            loss = model(inputs(number))
        wrapper.update_params(loss)
    handle.remove()
    logged = wrapper.message_hub.log_scalars.get('train/grad_norm')
    return seen, [] if logged is None else logged.data[0].tolist()


def clipped(folder):
    """Clip in every way, sharded and replicated."""
    connect()
    torch.manual_seed(0)
    nets, found = {False: Net(), True: LateNet()}, {}
    kinds = (OptimWrapper, BFloat16OptimWrapper, ScaledOptimWrapper)
    cases = [(name, OptimWrapper, 1, False) for name in CLIPS]
    cases += [('norm', kind, 2, False) for kind in kinds]
    cases += [('norm', OptimWrapper, 1, True)]
    for name, kind, counts, late in cases:
        for wrap in (DistributedDataParallel, shard):
            model = wrap(copy.deepcopy(nets[late]))
            wrapper = optimise(model, CLIPS[name], kind, counts)
            wrapper.message_hub.log_scalars.clear()
            squares, logged = steps(model, wrapper, range(4))
            state = (
                whole_state(model, state_names(model))
                if wrap is shard
                else model.module.state_dict()
            )
            case = (name, kind.__name__, counts, late)
            found.setdefault(case, {})[wrap is shard] = (
                squares,
                logged,
                state,
            )
    torch.save(found, folder / f'clipped_{get_rank()}.pt')


def gathered(folder):
    """Continue a replicated run sharded, and the other way round."""
    connect()
    torch.manual_seed(1)
    net, found = Net(), {}
    plain = DistributedDataParallel(copy.deepcopy(net))
    wrapper = optimise(plain, CLIPS['norm'])
    steps(plain, wrapper, range(3))
    state = plain.module.state_dict()
    found['plain'] = copy.deepcopy((state, wrapper.state_dict()))
    model = shard(Net())
    load_whole(model, state)
    sharded = optimise(model, CLIPS['norm'])
    load_optimizer(model, sharded, copy.deepcopy(wrapper.state_dict()))
    found['shapes'] = {k: v.shape for k, v in whole_shapes(model).items()}
    found['sharded'] = whole(model, sharded)
    doubled = {n: 2 * p.detach() for n, p in plain.module.named_parameters()}
    shards = cut(model, doubled)
    found['doubled'] = gather(model, doubled.keys(), shards)
    try:
        cut(model, {'frozen.weight': torch.zeros(3), 'x': torch.zeros(1)})
    except ValueError as error:
        found['error'] = str(error)
    for number in (3, 4):
        steps(plain, wrapper, [number])
        steps(model, sharded, [number])
        with torch.no_grad():
            model(inputs(0))  # leaves the outer unit whole
    found['plain later'] = plain.module.state_dict(), wrapper.state_dict()
    found['sharded later'] = whole(model, sharded)
    torch.save(found, folder / f'gathered_{get_rank()}.pt')


def whole(model, wrapper):
    state = whole_state(model, state_names(model))
    return state, gather_optimizer(model, wrapper)


def toy(folder, name, sharded, begin=None, max_iters=6, options=None):
    """Run the toy model; resume it from a folder."""
    connect()
    config = toy_config(folder / name, max_iters, **(options or {}))
    config.model.type = 'SeededToyModel'
    config.custom_hooks += [{'type': 'AverageHook'}]
    config.custom_hooks += [{'type': 'star.MonitorHook'}]
    config.optim_wrapper.clip_grad.max_norm = 0.5
    # rounding must not decide a step's direction
    config.optim_wrapper.optimizer.update(lr=1, eps=1)
    config.launcher, config.env_cfg = 'pytorch', {}
    config.randomness.diff_rank_seed = True
    config.experiment_name = name
    LossFileHook.folder = folder / name / f'rank_{get_rank()}'
    LossFileHook.folder.mkdir(parents=True)
    wrapper = {'type': 'MMDistributedDataParallel', 'device_ids': None}
    if sharded:
        config.strategy = {'type': 'FSDPStrategy', 'model_wrapper': SHARDED}
    else:
        config.model_wrapper_cfg = wrapper
    set_resume(config, begin)
    kind = FlexibleRunner if sharded else Runner
    kind.from_cfg(config).train()


def command(*words):
    return main([str(word) for word in words])


def rank_command(*words):
    torch.set_num_threads(1)
    return main([*map(str, words), '--launcher', 'pytorch'])


def commands(folder):
    """Train and test sharded and not, with the users' commands."""
    status = []
    for name in ('plain', 'sharded'):
        config, work = folder / f'{name}_star.py', folder / f'{name}_star'
        words = ['train', config, '--work-dir', work]
        status.append(run_ranks(partial(rank_command, *words)))
        words = ['test', config, work / 'iter_2']
        words += [f'--set=mine={folder / "clips"}', '--metrics', 'PSNR']
        words += ['--work-dir', folder / 'tested' / name]
        words += ['--cfg-options', 'test_dataloader.num_workers=0']
        status.append(run_ranks(partial(command, *words), 1))
    return status


def run_all(folder):
    torch.set_num_threads(1)
    os.environ |= {'OMP_NUM_THREADS': '1', 'MKL_NUM_THREADS': '1'}
    for name in LATE:
        import_module(name)
    OPTIM_WRAPPERS.register_module(module=ScaledOptimWrapper)
    for kind in (Runner, FlexibleRunner):
        kind._log_env = lambda *_: None  # calls compilers
    Config.pretty_text = property(repr)  # formats code
    status = [run_ranks(partial(work, folder)) for work in (clipped, gathered)]
    for work in (
        partial(toy, folder, 'plain', False),
        partial(toy, folder, 'sharded', True),
        partial(toy, folder, 'on', True, folder / 'sharded' / 'iter_5'),
        partial(toy, folder, 'back', False, folder / 'sharded' / 'iter_5'),
        partial(toy, folder, 'plain_bad', False, None, 3, BAD),
        partial(toy, folder, 'sharded_bad', True, None, 3, BAD),
    ):
        status.append(run_ranks(work))
    status += commands(folder)
    print('status', status)
    return max(map(abs, status))


if __name__ == '__main__':
    sys.exit(run_all(Path(sys.argv[1])))
