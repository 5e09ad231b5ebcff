"""Options of `star benchmark`."""

from pathlib import Path

from star.cli.common import Parser


def benchmark(parser: Parser) -> None:
    """Compare the results of several methods on one page.

        star benchmark RUN... --out report/ [options]

    RUN is a folder that `star test` wrote, or NAME=FOLDER to call the method
    NAME. The report is index.html, one page that works without a network,
    report.md, and the numbers in report.json and table.csv. An older report
    in that folder is replaced, other files are left alone.
    Exit code: 0 done, 2 wrong use.
    """
    add = parser.add_argument
    add('runs', nargs='+', metavar='RUN')
    add('--out', type=Path, required=True, help='folder of the report')
    add(
        '--reference',
        metavar='METHOD',
        help='differences are taken to this method; default: the first',
    )
    add('--seed', type=int, default=0, help='of the intervals; default: 0')
    add(
        '--pictures',
        type=int,
        default=2,
        metavar='N',
        help='clips of each set on the page; default: 2',
    )
    add(
        '--clips',
        nargs='+',
        default=[],
        metavar='SET/NAME',
        help='clips on the page',
    )
    add(
        '--crop',
        nargs=4,
        type=int,
        metavar=('LEFT', 'TOP', 'WIDTH', 'HEIGHT'),
        help='enlarged detail, in pixels of the ground truth; default: the '
        'square of each clip with the most texture',
    )
    add(
        '--play',
        type=int,
        default=50,
        metavar='N',
        help='frames of each clip that play on the page; default: 50, 0 for '
        'none',
    )
    add(
        '--longest',
        type=int,
        default=1280,
        metavar='PIXELS',
        help='larger frames are shown reduced; default: 1280',
    )
