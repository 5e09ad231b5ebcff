"""Draw the curves of a training, or average the time of an iteration.

    python tools/analysis_tools/analyze_logs.py plot_curve LOG... \
        --keys loss lr --out curves.png
    python tools/analysis_tools/analyze_logs.py cal_train_time LOG...

LOG is the work folder of a training, also while it runs, or a scalars.json.
The numbers of a picture go to a CSV file beside it. Exit code: 0 done, 2 wrong
use.
"""

import argparse
import sys
from pathlib import Path

from star.apis.analysis.training_log import find_curve, measure_time, read_log
from star.cli.common import DONE, Parser, execute
from star.report.figures import (
    COLOURS,
    DASHES,
    check_png,
    new_figure,
    save_figure,
    save_numbers,
)

Curves = dict[str, tuple[list[int], list[float]]]


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    commands = parser.add_subparsers(dest='task', required=True)
    plot = commands.add_parser('plot_curve', help='draw numbers of a log')
    add = plot.add_argument
    add('logs', type=Path, nargs='+', metavar='LOG')
    add('--keys', nargs='+', default=['loss'], help='default: loss')
    add('--legend', nargs='+', help='a name for each curve, log by log')
    add('--title', default='')
    add('--out', type=Path, required=True, help='a .png file')
    time = commands.add_parser('cal_train_time', help='time of an iteration')
    add = time.add_argument
    add('logs', type=Path, nargs='+', metavar='LOG')
    add('--include-outliers', action='store_true', help='the first line too')
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    if args.task == 'cal_train_time':
        for log in args.logs:
            print(describe_time(log, args.include_outliers))
        return DONE
    check_png(args.out)
    curves = read_curves(args)
    draw(curves, args.title, args.out)
    rows = (
        (name, iteration, value)
        for name, points in curves.items()
        for iteration, value in zip(*points, strict=True)
    )
    columns = ('curve', 'iteration', 'value')
    save_numbers(args.out.with_suffix('.csv'), columns, rows)
    print(f'{args.out}: {", ".join(curves)}')
    return DONE


def describe_time(log: Path, include_outliers: bool) -> str:
    found = measure_time(read_log(log), include_outliers)
    slow, fast = found.slowest, found.fastest
    return (
        f'{log}: {found.mean:.4f} s an iteration over {found.lines} lines, '
        f'{found.waiting:.4f} s of it waiting for data, standard deviation '
        f'{found.deviation:.4f} s; slowest {slow[1]:.4f} s (iteration '
        f'{slow[0]}), fastest {fast[1]:.4f} s (iteration {fast[0]})'
    )


def read_curves(args: argparse.Namespace) -> Curves:
    """Read each number of each log; name the curves."""
    logs = {log: read_log(log) for log in args.logs}
    points = [
        find_curve(lines, key) for lines in logs.values() for key in args.keys
    ]
    several = len(logs) > 1
    names = [
        f'{log.name or log} {key}' if several else key
        for log in logs
        for key in args.keys
    ]
    names = args.legend or names
    if len(names) != len(points) or len(set(names)) < len(names):
        raise ValueError(
            f'--legend must name each of {len(points)} curves differently, '
            f'got {" ".join(names)}'
        )
    return dict(zip(names, points, strict=True))


def draw(curves: Curves, title: str, path: Path) -> None:
    figure, (panel,) = new_figure(1, width=7)
    for i, (name, points) in enumerate(curves.items()):
        dashes = DASHES[i // len(COLOURS) % len(DASHES)]
        colour = COLOURS[i % len(COLOURS)]
        panel.plot(*points, color=colour, linestyle=dashes, label=name)
    panel.set_xlabel('iteration')
    panel.set_title(title)
    panel.legend(fontsize='small')
    save_figure(figure, path)


if __name__ == '__main__':
    sys.exit(main())
