"""Options of `star app`."""

from pathlib import Path

from star.cli.common import Parser, number


def app(parser: Parser) -> None:
    """Restore videos from a page in the browser.

        star app

    The page takes videos, shows a plan and a preview, and restores them one
    after the other with `star restore`. Jobs, videos and results are kept in
    the folder; the next start goes on with what was not done.
    Exit code: 0 stopped, 2 wrong use.
    """
    add = parser.add_argument
    add(
        '--host',
        default='127.0.0.1',
        help='default: 127.0.0.1, this machine only',
    )
    add(
        '--port',
        type=number(int, 0, 2**16 - 1),
        default=7860,
        help='0: any; default: 7860',
    )
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
