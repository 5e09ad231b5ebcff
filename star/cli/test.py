"""Test a method: `star test`."""

import argparse
import json
import pickle
from dataclasses import fields, replace
from pathlib import Path
from typing import Any

import torch
from mmengine.config import Config
from mmengine.dist import is_main_process

from star.apis.inference.build import find_config
from star.apis.inference.devices import find_device, find_model_dtype
from star.apis.inference.savings import Savings, place_with
from star.apis.test.absence import foresee_absences
from star.apis.test.method import TestedMethod, load_method
from star.apis.test.metrics import Metrics, build_metrics, choose_metrics
from star.apis.test.presets import use_protocol
from star.apis.test.protocol import (
    IN_MEMORY,
    describe_method,
    describe_protocol,
)
from star.apis.test.results import method_label
from star.apis.test.sets import (
    ClipSet,
    build_sets,
    choose_sets,
    describe_set,
    list_sets,
)
from star.apis.test.testing import TestRun, check_testing, connect, run_test
from star.apis.train.training import (
    RunOptions,
    apply_changes,
    end_processes,
    read_changes,
    run_config,
)
from star.cli.common import DONE, INCOMPLETE, say
from star.cli.launch import launch, launches, refuse
from star.evaluation.functional.shift import measure_shift
from star.models.editors import SavedResults
from star.models.restoration.choose import choose_options
from star.utils.files import write_bytes
from star.utils.problems import find_causes
from star.utils.results_format import RESULTS

KINDS = ('.json', '.pkl', '.pickle')


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
    foresee(config, metrics, datasets)
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
        metrics=metrics,
        facts=facts,
        saved=saved,
        save=args.save,
        shift=measure_shift,
        show_dir=args.show_dir,
        num_workers=min(1, config.test_dataloader.get('num_workers', 0)),
    )
    results = run_test(run)
    if is_main_process():
        report(results, run.work_dir)
        report_files(results, args, run.work_dir)
    end_processes()
    return results['problems']


def read_config(args: argparse.Namespace) -> Config:
    """Read the config with the changes of the command line."""
    options = RunOptions(
        work_dir=args.work_dir or f'work_dirs/test/{method_name(args)}',
        launcher=args.launcher,
    )
    config = run_config(args.config, options)
    if args.protocol is not None:
        use_protocol(config, args.protocol)
    apply_changes(config, read_changes(args.cfg_options))
    check_testing(config)
    check_options(config, args)
    if args.results is not None:
        config.model.folder = args.results
        config.model.first_frames = args.frames is not None
    return config


def check_options(config: Config, args: argparse.Namespace) -> None:
    """Refuse options that would be ignored, and wrong paths."""
    variants = config.get('weights', {}).get('variants', ())
    own, started = args.checkpoint in variants, args.launcher != 'none'
    other = config.model.type != 'SavedResults'
    for found, rule in (
        (args.results and other, '--results goes with config saved_results'),
        (
            args.device and (started or launches(args)),
            '--device is chosen by the launcher: leave it out',
        ),
        (
            args.ema and (own or args.checkpoint in ('default', 'none')),
            '--ema goes with the checkpoint of a training, CHECKPOINT is '
            f'{args.checkpoint!r}',
        ),
        (
            args.weights and (own or args.checkpoint == 'none'),
            '--weights is not used, because CHECKPOINT is '
            f'{args.checkpoint!r}: leave one out',
        ),
        (
            args.weights_dir and not Path(args.weights_dir).is_dir(),
            f'--weights-dir must be a folder, got {args.weights_dir}',
        ),
        (
            args.show_dir and args.show_dir.is_file(),
            f'--show-dir must be a folder, got {args.show_dir}',
        ),
        (
            args.out and (args.out.is_dir() or args.out.suffix not in KINDS),
            f'--out must be a file {", ".join(KINDS)}, got {args.out}',
        ),
    ):
        if found:
            raise ValueError(rule)


def read_metrics(
    config: Config, args: argparse.Namespace, device: torch.device
) -> Metrics:
    """Build the metrics, and list those that cannot be built."""
    metrics = build_metrics(
        choose_metrics(config, args.metrics), str(device), args.weights_dir
    )
    metrics = replace(metrics, named=args.metrics is not None)
    for problem in metrics.problems if is_main_process() else []:
        say(f'left out: {problem}')
    return metrics


def foresee(
    config: Config, metrics: Metrics, sets: dict[str, ClipSet]
) -> None:
    """List the scores that sets cannot have; refuse a set without any."""
    lines = foresee_absences(metrics, sets, list_sets(config))
    word = 'left out' if metrics.named else 'note'
    for line in lines if is_main_process() else []:
        say(f'{word}: {line}')


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
    if args.fidelity is not None:
        given = {'fidelity': args.fidelity}
        model.restore_options = choose_options(model, given)
    has_weights = any(True for _ in model.parameters())
    for name in ('dtype', 'weights') if not has_weights else ():
        if getattr(args, name) is not None:
            raise ValueError(
                f'--{name} is not used: {type(model).__name__} has no weights'
            )
    dtype = find_model_dtype(model, args.dtype, device)
    savings = {f.name: getattr(args, f.name) for f in fields(Savings)}
    place_with(model, device, dtype, Savings(**savings))
    return method


def source_of(saved: SavedResults | None, sets: dict[str, ClipSet]) -> str:
    """Describe what is scored; refuse saved results of other clips."""
    if saved is None:
        return IN_MEMORY
    return saved.check({name: each.names for name, each in sets.items()})


def method_name(args: argparse.Namespace) -> str:
    """Name a method after its config: star_tiny, bicubic."""
    path = find_config(args.config)
    ours = path.parent.name == 'star'
    name = f'star_{path.stem}' if ours else path.stem
    kept = f'_fidelity_{args.fidelity:g}' if args.fidelity else ''
    return args.name or name + kept


def folders(pairs: list[str]) -> dict[str, str]:
    """Read NAME=FOLDER pairs."""
    found = {}
    for pair in pairs:
        name, equals, folder = pair.partition('=')
        if not (name and equals and folder):
            raise ValueError(f'--set takes NAME=FOLDER, got {pair!r}')
        if name in found:
            raise ValueError(f'--set names {name} twice')
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
    print(f'results: {work_dir / RESULTS}')
    for cause in find_causes(('', line) for line in results['problems']):
        say(f'problem: {cause.describe()}')


def report_files(
    results: dict[str, Any], args: argparse.Namespace, work_dir: Path
) -> None:
    """Write --out, and print what became of --show-dir and --frames."""
    if args.out is not None:
        content = (work_dir / RESULTS).read_bytes()
        if args.out.suffix != '.json':
            content = pickle.dumps(json.loads(content))
        write_bytes(args.out, content)
        print(f'results: {args.out}')
    if args.show_dir is not None:
        print(
            f'pictures: {args.show_dir} (lq | pred | gt; the first, middle '
            'and last frame of each clip)'
        )
    for name in results['sets'] if args.frames is not None else ():
        clips = [c for c in results['clips'] if c['dataset'] == name]
        short = [c for c in clips if c['num_frames'] < args.frames]
        if short:
            least = min(clip['num_frames'] for clip in short)
            say(
                f'note: {len(short)} of {len(clips)} clips of {name} have '
                f'fewer than {args.frames} frames (--frames), the shortest '
                f'{least}'
            )
