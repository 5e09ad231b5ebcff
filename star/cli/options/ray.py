"""Options of commands that can use several machines."""

import argparse

from star.cli.common import number


def add_ray_options(parser: argparse.ArgumentParser) -> None:
    """Add the options of a Ray cluster."""
    add = parser.add_argument_group('several machines').add_argument
    add(
        '--ray',
        metavar='local|HOST:PORT',
        help='share the work among the workers of a Ray cluster, whose '
        'machines see the same files; local: one of this machine alone, auto: '
        'the one that runs here',
    )
    add(
        '--ray-cpus',
        type=number(int, 1),
        metavar='N',
        help='cores of each worker; default: 1, beside a GPU its share',
    )
