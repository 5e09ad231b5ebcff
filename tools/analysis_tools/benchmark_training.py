"""Measure what `star train` costs beyond the network: the Runner's share.

    python tools/analysis_tools/benchmark_training.py tiny --iterations 60
    python tools/analysis_tools/benchmark_training.py \
        projects/small_models/configs/tiny_compact_sampler.py \
        --cfg-options model.loss.weights=data/lpips_squeeze.safetensors

The training runs as `star train` runs it, on clips of noise of the config's
size. After each of its iterations the bare network does the same on the same
batch: forward pass, backward pass, step of the optimiser. Both take turns, so
that whatever else the machine does slows both, and draw the same random
numbers. The time of the training is all that passes between two bare steps:
waiting for data, every hook, the log. Medians of all iterations but the first
ones. Exit code: 0 done, 2 wrong use.
"""

import argparse
import copy
import inspect
import json
import statistics
import sys
import tempfile
import time
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.hooks import Hook
from mmengine.runner import Runner
from torch.utils.data import Dataset

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from star.apis.train.training import (
    RunOptions,
    build_runner,
    read_changes,
    run_config,
)
from star.cli.common import Parser, execute, number
from star.registry import DATASETS, HOOKS
from star.structures import VideoSample

WARM = 5  # iterations that do not count


@DATASETS.register_module(force=True)
class NoiseClips(Dataset):
    """Clips of noise, the same few again and again.

    Args:
        shape: frames, height and width of the ground truth.
        scale: size of the ground truth over that of the input.
    """

    metainfo = None

    def __init__(self, shape: tuple[int, int, int], scale: int) -> None:
        generator = torch.Generator().manual_seed(0)
        frames, height, width = shape

        def draw(h: int, w: int) -> torch.Tensor:
            size = (frames, 3, h, w)
            return torch.randint(
                0, 256, size, dtype=torch.uint8, generator=generator
            )

        self.pairs = [
            (draw(height // scale, width // scale), draw(height, width))
            for _ in range(8)
        ]

    def __len__(self) -> int:
        return len(self.pairs)

    def __getitem__(self, index: int) -> dict[str, Any]:
        lq, gt = self.pairs[index % len(self.pairs)]
        sample = VideoSample(gt=gt, name=str(index), seed=index)
        return {'inputs': lq, 'data_samples': sample}


@HOOKS.register_module(force=True)
class BareStepHook(Hook):
    """After each iteration does the same with a copy of the network alone.

    Attributes:
        times: by name, seconds of the clock and of the processors, a pair
            for each iteration that counts.
    """

    priority = 'LOWEST'  # the iteration is over

    def __init__(self) -> None:
        self.times: dict[str, list[tuple[float, float]]] = {
            'training': [],
            'bare': [],
        }
        self._before: torch.Tensor | None = None

    def before_train(self, runner: Runner) -> None:
        """Copy the network, with an optimiser of the same kind."""
        self.model = copy.deepcopy(runner.model)
        optimizer = runner.optim_wrapper.optimizer
        trained = [p for p in self.model.parameters() if p.requires_grad]
        kind, given = type(optimizer), optimizer.defaults
        known = inspect.signature(kind).parameters
        options = {k: v for k, v in given.items() if k in known}
        self.optimizer = kind(trained, **options)
        self._start, self._before = clocks(), torch.get_rng_state()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: Any = None,
        outputs: dict | None = None,
    ) -> None:
        """Note the time of the iteration, and do and time the bare one."""
        training = since(self._start)
        assert self._before is not None
        with torch.random.fork_rng(devices=[]):
            torch.set_rng_state(self._before)
            batch = self.model.data_preprocessor(data_batch, True)
            start = clocks()
            self._step(runner, batch)
            bare = since(start)
        if batch_idx >= WARM:
            self.times['training'].append(training)
            self.times['bare'].append(bare)
        self._start, self._before = clocks(), torch.get_rng_state()

    def _step(self, runner: Runner, batch: dict[str, Any]) -> None:
        """Do one iteration of the bare network."""
        with runner.optim_wrapper.optim_context(self.model):
            terms = self.model(**batch, mode='loss')
        loss = sum(v.mean() for k, v in terms.items() if 'loss' in k)
        loss.backward()
        self.optimizer.step()
        self.optimizer.zero_grad()


def clocks() -> tuple[float, float]:
    """Return the seconds of the clock and of this process's processors."""
    if torch.cuda.is_available():
        torch.cuda.synchronize()
    return time.perf_counter(), time.process_time()


def since(start: tuple[float, float]) -> tuple[float, float]:
    now = clocks()
    return now[0] - start[0], now[1] - start[1]


def clip_shape(config: Config) -> tuple[int, int, int]:
    """Read frames, height and width of a config's training clips."""
    dataset = config.train_dataloader.dataset
    while 'datasets' in dataset:
        dataset = dataset.datasets[0]
    for step in dataset.pipeline:
        if step.type == 'RandomCropClip':
            return dataset.num_frames, step.height, step.width
    raise ValueError('the config has no RandomCropClip, which gives the size')


def measure(config: Config) -> dict[str, Any]:
    """Train on noise, and return medians and ratios."""
    preprocessor = config.model.get('data_preprocessor') or {}
    config.train_dataloader.dataset = {
        'type': 'NoiseClips',
        'shape': clip_shape(config),
        'scale': preprocessor.get('scale', 1),
    }
    config.custom_hooks = [
        *(config.get('custom_hooks') or []),
        {'type': 'BareStepHook'},
    ]
    runner = build_runner(config)
    runner.train()
    (hook,) = (h for h in runner.hooks if isinstance(h, BareStepHook))
    found: dict[str, Any] = {}
    for i, unit in enumerate(('seconds', 'processor_seconds')):
        rows = {name: [t[i] for t in hook.times[name]] for name in hook.times}
        pairs = zip(rows['training'], rows['bare'], strict=True)
        found[unit] = {k: statistics.median(v) for k, v in rows.items()}
        found[unit]['ratio'] = statistics.median(a / b for a, b in pairs)
    return found


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('config', help='a config with a training, or its name')
    count = number(int, WARM + 1)
    add('--iterations', type=count, default=60, help='default: 60')
    add('--threads', type=number(int, 1), help="default: torch's own number")
    add(
        '--cfg-options',
        dest='changes',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
    )
    add('--json', type=Path, help='write the numbers here')
    return parser.parse(arguments)


def run(args: argparse.Namespace) -> int:
    if args.threads:
        torch.set_num_threads(args.threads)
    with tempfile.TemporaryDirectory() as folder:
        changes = read_changes(args.changes)
        config = run_config(args.config, RunOptions(folder, changes=changes))
        if config.get('train_cfg') is None:
            raise ValueError(f'config {args.config} has no training')
        config.train_cfg.max_iters = args.iterations
        config.param_scheduler = None
        config.log_level = 'WARNING'
        found = measure(config)
    for unit, row in found.items():
        print(
            f'{unit:18} training {row["training"]:.4f}, bare '
            f'{row["bare"]:.4f}, ratio {row["ratio"]:.3f}'
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1))
    return 0


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


if __name__ == '__main__':
    sys.exit(main())
