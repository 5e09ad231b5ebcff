"""A run of a toy model, quick to start, to kill and to compare."""

import json
import os
import signal
import sys
import tempfile
import time
import traceback
from importlib import import_module
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from mmengine.evaluator import BaseMetric
from mmengine.hooks import Hook
from mmengine.model import BaseDataPreprocessor, BaseModel
from mmengine.registry import DATASETS, HOOKS, METRICS, MODELS, DefaultScope
from mmengine.runner import Runner
from torch import nn
from torch.utils.data import Dataset

import star.engine  # noqa: F401 (registers)
from star.engine.checkpointing import set_resume
from star.structures import VideoSample
from star.utils.checkpoint_folder import find_last
from star.utils.origins import SourceFile, account, set_record


@DATASETS.register_module()
class ToyClips(Dataset):
    """Clips that depend on the draw alone; `loaded` lists what was asked."""

    metainfo = None

    def __init__(self, bad=()):
        self.bad, self.loaded = set(bad), []

    def __len__(self):
        return 5

    def __getitem__(self, draw):
        self.loaded.append(draw)
        clip = np.random.default_rng((0, draw)).normal(size=8)
        clip[0] = np.nan if draw in self.bad else clip[0]
        return {
            'inputs': torch.from_numpy(clip).float(),
            'data_samples': VideoSample(name=f'draw{draw}'),
        }


@MODELS.register_module()
class ToyModel(BaseModel):
    """A frozen layer, a trained one with buffers, and random draws.

    The frozen layer comes from a file, as far as its record says, if `file`.
    """

    def __init__(self, width=8, kind='value', fill=0.5, file=True):
        super().__init__(BaseDataPreprocessor())
        self.frozen = nn.Linear(8, 8).requires_grad_(False)
        nn.init.constant_(self.frozen.weight, fill)
        self.net = nn.Sequential(
            nn.Linear(8, width), nn.BatchNorm1d(width), nn.Dropout(0.3)
        )
        self.kind = kind
        self.validated = []
        files = [SourceFile('vae', 'frozen.pt', 'abc', ('frozen.',))] * file
        set_record(self, account(self, (), files))

    def forward(self, inputs, data_samples, mode='tensor'):
        if mode == 'predict':
            self.validated.append(np.random.rand() + torch.rand(1).item())
            return list(data_samples)
        x = torch.stack(list(inputs))
        bad = ~torch.isfinite(x).all()
        x = torch.nan_to_num(x)
        x = self.net(self.frozen(x) + x * np.random.rand())
        loss = x.square().mean() + (x[:, 0] - 1).square().mean()
        if bad and self.kind == 'loss':  # its gradient is finite
            loss = loss + torch.inf
        elif bad:
            loss = loss * torch.nan
        return {'loss_toy': loss}


@METRICS.register_module()
class ToyMetric(BaseMetric):
    """Counts."""

    def process(self, data_batch, data_samples):
        self.results.append(len(data_samples))

    def compute_metrics(self, results):
        return {'count': sum(results)}


@HOOKS.register_module()
class LossFileHook(Hook):
    """Appends iteration and exact loss to a file at once."""

    folder = None  # the run's

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        folder = Path(self.folder or runner.work_dir)
        with open(folder / 'losses.txt', 'a') as file:
            loss = outputs['loss'].item().hex()
            file.write(f'{runner.iter + 1} {loss}\n')


@HOOKS.register_module()
class CrashHook(Hook):
    """Ends the run after an iteration, its checkpoint included.

    Or lets the process receive a signal before an iteration.
    """

    priority = 'LOWEST'

    def __init__(self, after=None, terminate=None, signum=signal.SIGTERM):
        self.after, self.terminate = after, terminate
        self.signum = signum

    def before_train_iter(self, runner, batch_idx, data_batch):
        if runner.iter + 1 == self.terminate:
            os.kill(os.getpid(), self.signum)

    def after_train_iter(self, runner, batch_idx, data_batch, outputs):
        if runner.iter + 1 == self.after:
            raise Crash


class Crash(Exception):
    pass


