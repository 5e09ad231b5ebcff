"""Options of `star sweep`."""

from pathlib import Path

from star.cli.common import Parser, number


def sweep(parser: Parser) -> None:
    """Train and test many configs, settings and seeds.

        star sweep CONFIG... --work-dir DIR --seeds 0 1 2 [options]
        star sweep CONFIG --grid KEY=V1,V2 --work-dir DIR [options]
        star sweep CONFIG --search KEY=LOW:HIGH --trials N
            --objective SET/METRIC --work-dir DIR [options]

    Each run is `star train`, then `star test`, with logs in
    DIR/runs/NAME/seed_S. After an interruption the same command continues
    and repeats nothing. DIR/report gets index.html, table.md, table.csv,
    runs.csv and a plot for each number that varies, with the paper's rows
    beside ours. PYTHON names the interpreter of the runs; SLURM jobs read
    CPUS_PER_TASK (5) and SBATCH_ARGS.
    Exit code: 0 done, 1 some runs failed, 2 wrong use, 130 interrupted.
    """
    parser.set_defaults(resumable=True)
    parser.allow_intermixed()
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
    _add_search_options(parser)
    _add_device_options(parser)
    _add_command_options(parser)


def _add_search_options(parser: Parser) -> None:
    add = parser.add_argument_group('search with Optuna').add_argument
    add(
        '--search',
        action='append',
        default=[],
        metavar='KEY=LOW:HIGH[:log]',
        help='a number to search for, instead of --grid; several times',
    )
    add('--trials', type=int, metavar='N', help='points that are tried')
    add('--objective', metavar='SET/METRIC', help='the score to improve')


def _add_device_options(parser: Parser) -> None:
    group = parser.add_argument_group('devices')
    add = group.add_mutually_exclusive_group().add_argument
    add(
        '--gpus',
        metavar='0,1',
        help='one run on each; default: all there are. A GPU named twice '
        'takes two runs',
    )
    add(
        '--jobs',
        type=number(int, 1),
        metavar='N',
        help='N runs at once on the CPU',
    )
    add('--slurm', metavar='PARTITION', help='one job for each run')


def _add_command_options(parser: Parser) -> None:
    add = parser.add_argument_group('runs').add_argument
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
        help='further options of star train: --train-args="--amp"',
    )
    add('--test-args', default='', metavar='WORDS', help='of star test')
    add(
        '--no-train',
        action='store_true',
        help='test only; seeds are those of the restoration',
    )
    add('--run', nargs='+', metavar='NAME', help='these runs only')
    add('--dry-run', action='store_true', help='print the plan')
