"""Draw a perceptual metric against a distortion: LPIPS against PSNR.

    python tools/analysis_tools/perception_distortion.py RUN... --out pd.png
    python tools/analysis_tools/perception_distortion.py \
        --table sweep/report/table.csv --set UDM10 --out pd.png

RUN is a folder that tools/test.py wrote, or NAME=FOLDER; --table is the table
of tools/sweep.py, whose settings that differ in a plain number, such as beta,
become a curve. Beside them, hollow, what the paper prints in table 7 (PSNR and
LPIPS over beta) or in the tables that --published names; without runs and
table these alone. Bars are the standard deviation over seeds for a table and,
with --intervals, 95 % intervals of the mean over clips for runs: wide, where
clips differ more than methods do. The points go to a CSV file beside the
picture, intervals always among them. Exit code: 0 done, 2 wrong use.
"""

import argparse
import sys
from dataclasses import replace
from pathlib import Path

from star.cli.common import Parser, execute
from star.report.figures import check_png, save_figure, save_numbers
from star.report.results import load_results
from star.report.tradeoff import (
    Mark,
    MetricPair,
    draw_tradeoff,
    marks_of_results,
    marks_of_table,
    published_marks,
)

COLUMNS = ('kind', 'series', 'value', 'x', 'y', 'x_low', 'x_high')
COLUMNS += ('y_low', 'y_high')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('runs', nargs='*', metavar='RUN')
    add('--table', type=Path, help="a sweep's table.csv, instead of runs")
    add('--out', type=Path, required=True, help='a .png file')
    add('--set', help='data set; needed where there are several')
    add('--x', default='PSNR', help='metric across; default: PSNR')
    add('--y', default='LPIPS', help='metric upwards; default: LPIPS')
    add(
        '--published',
        type=int,
        nargs='*',
        default=[7],
        metavar='N',
        help="the paper's tables, of 3, 4, 5 and 7; default: 7, none with "
        'no number',
    )
    add('--intervals', action='store_true', help='draw them, for runs')
    args = parser.parse(arguments)
    if args.runs and args.table:
        parser.error('give runs or --table, not both')
    if not (args.runs or args.table or args.published):
        parser.error('there is nothing to draw: no runs, no --table')
    return args


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    check_png(args.out)
    marks = make(args)
    print(f'{args.out}: {len(marks)} points')
    return 0


def make(args: argparse.Namespace) -> list[Mark]:
    """Collect the points, draw and write them."""
    axes = MetricPair(args.set, args.x, args.y)
    measured: list[Mark] = []
    if args.table:
        dataset, measured = marks_of_table(args.table, axes)
        axes = replace(axes, dataset=dataset)
    elif args.runs:
        dataset, measured = marks_of_results(load_results(args.runs), axes)
        axes = replace(axes, dataset=dataset)
    published = published_marks(args.published, axes)
    marks = [*measured, *published]
    if args.runs and not args.intervals:
        none = (0.0, 0.0)
        measured = [replace(m, x_bar=none, y_bar=none) for m in measured]
    save_figure(draw_tradeoff(measured, published, axes), args.out)
    rows = [row(mark) for mark in marks]
    save_numbers(args.out.with_suffix('.csv'), COLUMNS, rows)
    return marks


def row(mark: Mark) -> list[object]:
    kind = 'published' if mark.published else 'measured'
    bars = []
    for mean, (below, above) in (
        (mark.x, mark.x_bar),
        (mark.y, mark.y_bar),
    ):
        known = bool(below or above)
        bars += [mean - below, mean + above] if known else [None, None]
    return [kind, mark.series, mark.value, mark.x, mark.y, *bars]


if __name__ == '__main__':
    sys.exit(main())
