"""Options of `star train`."""

import argparse

from star.cli.common import Parser, number
from star.cli.options import choices


def train(parser: Parser) -> None:
    """Train a model.

        star train CONFIG [options]
        star train CONFIG --gpus 8 [options]

    CONFIG is a file, or the name of a config such as i2vgen.
    SIGTERM and Ctrl-C save a checkpoint and end; a second Ctrl-C ends at
    once. With --resume, --cfg-options change a setting from there on.
    Exit code: 0 trained to the end, 1 stopped on the way, 2 wrong use, 130
    interrupted.
    """
    add = parser.add_argument
    add('config', help='file or name of a config')
    add('--work-dir', help='default: work_dirs/CONFIG')
    add(
        '--resume',
        nargs='?',
        const='',
        metavar='FOLDER',
        help='continue from the last checkpoint of the work folder, or from '
        'this one',
    )
    add(
        '--weights',
        help='start from this file, folder or word that the config knows '
        'instead of its `start_weights`',
    )
    add('--amp', action='store_true', help='run networks in bfloat16')
    add('--seed', type=int, help="of weights and data; default: the config's")
    add(
        '--dry-run',
        action='store_true',
        help='print the parts, the data, the memory and the operations of the '
        'training, and of a teacher that it distils',
    )
    add(
        '--tflops',
        type=number(float, 0, above=True),
        metavar='N',
        help='with --dry-run: estimate hours at N * 10^12 operations a second '
        'per GPU',
    )
    add_config_options(parser)
    add_process_options(parser)


def add_config_options(parser: Parser) -> None:
    """Add --cfg-options, whose words `read_changes` reads."""
    parser.add_argument(
        '--cfg-options',
        nargs='+',
        default=[],
        metavar='KEY=VALUE',
        help='replace values of the config',
    )


def add_process_options(parser: Parser) -> None:
    """Add what starts a command in several processes."""
    add = parser.add_argument_group('several GPUs').add_argument
    add(
        '--gpus',
        type=number(int, 1),
        metavar='N',
        help='start N processes on this machine, one for each GPU; on CPUs '
        'where there is no GPU',
    )
    add(
        '--launcher',
        choices=choices.LAUNCHERS,
        default='none',
        help='what started this process: torchrun (pytorch) or srun (slurm)',
    )
    # torch.distributed.launch passes it; torchrun sets a variable instead
    add('--local-rank', '--local_rank', type=int, help=argparse.SUPPRESS)
