"""Options of `star doctor`."""

from star.cli.common import Parser


def doctor(parser: Parser) -> None:
    """Show what is installed and how to get the rest.

    Lists versions, devices with free memory, FFmpeg's encoders, optional
    packages and weights. Exit code: 0 usable, 1 the installation is broken.
    """
    parser.add_argument('--json', action='store_true', help='print JSON')
