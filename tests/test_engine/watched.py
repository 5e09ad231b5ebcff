"""A model, clips and a run of a few iterations, to be watched by hooks."""

import random
import time

import numpy as np
import torch
from mmengine.config import Config
from mmengine.model import BaseModel
from mmengine.runner import Runner
from tensorboard.backend.event_processing.event_accumulator import (
    EventAccumulator,
)
from torch import nn
from torch.utils.data import Dataset

from star.registry import DATASETS, METRICS, MODELS
from star.structures import Measurement, VideoSample


@MODELS.register_module(force=True)
class WatchedModel(BaseModel):
    """Its gradient is (3, 4) times `slope`; its restoration `gain` brighter.

    The losses and the restoration both draw from all global random states.

    Args:
        slope: of the loss.
        seconds: that a restoration takes.
        fail: restorations raise this text, if any.
    """

    def __init__(self, slope=1.0, seconds=0.0, fail=''):
        super().__init__()
        self.weight = nn.Parameter(torch.zeros(2))
        self.frozen = nn.Dropout()
        self.slope, self.seconds, self.fail = slope, seconds, fail
        self.seen = []

    def train(self, mode=True):
        super().train(mode)
        self.frozen.eval()
        return self

    def forward(self, inputs, data_samples, mode):
        noise = random.random() + np.random.rand() + torch.rand(()).item()
        if mode == 'predict':
            return self.predict(inputs, data_samples)
        slopes = self.slope * torch.tensor([3.0, 4.0])
        low = torch.stack(inputs).float().mean() / 255
        return {
            'loss_velocity': (self.weight * slopes).sum() + noise,
            'loss_frequency': 2 * low + noise,
            'frequency_low': low,
            'frequency_high': low + 1,
            'frequency_weight': torch.tensor(0.25),
        }

    def predict(self, inputs, data_samples):
        assert not self.training and not torch.is_grad_enabled()
        self.seen.append(self.weight.detach().clone())
        time.sleep(self.seconds)
        if self.fail:
            raise RuntimeError(self.fail)
        for lq, sample in zip(inputs, data_samples, strict=True):
            sample.pred = nn.functional.interpolate(lq, scale_factor=2) // 2
        return data_samples


def clip(index, height=8, width=12):
    """A clip of one colour, which is its number times ten."""
    return torch.full((3, 3, height, width), 10 * index, dtype=torch.uint8)


@DATASETS.register_module(force=True)
class WatchedClips(Dataset):
    """Clips of one colour, with ground truth twice as large and 5 brighter.

    Args:
        length: number of clips.
        seconds: that one takes to load.
        broken: number of a clip that cannot be read.
        with_gt: False for none.
    """

    metainfo = None

    def __init__(self, length=4, seconds=0.0, broken=None, with_gt=True):
        if length < 0:
            raise ValueError(f'`length` must not be negative, got {length}')
        self.length, self.seconds = length, seconds
        self.broken, self.with_gt = broken, with_gt

    def __len__(self):
        return self.length

    def __getitem__(self, index):
        time.sleep(self.seconds)
        if index == self.broken:
            raise OSError('cannot be read,\n  it is broken')
        gt = clip(index, 16, 24) + 5 if self.with_gt else None
        sample = VideoSample(gt=gt, name=f'a b/{index}', fps=8)
        return {'inputs': clip(index), 'data_samples': sample}


@METRICS.register_module(force=True)
class MeanDifference:
    """Mean absolute difference, which is easily computed by hand.

    Args:
        missing: module whose absence it complains of.
        late: complain when scoring instead of at once.
    """

    def __init__(self, missing='', late=False):
        self.name, self.needs_gt = 'MeanDifference', True
        self.missing = missing
        if not late:
            self._complain()

    def _complain(self):
        if self.missing:
            raise ImportError(f'`{self.missing}` is not installed')

    def measure(self, pred, gt):
        self._complain()
        return Measurement((pred.double() - gt.double()).abs().mean().item())


@METRICS.register_module(force=True)
class MeanValue:
    """Mean value of the restored clip; needs no ground truth."""

    name = 'Mean_value'
    needs_gt = False

    def measure(self, pred, gt=None):
        return Measurement(pred.double().mean().item())


def watched_config(folder, max_iters=4, **options):
    """A run on the clips, with the hooks that each config has."""
    config = {
        'default_scope': 'star',
        'custom_imports': {
            'imports': ['star.models', 'star.engine'],
            'allow_failed_imports': False,
        },
        'model': {'type': 'WatchedModel'},
        'train_dataloader': {
            'batch_size': 2,
            'num_workers': 0,
            'sampler': {'type': 'InfiniteSampler', 'shuffle': True},
            'collate_fn': {'type': 'pseudo_collate'},
            'dataset': {'type': 'WatchedClips'},
        },
        'optim_wrapper': {
            'type': 'OptimWrapper',
            'optimizer': {'type': 'SGD', 'lr': 0.1},
        },
        'train_cfg': {'type': 'IterBasedTrainLoop', 'max_iters': max_iters},
        'default_hooks': {
            'timer': {'type': 'IterTimerHook'},
            'logger': {'type': 'LoggerHook', 'interval': 1},
            'checkpoint': {'type': 'CheckpointHook', 'by_epoch': False},
            'monitor': {'type': 'MonitorHook'},
        },
        'visualizer': {
            'type': 'Visualizer',
            'vis_backends': [
                {'type': 'LocalVisBackend'},
                {'type': 'TensorBoardBackend'},
            ],
        },
        'log_processor': {
            'by_epoch': False,
            'window_size': 20,
            'mean_pattern': r'.*(loss|time|grad_norm|frequency).*',
        },
        'log_level': 'ERROR',
        'randomness': {'seed': 0},
        'work_dir': str(folder / 'work'),
        'experiment_name': f'{folder.parent.name}_{folder.name}',
    }
    config = Config(config)
    config.merge_from_dict(options)
    return config


def run(config):
    """Run a config; return the Runner and what TensorBoard has of it."""
    runner = Runner.from_cfg(config)
    runner.train()
    folder = f'{runner.work_dir}/{runner.timestamp}/vis_data'
    accumulator = EventAccumulator(folder, size_guidance={'images': 0})
    return runner, accumulator.Reload()


def scalars(events, name):
    """All values of a number, by iteration."""
    return {event.step: event.value for event in events.Scalars(name)}


def losses(runner, name='loss'):
    """The history of a loss."""
    return list(runner.message_hub.get_scalar(f'train/{name}').data[0])
