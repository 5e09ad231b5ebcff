"""Train and test many runs: `star sweep`."""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path

import torch
from mmengine.config import Config

from star.apis.inference.build import (
    build_model,
    find_config,
    load_config,
    on_meta,
)
from star.apis.train.training import RunOptions, read_changes, run_config
from star.cli.common import DONE, INCOMPLETE, say
from star.cli.main import make_parser
from star.registry import MODELS
from star.sweep.keys import accepts, check_key, check_value, name_keys
from star.sweep.plan import Run, Setting, check_names, expand
from star.sweep.pool import PlannedRun, Pool, describe_plan, list_devices
from star.sweep.progress import SweepProgress
from star.sweep.report import PAGE, write_report
from star.sweep.results import SweepResults
from star.sweep.search import (
    Search,
    parse_objective,
    parse_range,
    run_search,
)
from star.sweep.slurm import (
    SlurmJobs,
    read_environment,
    submit,
    without_job_options,
    write_script,
)
from star.sweep.stages import (
    RunStage,
    SweepOptions,
    all_changes,
    check_stage,
    make_stages,
    run_folder,
)

STAR = ('-m', 'star')  # arguments of Python; tests put a stand-in there


def run(args: argparse.Namespace) -> int:
    """Do the sweep, or print its plan, and return the exit code."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    return run_optuna(args) if args.search else run_grid(args)


@dataclass(frozen=True)
class Sweep:
    """A checked sweep: its options, all runs, and those to work on."""

    options: SweepOptions
    runs: list[Run]
    works: list[PlannedRun]

    @property
    def work_dir(self) -> Path:
        """The folder of the sweep."""
        return self.options.work_dir


def plan(args: argparse.Namespace) -> Sweep:
    """List the runs and check all of them before the first starts."""
    options = read_options(args)
    settings = expand(args.configs, args.grid)
    runs = [Run(s, seed) for s in settings for seed in args.seeds]
    return Sweep(options, runs, make_works(choose(runs, args.run), options))


def read_options(args: argparse.Namespace) -> SweepOptions:
    """Check the options that all runs share."""
    if len(set(args.seeds)) < len(args.seeds):
        raise ValueError(f'--seeds must differ, got {args.seeds}')
    for config in args.configs:
        find_config(config)
    with name_keys(keys_of([*args.grid, *args.cfg_options])):
        seeded = not args.no_train or all(map(has_seed, args.configs))
    if not seeded and len(args.seeds) > 1:
        raise ValueError('--seeds mean nothing to a method without seed')
    return SweepOptions(
        work_dir=args.work_dir,
        train=not args.no_train,
        common=tuple(args.cfg_options),
        train_args=tuple(shlex.split(args.train_args)),
        test_args=tuple(shlex.split(args.test_args)),
        seeded=seeded,
        star=STAR,
    )


def has_seed(config: str) -> bool:
    """Return whether the seed changes what a config's model restores."""
    model = load_config(config).model
    if not hasattr(model, 'keys') or 'type' not in model:
        raise ValueError(
            f'config {config}: `model` must be a dictionary with `type`, got '
            f'{model}'
        )
    kind = MODELS.get(model.type)
    return kind is not None and accepts(kind, 'restore_options')


def keys_of(changes: Iterable[str]) -> list[str]:
    """Return the keys of KEY=VALUE texts."""
    return [text.partition('=')[0] for text in changes]


def choose(runs: list[Run], names: list[str] | None) -> list[Run]:
    """Keep the runs of these names; None keeps all."""
    if names is None:
        return runs
    known = {run.name: run for run in runs}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise ValueError(
            f'there is no run {unknown[0]!r}, only {", ".join(known)}'
        )
    return [known[name] for name in names]


def make_works(runs: list[Run], options: SweepOptions) -> list[PlannedRun]:
    """Check the configs of runs and what lies in their folders."""
    works, built, faults = [], set(), []
    for run in runs:
        keys = [*dict(run.setting.changes), *keys_of(options.common)]
        with name_keys(keys):
            config = read_config(run, options)
        stages = make_stages(run, options, config.to_dict())
        folder = run_folder(options.work_dir, run)
        work = PlannedRun(run.name, folder, stages)
        for stage in stages:
            try:
                check_stage(stage)
            except ValueError as error:
                faults.append(str(error))
        if run.setting not in built and not work.done:
            with name_keys(keys):
                check_building(config)
            check_commands(stages, options)
            built.add(run.setting)
        works.append(work)
    if faults:
        *others, last = faults
        for fault in others:
            say(f'error: {fault}')
        raise ValueError(last)
    return works


def read_config(run: Run, options: SweepOptions) -> Config:
    """Read a run's config as the commands will."""
    changes = read_changes(all_changes(run, options))
    plain = load_config(run.setting.config)
    for key, value in changes.items():
        check_key(plain, key)
        check_value(plain, key, value)
    return run_config(run.setting.config, RunOptions(changes=changes))


def check_building(config: Config) -> None:
    """Build the model without memory, which refuses wrong values.

    Weight files that its parts name are opened, and must fit.
    """
    with on_meta():
        build_model(config)


