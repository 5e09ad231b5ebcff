"""Measure how much faster training is from cached latents than from video.

    python projects/small_models/tools/benchmark_cache.py --config tiny_real
    python projects/small_models/tools/benchmark_cache.py --videos FOLDER

Makes a cache of a few items, trains for some iterations from video and from
the cache by turns, with the velocity loss alone and with a frequency loss on
decoded pixels, and prints iterations per second and their ratio. CPU seconds
are those of the training process: where other work shares the machine, they
(with `--workers 0`, so that loading counts) are the steadier measure.
"""

import argparse
import json
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import torch
from mmengine.config import Config, DictAction
from mmengine.hooks import Hook
from mmengine.runner import Runner

import star.datasets
import star.engine
import star.models  # noqa: F401
from star.apis.inference.build import load_config

CACHE_TOOL = (
    Path(__file__).resolve().parents[1] / 'dataset_converters/cache_latents.py'
)
FREQUENCY = {'type': 'DynamicFrequencyLoss'}
# mmengine's own and the project's; what is None is left out
HOOKS = ('runtime_info', 'sampler_seed', 'logger', 'checkpoint')


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Training from cached latents against training from '
        'video, in one run.'
    )
    parser.add_argument('--config', default='tiny_real')
    parser.add_argument(
        '--videos',
        type=Path,
        help='folder of video files to train on, instead of the data set of '
        'the config (whose clips may be decoded already)',
    )
    parser.add_argument('--items', type=int, default=64, help='in the cache')
    parser.add_argument('--iters', type=int, default=20, help='measured')
    parser.add_argument('--warmup', type=int, default=5, help='not measured')
    parser.add_argument('--rounds', type=int, default=2)
    parser.add_argument('--workers', type=int, help='default: the config')
    parser.add_argument('--json', action='store_true')
    parser.add_argument('--cfg-options', nargs='+', action=DictAction)
    args = parser.parse_args()
    for name in ('items', 'iters', 'warmup', 'rounds'):
        if getattr(args, name) < 1:
            parser.error(f'--{name} must be at least 1')
    return args


class RateHook(Hook):
    """Times iterations: all, waiting for data, and this process computing."""

    priority = 'VERY_LOW'

    def __init__(self, warmup: int) -> None:
        self.warmup = warmup
        self.seconds = 0.0
        self.waiting = 0.0
        self.computing = 0.0
        self.count = 0

    def before_train(self, runner: Runner) -> None:
        self.last, self.last_cpu = time.perf_counter(), time.process_time()

    def before_train_iter(
        self, runner: Runner, batch_idx: int, data_batch: object = None
    ) -> None:
        self.loaded = time.perf_counter()

    def after_train_iter(
        self,
        runner: Runner,
        batch_idx: int,
        data_batch: object = None,
        outputs: object = None,
    ) -> None:
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        now, cpu = time.perf_counter(), time.process_time()
        if runner.iter >= self.warmup:
            self.seconds += now - self.last
            self.waiting += self.loaded - self.last
            self.computing += cpu - self.last_cpu
            self.count += 1
        self.last, self.last_cpu = now, cpu


def use_videos(settings: Config, videos: Path, folder: Path) -> None:
    """Let a config read video files, without captions, by the same pipeline.

    Raises:
        ValueError: there is no video.
    """
    suffixes = ('.mp4', '.mkv', '.mov', '.webm')
    paths = sorted(p for p in videos.glob('*') if p.suffix in suffixes)
    if not paths:
        raise ValueError(
            f'`--videos` holds no {", ".join(suffixes)}: {videos}'
        )
    for name in ('gt', 'text'):
        (folder / 'videos' / name).mkdir(parents=True)
    for path in paths:
        (folder / 'videos/gt' / path.name).symlink_to(path.resolve())
        (folder / 'videos/text' / f'{path.stem}.txt').write_text('')
    old = settings.train_dataloader.dataset
    settings.train_dataloader.dataset = {
        'type': 'CaptionedFolder',
        'data_root': str(folder / 'videos'),
        'num_frames': old.num_frames,
        'pipeline': old.pipeline,
    }


def write_cache(settings: Config, folder: Path, items: int) -> float:
    """Make the cache; return its items per second, start included."""
    config = folder / 'config.py'
    settings.dump(config)
    command = [sys.executable, CACHE_TOOL, config, folder / 'cache']
    command += ['--num-items', items, '--keep-gt', '--weights', 'random']
    start = time.perf_counter()
    code = subprocess.run([str(word) for word in command]).returncode
    if code:
        raise ValueError(f'cache_latents.py ended with exit code {code}')
    return items / (time.perf_counter() - start)