def toy_config(work_dir, max_iters=8, **options):
    config = Config(
        {
            # nothing of `star` is imported that is not used
            'default_scope': 'mmengine',
            'model': {'type': 'ToyModel'},
            'work_dir': str(work_dir),
            'train_dataloader': {
                'batch_size': 3,
                'num_workers': 0,
                'sampler': {'type': 'star.DrawSampler'},
                'collate_fn': {'type': 'pseudo_collate'},
                'dataset': {'type': 'ToyClips'},
            },
            'optim_wrapper': {
                'type': 'OptimWrapper',
                'optimizer': {'type': 'AdamW', 'lr': 0.1},
                'clip_grad': {'max_norm': 1.0},
            },
            'param_scheduler': [
                {'type': 'LinearLR', 'end': 3, 'by_epoch': False},
                {'type': 'CosineAnnealingLR', 'T_max': 9, 'by_epoch': False},
            ],
            'train_cfg': {'type': 'IterBasedTrainLoop'},
            'default_hooks': {
                'logger': {'type': 'LoggerHook', 'interval': 1},
                'checkpoint': {
                    'type': 'star.SafeCheckpointHook',
                    'interval': 1,
                },
            },
            'custom_hooks': [
                {'type': 'LossFileHook'},
                {'type': 'star.TrainedEMAHook', 'decay': 0.9},
                {'type': 'star.NonFiniteGuardHook', 'patience': 3},
                {'type': 'CrashHook'},
            ],
            'log_processor': {'by_epoch': False},
            'log_level': 'ERROR',
            'randomness': {'seed': 1},
        }
    )
    config.train_cfg.max_iters = max_iters
    config.merge_from_dict(options)
    return config


_count = 0


def start(config, folder=None, changes=()):
    """Run a config, resumed from a checkpoint folder if there is one."""
    global _count
    _count += 1
    config.experiment_name = f'{Path(config.work_dir)}{os.getpid()}{_count}'
    set_resume(config, folder, changes)
    try:
        runner = Runner.from_cfg(config)
        runner.train()
    finally:
        leave_scope(config)
    return runner


def leave_scope(config):
    """Let the tests that follow build parts of `star`."""
    DefaultScope.get_instance(
        f'{config.experiment_name} ended', scope_name='star'
    )


def serve():
    """Do each line of the input, a task as JSON, in a process of its own.

    Prints its exit status; modules are loaded only once. A task is a dict of
    `work_dir`, `options` of `toy_config`, and perhaps `die_at`, a step of
    `die_before`, `kill_after`, seconds, or `meeting`, where two ranks meet.
    """
    torch.set_num_threads(1)
    Runner._log_env = lambda self, config: None  # calls compilers
    Config.pretty_text = property(repr)  # formats code
    import_module('torch._dynamo')  # optimisers load it late
    with tempfile.TemporaryDirectory() as folder:
        Runner.from_cfg(toy_config(folder))  # loads what is loaded late
    for line in sys.stdin:
        task = json.loads(line)
        pids = [_fork(task, rank) for rank in range(1 + ('meeting' in task))]
        if 'kill_after' in task:
            time.sleep(task['kill_after'])
            os.kill(pids[0], signal.SIGKILL)
        print(max(os.waitpid(pid, 0)[1] for pid in pids), flush=True)


def _fork(task, rank):
    pid = os.fork()
    if pid:
        return pid
    status = 1
    try:
        _work(task, rank)
        status = 0
    except SystemExit as error:
        status = error.code
    except BaseException:
        traceback.print_exc()
    finally:
        os._exit(status)


def _work(task, rank):
    work_dir = Path(task['work_dir'])
    config = toy_config(work_dir, **task['options'])
    if 'die_at' in task:
        die_before(task['die_at'])
    if 'meeting' in task:
        _join(config, rank, task['meeting'])
    start(config, find_last(work_dir))


def _join(config, rank, meeting):
    """Become one of two ranks, whose losses go to a folder `rank_r`."""
    torch.distributed.init_process_group(
        'gloo', init_method=f'file://{meeting}', rank=rank, world_size=2
    )
    os.environ['LOCAL_RANK'] = str(rank)  # the Runner asks for it
    LossFileHook.folder = Path(config.work_dir) / f'rank_{rank}'
    LossFileHook.folder.mkdir(parents=True, exist_ok=True)
    config.launcher = 'pytorch'
    config.randomness.diff_rank_seed = True
    config.model_wrapper_cfg = {
        'type': 'MMDistributedDataParallel',
        'device_ids': None,
    }


def die_before(step):
    """Kill this process before its n-th change to files of a checkpoint."""
    left = [step]

    def count():
        left[0] -= 1
        if left[0] < 0:
            os.kill(os.getpid(), signal.SIGKILL)

    def watch(event, args):
        if event in ('os.mkdir', 'os.rename', 'os.remove', 'os.rmdir'):
            names = ('iter_', 'last_checkpoint', 'safetensors', 'training.pt')
            if any(name in str(args[0]) for name in names):
                count()

    fsync = os.fsync

    def counted_fsync(descriptor):
        count()
        fsync(descriptor)

    os.fsync = counted_fsync
    sys.addaudithook(watch)


def read_losses(work_dir):
    """Read (iteration, loss) as they were written; a torn line is left out."""
    lines = (Path(work_dir) / 'losses.txt').read_text().split('\n')[:-1]
    pairs = (line.split() for line in lines)
    return [(int(n), float.fromhex(loss)) for n, loss in pairs]


if __name__ == '__main__':
    serve()
