"""Put the results of several methods side by side.

    python tools/benchmark.py RUN... --out report/ [options]

RUN is a folder that tools/test.py wrote, or NAME=FOLDER to call the method
NAME. The report is index.html, one page that works without a network,
report.md, and the numbers in report.json and table.csv. An older report in
that folder is replaced, nothing else. Exit code: 0 done, 2 wrong use.
"""

import argparse
import sys
from pathlib import Path
from typing import NoReturn

try:
    from star.report.comparison import compare
    from star.report.frames import Crop
    from star.report.pictures import PictureOptions
    from star.report.report import Report, ReportOptions, make_report
    from star.report.runs import load_runs
    from star.report.writing import check_folder, write_files
except ModuleNotFoundError as error:
    sys.exit(
        f'error: {error.name} is not installed; run `pip install -e .` in '
        'the folder of the project'
    )


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
    add('runs', nargs='+', metavar='RUN')
    add('--out', type=Path, required=True, help='folder of the report')
    add(
        '--reference',
        metavar='METHOD',
        help='method that differences are taken to; default: the first',
    )
    add('--seed', type=int, default=0, help='of the intervals; default: 0')
    add(
        '--pictures',
        type=int,
        default=2,
        metavar='N',
        help='clips of each set on the page; default: 2',
    )
    add('--clips', nargs='+', default=[], metavar='SET/NAME', help='these')
    add(
        '--crop',
        nargs=4,
        type=int,
        metavar=('LEFT', 'TOP', 'WIDTH', 'HEIGHT'),
        help='enlarged part, in pixels of the ground truth; default: the '
        'liveliest square of each clip',
    )
    add(
        '--longest',
        type=int,
        default=1280,
        metavar='PIXELS',
        help='larger frames are shown reduced; default: 1280',
    )
    return parser.parse_args()


def benchmark(args: argparse.Namespace) -> Report:
    """Make the report and write it."""
    check_folder(args.out)
    comparison = compare(load_runs(args.runs), args.reference, args.seed)
    pictures = PictureOptions(
        crop=Crop(*args.crop) if args.crop else None, longest=args.longest
    )
    options = ReportOptions(args.pictures, args.clips, pictures)
    report = make_report(comparison, options)
    write_files(args.out, report.files)
    return report


def main() -> int:
    args = parse_args()
    try:
        report = benchmark(args)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    for remark in report.remarks:
        print(f'{remark.level}: {remark.text}', file=sys.stderr)
    page = args.out / 'index.html'
    size = page.stat().st_size / 2**20
    print(
        f'{page}: {size:.1f} MiB, {report.clips} clips, {report.pictured} '
        'with pictures'
    )
    return 0


if __name__ == '__main__':
    sys.exit(main())
