"""Train and test many configs, or one over a grid, with several seeds.

    python tools/sweep.py CONFIG... --work-dir DIR --seeds 0 1 2 [options]
    python tools/sweep.py CONFIG --grid KEY=V1,V2 --work-dir DIR [options]
    python tools/sweep.py CONFIG --search KEY=LOW:HIGH --trials N
        --objective SET/METRIC --work-dir DIR [options]

Each run is tools/train.py, then tools/test.py, with a log of its own in
DIR/runs/NAME/seed_S. The same command goes on after any interruption: what is
done is not repeated. DIR/report gets index.html, table.md, table.csv, runs.csv
and a plot for each number that varies, with the paper's rows beside ours.
PYTHON names the interpreter of the runs; SLURM's jobs heed CPUS_PER_TASK (5)
and SBATCH_ARGS. Exit code: 0 done, 1 some runs failed, 2 wrong use, 130
interrupted.
"""

import argparse
import os
import shlex
import signal
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import NoReturn

import torch
from mmengine.config import Config

from star.apis.inference.build import (
    build_model,
    find_config,
    load_config,
    on_meta,
)
from star.apis.train.training import ChangesAction, RunOptions, run_config
from star.registry import MODELS
from star.sweep.keys import check_key, takes
from star.sweep.plan import Run, Setting, check_names, expand
from star.sweep.pool import Pool, Work, describe_plan, list_devices
from star.sweep.progress import Progress
from star.sweep.report import PAGE, write_report
from star.sweep.results import Results, find_row
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
    without_places,
    write_script,
)
from star.sweep.stages import (
    Options,
    all_changes,
    check_stage,
    make_stages,
    run_folder,
)

TOOLS = Path(__file__).resolve().parent


class Parser(argparse.ArgumentParser):
    """Answers a wrong option with one line."""

    def error(self, message: str) -> NoReturn:
        print(f'error: {message}', file=sys.stderr)
        raise SystemExit(2)


def parse_args() -> argparse.Namespace:
    parser = Parser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    add = parser.add_argument
    add('configs', nargs='+', metavar='CONFIG')
    add('--work-dir', type=Path, required=True, help='of the whole sweep')
    add('--seeds', nargs='+', type=int, default=[0], help='default: 0')
    add(
        '--grid',
        action='append',
        default=[],
        metavar='KEY=V1,V2',
        help='values of a setting; several times for all combinations',
    )
    add_search_options(parser)
    add_place_options(parser)
    add_command_options(parser)
    return parser.parse_intermixed_args()


def add_search_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('search with Optuna').add_argument
    add(
        '--search',
        action='append',
        default=[],
        metavar='KEY=LOW:HIGH[:log]',
        help='a number to look for, instead of --grid; several times',
    )
    add('--trials', type=int, metavar='N', help='points that are tried')
    add('--objective', metavar='SET/METRIC', help='what decides')


def add_place_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group('where')
    add = group.add_mutually_exclusive_group().add_argument
    add(
        '--gpus',
        metavar='0,1',
        help='one run on each; default: all there are. One named twice takes '
        'two runs',
    )
    add('--jobs', type=int, metavar='N', help='N runs at once on the CPU')
    add('--slurm', metavar='PARTITION', help='one job for each run')


def add_command_options(parser: argparse.ArgumentParser) -> None:
    add = parser.add_argument_group('what').add_argument
    add(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='replace values of every config',
    )
    add(
        '--train-args',
        default='',
        metavar='WORDS',
        help='further options of tools/train.py: --train-args="--amp"',
    )
    add('--test-args', default='', metavar='WORDS', help='of tools/test.py')
    add(
        '--no-train',
        action='store_true',
        help='test only; seeds are those of the restoration',
    )
    add('--run', nargs='+', metavar='NAME', help='these runs only')
    add('--dry-run', action='store_true', help='print the plan')


@dataclass(frozen=True)
class Sweep:
    """What was asked for, checked."""

    options: Options
    runs: list[Run]
    works: list[Work]

    @property
    def work_dir(self) -> Path:
        return self.options.work_dir


def plan(args: argparse.Namespace) -> Sweep:
    """List the runs and check all of them before the first begins."""
    options = read_options(args)
    settings = expand(args.configs, args.grid)
    runs = [Run(s, seed) for s in settings for seed in args.seeds]
    return Sweep(options, runs, make_works(choose(runs, args.run), options))


def read_options(args: argparse.Namespace) -> Options:
    if len(set(args.seeds)) < len(args.seeds):
        raise ValueError(f'--seeds must differ, got {args.seeds}')
    if args.jobs is not None and args.jobs < 1:
        raise ValueError(f'--jobs must be at least 1, got {args.jobs}')
    for config in args.configs:
        find_config(config)
    seeded = all(map(has_seed, args.configs)) if args.no_train else True
    if not seeded and len(args.seeds) > 1:
        raise ValueError('--seeds mean nothing to a method without seed')
    return Options(
        tools=TOOLS,
        work_dir=args.work_dir,
        train=not args.no_train,
        common=tuple(args.cfg_options),
        train_args=tuple(shlex.split(args.train_args)),
        test_args=tuple(shlex.split(args.test_args)),
        seeded=seeded,
    )


def has_seed(config: str) -> bool:
    """Whether a config's model can be told the seed of its restoration."""
    kind = MODELS.get(load_config(config).model.type)
    return kind is not None and takes(kind, 'restore_options')


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


