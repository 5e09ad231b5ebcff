"""Test a method on the sets and by the metrics of a config.

    python tools/test.py CONFIG [CHECKPOINT] [options]
    tools/dist_test.sh CONFIG CHECKPOINT GPUS [options]

CHECKPOINT: nothing, or `default`, for the weights that the config names; a
word that the config knows (heavy, light); a training's folder iter_N; a file
of weights, or the name of a published one; `none` for random numbers. Results
of other methods are scored by

    python tools/test.py configs/saved_results/saved_results.py --results FOLDER

with clips as FOLDER/SET/NAME, folders of frames or lossless videos.

WORK_DIR gets results.json, sets.csv, clips.csv and frames.csv, and a record of
each clip, from which a run that was stopped goes on when it is started again.
Exit code: 0 done, 1 done but for the problems listed, 2 wrong use, 130
interrupted.
"""

import argparse
import sys
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process

from star.apis.inference.build import find_config, place_model
from star.apis.inference.devices import DTYPES, find_device, find_model_dtype
from star.apis.test.method import Method, load_method
from star.apis.test.metrics import Metrics, build_metrics, choose_metrics
from star.apis.test.protocol import describe_method, describe_protocol
from star.apis.test.results import method_label
from star.apis.test.sets import build_sets, choose_sets, describe_set
from star.apis.test.testing import TestRun, check_testing, connect, run_test
from star.apis.train.training import (
    LAUNCHERS,
    ChangesAction,
    RunOptions,
    config_error,
    end_processes,
    run_config,
)
from star.evaluation.functional.shift import measure_shift
from star.models.editors import SavedResults


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument(
        'config', help='file, or name of one in configs/star, baselines'
    )
    parser.add_argument('checkpoint', nargs='?', default='default')
    add_method_options(parser)
    add_scoring_options(parser)
    add_run_options(parser)
    # CHECKPOINT may stand behind options
    return parser.parse_intermixed_args()


def add_method_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('method').add_argument
    add('--ema', action='store_true', help="the folder's averaged weights")
    add(
        '--weights',
        help='where the weights come from that a training did not change, or '
        'that the config names: as for tools/train.py',
    )
    add('--results', metavar='FOLDER', help='clips that were restored before')
    add('--name', help="in tables; default: the config's")
    add(
        '--dtype',
        choices=DTYPES,
        help='default: bfloat16 on CUDA, but float32 for baselines',
    )


def add_scoring_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('sets and metrics').add_argument
    add(
        '--sets',
        nargs='+',
        metavar='NAME',
        help='default: those of --set; without them, all of the config',
    )
    add(
        '--set',
        action='append',
        default=[],
        metavar='NAME=FOLDER',
        help='where a set lies, or a set that the config does not know; '
        'several times',
    )
    add('--frames', type=int, metavar='N', help='the first N of each clip')
    add(
        '--metrics',
        nargs='+',
        metavar='NAME[:KEY=VALUE,...]',
        help='such as PSNR LPIPS:net=squeeze; default: all of the config',
    )
    add(
        '--weights-dir',
        help="folder with the metrics' and a baseline's files of weights",
    )


