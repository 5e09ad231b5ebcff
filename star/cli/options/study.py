"""Options of `star study`."""

import argparse
from fractions import Fraction
from pathlib import Path

from star.cli.common import Parser, number
from star.cli.options import choices
from star.cli.options.server import add_server_options


def serve(parser: Parser) -> None:
    """Ask people which results look best, side by side.

        star study serve --methods A=FOLDER B=FOLDER --db FILE

    People see the methods in random order, without names. The server runs
    until it is stopped; with the same arguments, it continues. FOLDER holds
    SET/NAME, a video or a folder of frames for each clip, as
    `star test --save` writes them.
    Exit code: 0 stopped, 2 wrong use.
    """
    add = parser.add_argument
    add('--methods', nargs='+', required=True, metavar='NAME=FOLDER')
    add('--sets', nargs='+', default=[], metavar='SET', help='default: all')
    add('--db', type=Path, required=True, help='SQLite file of the votes')
    add(
        '--clips',
        type=int,
        metavar='N',
        help='clips of each set, drawn by the seed; default: all',
    )
    add('--seed', type=int, default=0, help='of all orders; default: 0')
    add('--fps', type=rate, help='default: that of the video, 25 for frames')
    add(
        '--crf',
        type=number(float, 0, 51),
        default=choices.STUDY_CRF,
        help='of the H.264 files that are shown; default: '
        f'{choices.STUDY_CRF}',
    )
    add(
        '--cache',
        type=Path,
        help='folder of those files; default: beside the database',
    )
    add_server_options(parser, port=8000)


def export(parser: Parser) -> None:
    """Write the votes of a study as tables and charts.

        star study export --db FILE --out FOLDER

    Exit code: 0 done, 2 wrong use.
    """
    add = parser.add_argument
    add('--db', type=Path, required=True)
    add('--out', type=Path, required=True, help='folder of tables and charts')
    add('--finished', action='store_true', help='count complete answers only')
    add('--seed', type=int, default=0, help='of the intervals; default: 0')


def rate(text: str) -> Fraction:
    """Read frames per second, a number or a fraction."""
    try:
        value = Fraction(text)
    except (ValueError, ZeroDivisionError):
        value = Fraction(0)
    if not 0 < value <= 240:
        raise argparse.ArgumentTypeError(
            f'must be a rate up to 240 such as 25 or 30000/1001, got {text!r}'
        )
    return value