def with_losses(settings: Config, frequency: bool) -> Config:
    """Return a config with the velocity loss alone, or a frequency loss."""
    settings = Config(settings.to_dict())
    losses = dict(settings.model.get('losses') or {})
    given = losses.pop('frequency', None)
    losses.pop('perceptual', None)
    if frequency:
        losses['frequency'] = given or FREQUENCY
    settings.model.losses = losses
    return settings


def from_cache(settings: Config, folder: Path) -> Config:
    settings = Config(settings.to_dict())
    settings.train_dataloader.dataset = {
        'type': 'CachedLatents',
        'cache_root': str(folder / 'cache'),
    }
    return settings


def measure(settings: Config, folder: Path, args: argparse.Namespace) -> dict:
    """Train; return seconds and iterations, without the first ones."""
    settings = Config(settings.to_dict())
    count = args.warmup + args.iters
    settings.train_cfg.max_iters = count
    for name in set(settings.default_hooks) - set(HOOKS):
        settings.default_hooks.pop(name)  # mmengine takes no None for these
    settings.merge_from_dict(
        {
            'default_hooks': dict.fromkeys(HOOKS),
            'custom_hooks': [],
            'param_scheduler': [],
            'work_dir': str(folder / 'work'),
            'experiment_name': f'benchmark_{time.time_ns()}',
            'randomness': {'seed': 0},
            'log_level': 'ERROR',
            'load_from': None,
            'resume': False,
        }
    )
    for key in ('val_dataloader', 'val_cfg', 'val_evaluator'):
        settings.pop(key, None)
    runner = Runner.from_cfg(settings)
    hook = RateHook(args.warmup)
    runner.register_hook(hook)
    runner.train()
    return {
        'rate': hook.count / hook.seconds,
        'waiting': hook.waiting / hook.seconds,
        'cpu_seconds': hook.computing / hook.count,
    }


def compare(args: argparse.Namespace, folder: Path) -> dict:
    settings = load_config(args.config)
    settings.merge_from_dict(args.cfg_options or {})
    if args.workers is not None:
        settings.train_dataloader.num_workers = args.workers
        settings.train_dataloader.persistent_workers = args.workers > 0
    if args.videos is not None:
        use_videos(settings, args.videos, folder)
    result = {
        'config': args.config,
        'device': device_name(),
        'batch_size': settings.train_dataloader.batch_size,
        'workers': settings.train_dataloader.num_workers,
        'cache_items_per_second': write_cache(settings, folder, args.items),
        'losses': {},
    }
    for name, frequency in (('velocity', False), ('frequency', True)):
        video = with_losses(settings, frequency)
        cache = from_cache(video, folder)
        rows: dict = {'video': [], 'cache': []}
        for _ in range(args.rounds):
            rows['video'].append(measure(video, folder, args))
            rows['cache'].append(measure(cache, folder, args))
        result['losses'][name] = summarise(rows)
    return result


def summarise(rows: dict) -> dict:
    """Keep each source's best round: others may use the machine too."""
    best = {
        name: max(rounds, key=lambda row: row['rate'])
        for name, rounds in rows.items()
    }
    video, cache = best['video'], best['cache']
    return {
        **best,
        'ratio': cache['rate'] / video['rate'],
        'cpu_ratio': video['cpu_seconds'] / cache['cpu_seconds'],
    }


def device_name() -> str:
    if torch.cuda.is_available():
        return torch.cuda.get_device_name()
    return f'cpu, {torch.get_num_threads()} threads'


def show(result: dict) -> None:
    print(
        f'{result["config"]} on {result["device"]}, batch '
        f'{result["batch_size"]}, {result["workers"]} workers; cache written '
        f'at {result["cache_items_per_second"]:.2f} items/s\n\n'
        '| losses | from video, it/s | data wait | CPU s/it | from cache, '
        'it/s | data wait | CPU s/it | ratio | CPU ratio |\n'
        '|---|---|---|---|---|---|---|---|---|'
    )
    for name, row in result['losses'].items():
        cells = [
            f'{row[source]["rate"]:.2f} | {row[source]["waiting"]:.0%} | '
            f'{row[source]["cpu_seconds"]:.2f}'
            for source in ('video', 'cache')
        ]
        cells += [f'{row["ratio"]:.2f}', f'{row["cpu_ratio"]:.2f}']
        label = name if name == 'velocity' else f'velocity, {name}'
        print(f'| {label} | {" | ".join(cells)} |')


def main() -> int:
    args = parse_args()
    try:
        with tempfile.TemporaryDirectory() as folder:
            result = compare(args, Path(folder))
    except ValueError as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if args.json:
        print(json.dumps(result))
    else:
        show(result)
    return 0


if __name__ == '__main__':
    sys.exit(main())
