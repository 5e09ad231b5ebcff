"""Options of `star plan`."""

from star.cli.common import Parser
from star.cli.options.restore import (
    add_file_options,
    add_model_options,
    add_sampling_options,
    add_size_options,
    source,
    target,
)
from star.cli.options.savings import add_saving_options


def plan(parser: Parser) -> None:
    """Show what a restoration will take, before it begins.

        star plan old.mp4 --config i2vgen --memory 12GB

    Prints frames, scenes, windows, tiles, the predicted largest memory, and
    the time and disk that the first frames promise. Windows and tiles that
    are not given are chosen to fit the memory, as star restore does.
    Exit code: 0 it fits, 1 it does not, 2 wrong use.
    """
    parser.add_argument('src', type=source, metavar='SRC')
    parser.add_argument('dst', type=target, metavar='DST', nargs='?')
    add_model_options(parser)
    add_saving_options(parser)
    add_sampling_options(parser)
    add_size_options(parser)
    add_file_options(parser)
    parser.add_argument(
        '--no-time',
        dest='time',
        action='store_false',
        help='restore nothing to measure time and disk',
    )