def check_commands(stages: Iterable[RunStage], options: SweepOptions) -> None:
    """Refuse what `star train` or `star test` would, hours later."""
    for stage in stages:
        parser = make_parser(stage.name)
        parser.source = f'--{stage.name}-args: '
        args = parser.parse(stage.words[len(options.star) + 1 :])
        command = import_module(f'star.cli.{stage.name}')
        command.read_config(args)


def find_devices(args: argparse.Namespace) -> list[dict[str, str]]:
    """List the devices: the GPUs given, all GPUs, or the CPU."""
    gpus = []
    if args.gpus is not None:
        gpus = args.gpus.split(',')
        if not all(gpus):
            raise ValueError(f'--gpus takes 0,1,..., got {args.gpus!r}')
    elif args.jobs is None and torch.cuda.is_available():
        every = ','.join(map(str, range(torch.cuda.device_count())))
        gpus = os.environ.get('CUDA_VISIBLE_DEVICES', every).split(',')
    return list_devices(gpus, args.jobs or 1, os.cpu_count() or 1)


def jobs_of(args: argparse.Namespace, sweep: Sweep) -> SlurmJobs:
    """Describe the array of jobs for the runs that are not done."""
    names = [work.name for work in sweep.works if not work.done]
    if not names:
        raise ValueError('all runs are done: nothing to submit')
    cpus, extra = read_environment()
    python = os.environ.get('PYTHON', sys.executable)
    command = [python, *STAR, 'sweep', *without_job_options(args.words)]
    return SlurmJobs(args.slurm, names, command, sweep.work_dir, cpus, extra)


def run_grid(args: argparse.Namespace) -> int:
    """Do the runs of a grid, submit them to SLURM, or print them."""
    sweep = plan(args)
    if args.slurm is not None:
        jobs = jobs_of(args, sweep)
        print(write_script(jobs) if args.dry_run else submit(jobs))
        return DONE
    if args.dry_run:
        print(describe_plan(sweep.works))
        return DONE
    devices = find_devices(args)
    done = sum(work.done for work in sweep.works)
    progress = SweepProgress(len(sweep.works), done, sys.stderr)
    with closing(progress):
        failures = Pool(sweep.works, devices, progress).run()
    return finish(write_report(sweep.runs, sweep.work_dir), sweep, failures)


def finish(results: SweepResults, sweep: Sweep, failures: list[str]) -> int:
    """Print where the report is, and the runs that failed."""
    if results.scores:
        print(f'results: {sweep.work_dir / "report" / PAGE}')
    for remark in results.remarks:
        say(f'note: {remark}')
    for failure in failures:
        say(f'failed: {failure}')
    return INCOMPLETE if failures else DONE


def run_optuna(args: argparse.Namespace) -> int:
    """Search with Optuna, or print the plan."""
    search, options = read_search(args), read_options(args)
    if args.dry_run:
        print(f'{search.trials} trials, {len(args.seeds)} seeds each')
        for each in search.ranges:
            print(f'    {each}')
        return DONE
    devices, failures = find_devices(args), []
    total = search.trials * len(args.seeds)
    progress = SweepProgress(total, 0, sys.stderr)

    def evaluate(settings: Sequence[Setting]) -> list[float | None]:
        check_names(settings)
        runs = [Run(s, seed) for s in settings for seed in args.seeds]
        works = make_works(runs, options)
        progress.skip(sum(work.done for work in works))
        failures.extend(Pool(works, devices, progress).run())
        results = write_report(runs, args.work_dir)
        return [cost_of(results, s, search, args.seeds) for s in settings]

    batch = max(1, len(devices) // len(args.seeds))
    with closing(progress):
        settings = run_search(search, args.work_dir, batch, evaluate)
    runs = [Run(s, seed) for s in settings for seed in args.seeds]
    sweep = Sweep(options, runs, [])
    return finish(write_report(runs, args.work_dir), sweep, failures)


def read_search(args: argparse.Namespace) -> Search:
    """Check the options of a search."""
    if len(args.configs) > 1 or args.grid or args.slurm or args.run:
        raise ValueError(
            '--search takes one config, without --grid, --slurm and --run'
        )
    if args.trials is None or args.trials < 1 or args.objective is None:
        raise ValueError('--search needs --trials of at least 1, --objective')
    ranges = [parse_range(text) for text in args.search]
    with name_keys(each.key for each in ranges):
        plain = load_config(args.configs[0])
        for each in ranges:
            check_key(plain, each.key)
            check_value(plain, each.key, each.low)
    dataset, metric = parse_objective(args.objective)
    seed = args.seeds[0]
    return Search(args.configs[0], ranges, args.trials, dataset, metric, seed)


def cost_of(
    results: SweepResults, setting: Setting, search: Search, seeds: list[int]
) -> float | None:
    """Return what a trial minimises; None unless all seeds have scores."""
    score = results.find(setting, search.dataset, search.metric)
    if score is None or len(score.values) < len(seeds):
        return None
    return -score.mean if score.higher_is_better else score.mean
