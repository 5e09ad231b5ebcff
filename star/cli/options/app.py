"""Options of `star app`."""

from pathlib import Path

from star.cli.common import Parser
from star.cli.options.server import add_server_options


def app(parser: Parser) -> None:
    """Restore videos from a page in the browser.

        star app

    The page takes videos, shows a plan and a preview, and restores them one
    after the other with `star restore`. Jobs, videos and results are kept in
    the folder; the next start goes on with what was not done.
    Exit code: 0 stopped, 2 wrong use.
    """
    add = parser.add_argument
    add_server_options(parser, port=7860)
    add(
        '--folder',
        type=Path,
        default=Path('star_app'),
        help='of jobs, videos and results; default: star_app, here',
    )
    add(
        '--no-browser',
        dest='browser',
        action='store_false',
        help='do not open the page',
    )
