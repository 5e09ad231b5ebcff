"""Stand-ins for `star train` and `star test` that take moments."""

import signal
import sys
from pathlib import Path

from star.sweep.plan import Run, expand
from star.sweep.pool import PlannedRun
from star.sweep.stages import SweepOptions, make_stages, run_folder

CONFIG = 'star/i2vgen.py'
ALPHA = 'model.losses.frequency.alpha'

_STAR = """
import runpy, sys
from pathlib import Path
tool = Path(__file__).with_name(f'{sys.argv[1]}.py')
sys.argv = [str(tool), *sys.argv[2:]]
runpy.run_path(str(tool), run_name='__main__')
"""
_COMMON = """
import argparse, json, os, sys, time
from pathlib import Path
parser = argparse.ArgumentParser()
parser.add_argument('config')
parser.add_argument('checkpoint', nargs='?')
for name in ('--work-dir', '--seed', '--name', '--frames', '--pause'):
    parser.add_argument(name)
parser.add_argument('--resume', action='store_true')
parser.add_argument('--cfg-options', nargs='*', default=[])
args = parser.parse_intermixed_args()
work = Path(args.work_dir)
work.mkdir(parents=True, exist_ok=True)
options = dict(pair.split('=') for pair in args.cfg_options)
pause = float(args.pause or 0)
with open(work / 'attempts', 'a') as file:
    place = os.environ.get('CUDA_VISIBLE_DEVICES')
    file.write(f'resume={args.resume} device={place} at {time.time()}\\n')
if options.get('fail') == Path(sys.argv[0]).stem:
    print('error: told to fail')
    sys.exit(3)
"""
_TRAIN = """
last = work / 'last_checkpoint'
begun = int(last.read_text().split('_')[1]) if args.resume else 0
if last.exists() and not args.resume:
    sys.exit('an earlier run is here')
for step in range(begun, 4):
    time.sleep(pause)
    (work / f'iter_{step + 1}').mkdir(exist_ok=True)
    (work / f'iter_{step + 1}' / 'seed').write_text(args.seed)
    part = work / 'part'
    part.write_text(f'iter_{step + 1}')
    part.replace(last)
"""
_TEST = """
time.sleep(pause)
folder = Path(args.checkpoint)
assert folder.name == 'iter_4', folder
seed = int((folder / 'seed').read_text())
alpha = float(options.get('model.losses.frequency.alpha', 2))
psnr = 20 + alpha + seed / 10
metrics = {'PSNR': (psnr, True), 'LPIPS': (0.3 - alpha / 20, False)}
results = {
    'format': 'star-results/1',
    'method': {'name': args.name},
    'protocol': {
        'fingerprint': 'f',
        'metrics': [
            {'name': name, 'higher_is_better': better}
            for name, (_, better) in metrics.items()
        ],
    },
    'sets': {
        'UDM10': {
            'scores': {name: score for name, (score, _) in metrics.items()},
            'scored': dict.fromkeys(metrics, 10),
        }
    },
    'clips': [],
    'problems': [],
}
(work / 'results.json').write_text(json.dumps(results))
"""


def write_star(folder: Path) -> tuple[str, ...]:
    """Write train.py and test.py; return how Python runs the stand-in."""
    folder.mkdir(parents=True, exist_ok=True)
    (folder / 'train.py').write_text(_COMMON + _TRAIN)
    (folder / 'test.py').write_text(_COMMON + _TEST)
    (folder / 'star.py').write_text(_STAR)
    return (str(folder / 'star.py'),)


def make_runs(alphas: str = '0.5,1', seeds: int = 2) -> list[Run]:
    """List runs over alpha and seeds."""
    settings = expand([CONFIG], [f'{ALPHA}={alphas}'])
    return [Run(s, seed) for s in settings for seed in range(seeds)]


def make_works(
    folder: Path, runs: list[Run], pause: float = 0.0, fail: str = ''
) -> list[PlannedRun]:
    """Make the work of runs with the stubs.

    Args:
        folder: commands and results go there.
        runs: to do.
        pause: seconds of a step.
        fail: name of a run, then of the stage of it that fails.
    """
    words = ('--pause', str(pause))
    works = []
    for run in runs:
        name, _, stage = fail.partition(' ')
        options = SweepOptions(
            work_dir=folder / 'work',
            common=(f'fail={stage}',) if name == run.name else (),
            train_args=words,
            test_args=words,
            star=write_star(folder / 'tools'),
        )
        stages = make_stages(run, options, {'alpha': run.setting.changes})
        place = run_folder(options.work_dir, run)
        works.append(PlannedRun(run.name, place, stages))
    return works


def sweep(folder: Path, pause: float) -> None:
    """Do a sweep of four runs, two at once, and write its tables."""
    from star.sweep.pool import Pool, list_devices
    from star.sweep.progress import SweepProgress
    from star.sweep.results import gather
    from star.sweep.tables import to_runs_csv

    runs = make_runs()
    works = make_works(folder, runs, pause)
    done = sum(work.done for work in works)
    progress = SweepProgress(len(works), done, sys.stderr)
    failures = Pool(works, list_devices([], 2, 2), progress).run()
    assert not failures, failures
    table = to_runs_csv(gather(runs, folder / 'work'))
    (folder / 'table.csv').write_text(table)


if __name__ == '__main__':
    # a shell's background job begins with this signal switched off
    signal.signal(signal.SIGINT, signal.default_int_handler)
    sweep(Path(sys.argv[1]), float(sys.argv[2]))
