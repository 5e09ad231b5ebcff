"""Test a method: `star test`."""

import argparse
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process

from star.apis.inference.build import find_config
from star.apis.inference.devices import find_device, find_model_dtype
from star.apis.test.method import TestedMethod, load_method
from star.apis.test.metrics import Metrics, build_metrics, choose_metrics
from star.apis.test.protocol import describe_method, describe_protocol
from star.apis.test.results import method_label
from star.apis.test.sets import (
    ClipSet,
    build_sets,
    choose_sets,
    describe_set,
)
from star.apis.test.testing import TestRun, check_testing, connect, run_test
from star.apis.train.training import (
    RunOptions,
    end_processes,
    read_changes,
    run_config,
)
from star.cli.common import DONE, INCOMPLETE, say
from star.cli.launch import launch, launches, refuse
from star.evaluation.functional.shift import measure_shift
from star.models.editors import SavedResults


def run(args: argparse.Namespace) -> int:
    """Test and return the exit code."""
    try:
        config = read_config(args)
        if launches(args):
            return launch('test', args)
        return INCOMPLETE if test(args, config) else DONE
    except Exception as error:
        return refuse(error)


def test(args: argparse.Namespace, config: Config) -> list[str]:
    """Test a config's model and return the problems."""
    sets = choose_sets(config, args.sets, folders(args.set), args.frames)
    datasets = build_sets(sets)
    connect(config)
    device = find_device(args.device)
    metrics = read_metrics(config, args, device)
    method = read_method(config, args, device)
    model: Any = method.model
    saved = model if isinstance(model, SavedResults) else None
    protocol = describe_protocol(
        [metric.describe() for metric in metrics.built],
        {name: describe_set(sets[name], datasets[name]) for name in sets},
        model.restore_options.seed,
        source_of(saved, datasets),
        device,
    )
    facts = {
        'method': describe_method(method_name(args), config, method),
        'protocol': protocol,
    }
    run = TestRun(
        work_dir=Path(config.work_dir),
        sets=datasets,
        restorer=model,
        metrics=metrics.built,
        facts=facts,
        saved=saved,
        problems=metrics.problems,
        save=args.save,
        shift=measure_shift,
        num_workers=min(1, config.test_dataloader.get('num_workers', 0)),
    )
    results = run_test(run)
    if is_main_process():
        report(results, run.work_dir)
    end_processes()
    return results['problems']


def read_config(args: argparse.Namespace) -> Config:
    """Read the config with the changes of the command line."""
    options = RunOptions(
        work_dir=args.work_dir or f'work_dirs/test/{method_name(args)}',
        launcher=args.launcher,
        changes=read_changes(args.cfg_options),
    )
    config = run_config(args.config, options)
    check_testing(config)
    if args.results is not None:
        if config.model.type != 'SavedResults':
            raise ValueError('--results goes with the config saved_results')
        config.model.folder = args.results
        config.model.first_frames = args.frames is not None
    if args.device is not None and (launches(args) or args.launcher != 'none'):
        raise ValueError('--device is chosen by the launcher: leave it out')
    return config


def read_metrics(
    config: Config, args: argparse.Namespace, device: torch.device
) -> Metrics:
    """Build the metrics, and list those that cannot be built."""
    metrics = build_metrics(
        choose_metrics(config, args.metrics), str(device), args.weights_dir
    )
    for problem in metrics.problems if is_main_process() else []:
        say(f'left out: {problem}')
    return metrics


def read_method(
    config: Config, args: argparse.Namespace, device: torch.device
) -> TestedMethod:
    """Build the model with its weights where it restores."""
    word = None if args.checkpoint == 'default' else args.checkpoint
    method = load_method(
        config, word, args.weights, args.ema, args.weights_dir
    )
    if not hasattr(method.model, 'restore_options'):
        raise ValueError(f'{type(method.model).__name__} does not restore')
    model: Any = method.model
    model.place(device, find_model_dtype(model, args.dtype, device))
    return method


def source_of(saved: SavedResults | None, sets: dict[str, ClipSet]) -> str:
    """Describe what is scored; refuse saved results of other clips."""
    if saved is None:
        return 'restored in memory'
    return saved.check({name: each.names for name, each in sets.items()})


def method_name(args: argparse.Namespace) -> str:
    """Name a method after its config: star_tiny, bicubic."""
    path = find_config(args.config)
    ours = path.parent.name == 'star'
    return args.name or (f'star_{path.stem}' if ours else path.stem)


def folders(pairs: list[str]) -> dict[str, str]:
    """Read NAME=FOLDER pairs."""
    found = {}
    for pair in pairs:
        name, equals, folder = pair.partition('=')
        if not (name and equals and folder):
            raise ValueError(f'--set takes NAME=FOLDER, got {pair!r}')
        found[name] = folder
    return found


def report(results: dict[str, Any], work_dir: Path) -> None:
    """Print the means, the problems and where the results are."""
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
