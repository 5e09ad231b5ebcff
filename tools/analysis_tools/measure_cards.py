"""Show which results fit on which GPU, from shapes alone.

    python tools/analysis_tools/measure_cards.py --configs i2vgen cogvideox_5b

For each size of a result the windows and tiles are those that `star plan`
would choose: the config's own where they fit, else smaller ones. Memory is
that of weights and tensors; of a card 90 % are used. The text encoder is on
the CPU.
"""

import argparse
import sys
from typing import Any

import torch

from star.apis.inference.build import build_model, load_config, without_text
from star.apis.inference.devices import DTYPES
from star.apis.inference.memory_plan import count_memory
from star.apis.inference.planning import (
    describe_cuts,
    smaller_options,
    write_bytes,
)
from star.cli.common import Parser, execute, number

SIZES = {
    '480p': (480, 848),
    '720p': (720, 1280),
    '1080p': (1080, 1920),
    '4K': (2160, 3840),
}
SHARE = 0.9  # of a card, as in `star.apis.inference.planning`
GB = 10**9


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('--configs', nargs='+', default=['i2vgen'])
    parser.add_argument('--sizes', nargs='+', choices=SIZES, default=[*SIZES])
    parser.add_argument(
        '--cards',
        nargs='+',
        type=number(float, 1),
        default=[8.0, 12.0, 16.0, 24.0, 80.0],
        help='GB of each',
    )
    parser.add_argument('--dtype', choices=DTYPES, default='bf16')
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    head = [f'{card:g} GB' for card in args.cards]
    print('| config, weights | result |', ' | '.join(head), '|')
    print('|---' * (len(head) + 2) + '|')
    for config in args.configs:
        model = build_empty(config, DTYPES[args.dtype])
        weights = sum(p.nbytes for p in model.parameters())
        for size in args.sizes:
            cells = fill_row(model, weights, SIZES[size], args.cards)
            title = f'{config}, {write_bytes(weights)}'
            print(f'| {title} | {size} |', ' | '.join(cells), '|', flush=True)
    return 0


def build_empty(config: str, dtype: torch.dtype) -> Any:
    """Build a model without numbers and without its text encoder."""
    settings = without_text(load_config(config))
    with torch.device('meta'):
        model: Any = build_model(settings).eval().to(dtype)
    model.loaded = True  # of a baseline, which would ask for its files
    return model


def fill_row(
    model: Any, weights: int, size: tuple[int, int], cards: list[float]
) -> list[str]:
    """Describe for each card what fits, largest first."""
    options = model.restore_options
    small = round(size[0] / options.scale), round(size[1] / options.scale)
    ladder = list(smaller_options(model, options, small))
    known: dict[int, int | None] = {}

    def need(place: int) -> int | None:
        if place not in known:
            tried = ladder[place]
            clip = (tried.window, *small)
            try:
                run = count_memory(model, tried, clip, True)
                known[place] = weights + run.peak
            except ValueError:  # tiles that do not fit the network
                known[place] = None
        return known[place]

    cells = []
    for card in cards:
        place = next(
            (
                i
                for i in range(len(ladder))
                if (used := need(i)) is not None and used <= SHARE * card * GB
            ),
            None,
        )
        if place is None:
            cells.append('-')
            continue
        used = known[place]
        assert used is not None
        own = ' (own)' if place == 0 else ''
        cuts = describe_cuts(model, ladder[place]).replace('--', '')
        cells.append(f'{cuts}{own}: {write_bytes(used)}')
    return cells


if __name__ == '__main__':
    sys.exit(main())