def make_works(runs: list[Run], options: Options) -> list[Work]:
    """Check the configs of runs and what lies in their folders."""
    works, built, faults = [], set(), []
    for run in runs:
        config = read_config(run, options)
        stages = make_stages(run, options, config.to_dict())
        folder = run_folder(options.work_dir, run)
        work = Work(run.name, folder, stages)
        for stage in stages:
            try:
                check_stage(stage)
            except ValueError as error:
                faults.append(str(error))
        if run.setting not in built and not work.done:
            check_building(config)
            built.add(run.setting)
        works.append(work)
    if faults:
        raise ValueError('\nerror: '.join(faults))
    return works


def read_config(run: Run, options: Options) -> Config:
    """Read a run's config as the commands will."""
    parser = Parser(allow_abbrev=False)
    parser.add_argument('--cfg-options', nargs='*', action=ChangesAction)
    words = all_changes(run, options)
    changes = parser.parse_args(['--cfg-options', *words]).cfg_options or {}
    plain = load_config(run.setting.config)
    for key in changes:
        check_key(plain, key)
    return run_config(run.setting.config, RunOptions(changes=changes))


def check_building(config: Config) -> None:
    """Build the model without memory: wrong values come to light.

    Files of weights that its parts name are opened, and must fit.
    """
    with on_meta():
        build_model(config)


def find_devices(args: argparse.Namespace) -> list[dict[str, str]]:
    """Say where runs go on: the GPUs asked for, all there are, or the CPU."""
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
    """Describe the array of jobs for what is not done."""
    names = [work.name for work in sweep.works if not work.done]
    if not names:
        raise ValueError('all runs are done: nothing to submit')
    cpus, extra = read_environment()
    python = os.environ.get('PYTHON', sys.executable)
    words = without_places(sys.argv[1:])
    script = str(TOOLS / 'sweep.py')
    command = [python, script, *words]
    return SlurmJobs(args.slurm, names, command, sweep.work_dir, cpus, extra)


def run_grid(args: argparse.Namespace) -> int:
    sweep = plan(args)
    if args.slurm is not None:
        jobs = jobs_of(args, sweep)
        print(write_script(jobs) if args.dry_run else submit(jobs))
        return 0
    if args.dry_run:
        print(describe_plan(sweep.works))
        return 0
    devices = find_devices(args)
    done = sum(work.done for work in sweep.works)
    progress = Progress(len(sweep.works), done, len(devices), sys.stderr)
    failures = Pool(sweep.works, devices, progress).run()
    return finish(write_report(sweep.runs, sweep.work_dir), sweep, failures)


def finish(results: Results, sweep: Sweep, failures: list[str]) -> int:
    """Say where everything is, and what failed."""
    if results.rows:
        print(f'results: {sweep.work_dir / "report" / PAGE}')
    for remark in results.remarks:
        print(f'note: {remark}', file=sys.stderr)
    for failure in failures:
        print(f'failed: {failure}', file=sys.stderr)
    return 1 if failures else 0


def run_optuna(args: argparse.Namespace) -> int:
    search, options = read_search(args), read_options(args)
    if args.dry_run:
        print(f'{search.trials} trials, {len(args.seeds)} seeds each')
        for each in search.ranges:
            print(f'    {each}')
        return 0
    devices, failures = find_devices(args), []
    total = search.trials * len(args.seeds)
    progress = Progress(total, 0, len(devices), sys.stderr)

    def evaluate(settings: Sequence[Setting]) -> list[float | None]:
        check_names(settings)
        runs = [Run(s, seed) for s in settings for seed in args.seeds]
        works = make_works(runs, options)
        progress.done += sum(work.done for work in works)
        failures.extend(Pool(works, devices, progress).run())
        results = write_report(runs, args.work_dir)
        return [cost_of(results, s, search, args.seeds) for s in settings]

    batch = max(1, len(devices) // len(args.seeds))
    settings = run_search(search, args.work_dir, batch, evaluate)
    runs = [Run(s, seed) for s in settings for seed in args.seeds]
    sweep = Sweep(options, runs, [])
    return finish(write_report(runs, args.work_dir), sweep, failures)


def read_search(args: argparse.Namespace) -> Search:
    if len(args.configs) > 1 or args.grid or args.slurm or args.run:
        raise ValueError(
            '--search takes one config, without --grid, --slurm and --run'
        )
    if args.trials is None or args.trials < 1 or args.objective is None:
        raise ValueError('--search needs --trials of at least 1, --objective')
    ranges = [parse_range(text) for text in args.search]
    plain = load_config(args.configs[0])
    for each in ranges:
        check_key(plain, each.key)
    dataset, metric = parse_objective(args.objective)
    seed = args.seeds[0]
    return Search(args.configs[0], ranges, args.trials, dataset, metric, seed)


def cost_of(
    results: Results, setting: Setting, search: Search, seeds: list[int]
) -> float | None:
    """Return what a trial is to be told; None unless all seeds have scores."""
    row = find_row(results, setting, search.dataset, search.metric)
    if row is None or len(row.values) < len(seeds):
        return None
    return -row.mean if row.higher_is_better else row.mean


def main() -> int:
    args = parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))
    try:
        return run_optuna(args) if args.search else run_grid(args)
    except KeyboardInterrupt:
        print('interrupted; the same command goes on', file=sys.stderr)
        return 130
    except (ImportError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2


if __name__ == '__main__':
    sys.exit(main())
