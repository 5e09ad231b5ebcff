"""Options of commands that serve a page."""

import argparse

from star.cli.common import number


def add_server_options(parser: argparse.ArgumentParser, port: int) -> None:
    """Add the address of a server, by default on this machine only."""
    add = parser.add_argument
    add(
        '--host',
        default='127.0.0.1',
        help='default: 127.0.0.1, this machine only',
    )
    add(
        '--port',
        type=number(int, 0, 2**16 - 1),
        default=port,
        help=f'0: any; default: {port}',
    )