def add_run_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('run').add_argument
    add('--work-dir', help='default: work_dirs/test/NAME')
    add('--save', choices=['png', 'mkv'], help='keep restored clips')
    add('--device', help='cuda, mps, cpu ...; default: a GPU if there is one')
    add(
        '--cfg-options',
        nargs='+',
        action=ChangesAction,
        metavar='KEY=VALUE',
        help='replace values of the config',
    )
    add('--launcher', choices=LAUNCHERS, default='none')
    add('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)


def test(args: argparse.Namespace) -> list[str]:
    """Test, and return what went wrong on the way."""
    config = read_config(args)
    sets = choose_sets(config, args.sets, folders(args.set), args.frames)
    datasets = build_sets(sets)
    connect(config)
    device = find_device(args.device)
    metrics = read_metrics(config, args, device)
    method = read_method(config, args, device)
    protocol = describe_protocol(
        [metric.describe() for metric in metrics.built],
        {name: describe_set(sets[name], datasets[name]) for name in sets},
        method.model.restore_options.seed,
        source_of(method, datasets),
        device,
    )
    facts = {
        'method': describe_method(method_name(args), config, method),
        'protocol': protocol,
    }
    run = TestRun(
        work_dir=Path(config.work_dir),
        sets=datasets,
        method=method,
        metrics=metrics.built,
        facts=facts,
        problems=metrics.problems,
        save=args.save,
        shift=measure_shift,
    )
    results = run_test(config, run, device)
    if is_main_process():
        report(results, run.work_dir)
    end_processes()
    return results['problems']


def read_config(args: argparse.Namespace) -> Config:
    options = RunOptions(
        work_dir=args.work_dir or f'work_dirs/test/{method_name(args)}',
        launcher=args.launcher,
        changes=args.cfg_options,
    )
    config = run_config(args.config, options)
    check_testing(config)
    if args.results is not None:
        if config.model.type != 'SavedResults':
            raise ValueError(
                '--results goes with configs/saved_results/saved_results.py'
            )
        config.model.folder = args.results
        config.model.first_frames = args.frames is not None
    if args.device is not None and args.launcher != 'none':
        raise ValueError('--device is chosen by the launcher: leave it out')
    if args.frames is not None and args.frames < 1:
        raise ValueError(f'--frames must be at least 1, got {args.frames}')
    return config


def read_metrics(
    config: Config, args: argparse.Namespace, device: torch.device
) -> Metrics:
    """Build the metrics, and say which are left out."""
    metrics = build_metrics(
        choose_metrics(config, args.metrics), str(device), args.weights_dir
    )
    for problem in metrics.problems:
        say(f'left out: {problem}')
    return metrics


def read_method(
    config: Config, args: argparse.Namespace, device: torch.device
) -> Method:
    word = None if args.checkpoint == 'default' else args.checkpoint
    method = load_method(
        config, word, args.weights, args.ema, args.weights_dir
    )
    if not hasattr(method.model, 'restore_options'):
        raise ValueError(f'{type(method.model).__name__} does not restore')
    dtype = find_model_dtype(method.model, args.dtype, device)
    place_model(method.model, device, dtype)
    return method


def source_of(method: Method, datasets: dict[str, Any]) -> str:
    """Tell what is scored; refuse saved results that do not fit the sets."""
    if not isinstance(method.model, SavedResults):
        return 'restored in memory'
    return method.model.check({k: v.names for k, v in datasets.items()})


def method_name(args: argparse.Namespace) -> str:
    """Name a method after its config: star_tiny, bicubic."""
    path = find_config(args.config)
    ours = path.parent.name == 'star'
    return args.name or (f'star_{path.stem}' if ours else path.stem)


def folders(pairs: list[str]) -> dict[str, str]:
    found = {}
    for pair in pairs:
        name, equals, folder = pair.partition('=')
        if not (name and equals and folder):
            raise ValueError(f'--set takes NAME=FOLDER, got {pair!r}')
        found[name] = folder
    return found


def report(results: dict, work_dir: Path) -> None:
    """Print means, and where everything is."""
    label = method_label(results['method'])
    for name, each in results['sets'].items():
        scores = [
            f'{metric} {float(score):.4g}'
            for metric, score in each['scores'].items()
            if score is not None
        ]
        found = ', '.join(scores) or 'no scores'
        print(f'{label}, {name} ({each["clips"]} clips): {found}')
    print(f'results: {work_dir / "results.json"}')
    for problem in results['problems']:
        say(f'problem: {problem}')


def say(text: str) -> None:
    if is_main_process():
        print(text, file=sys.stderr, flush=True)


def main() -> int:
    args = parse_args()
    try:
        problems = test(args)
    except KeyboardInterrupt:
        say('interrupted; the same command goes on')
        return 130
    except ImportError as error:  # of an extra that a method needs
        print(f'error: {error}', file=sys.stderr)
        return 2
    except Exception as error:
        reason = config_error(error)
        if reason is None:
            raise
        print(f'error: {reason}', file=sys.stderr)
        return 2
    return 1 if problems else 0


if __name__ == '__main__':
    sys.exit(main())
