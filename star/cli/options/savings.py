"""Options of commands that restore: what saves memory and time."""

import argparse

from star.cli.common import Parser
from star.cli.options import choices


def add_saving_options(parser: Parser) -> None:
    """Add the options that `read_savings` reads."""
    add = parser.add_argument_group('memory and time of networks').add_argument
    add(
        '--offload',
        choices=choices.OFFLOADS,
        default='none',
        help='keep weights on the CPU; model: denoiser and autoencoder are on '
        'the GPU by turns, block: one layer of the denoiser at a time; the '
        'result is the same',
    )
    add(
        '--quantize',
        choices=choices.QUANTIZATIONS,
        default='none',
        help="store the denoiser's weights in 8 or 4 bits",
    )
    add(
        '--compile',
        action='store_true',
        help='compile the denoiser first, which takes minutes',
    )
    add(
        '--attention',
        choices=choices.ATTENTIONS,
        default='auto',
        help="kernel of the denoiser's attention; sage needs the package "
        'sageattention',
    )


def interval(text: str) -> tuple[float, float]:
    """Read two shares with a - between: 0 <= first < last <= 1."""
    first, _, last = text.partition('-')
    try:
        shares = float(first), float(last)
    except ValueError:
        shares = 1.0, 0.0
    if not 0 <= shares[0] < shares[1] <= 1:
        raise argparse.ArgumentTypeError(
            f'must be two shares that increase, as in 0.1-0.8, got {text!r}'
        )
    return shares
