"""Count the operations of encoder, denoiser and decoder in one step.

    python tools/analysis_tools/measure_stages.py --configs i2vgen \
        i2vgen_small_decoder --size 32x180x320

The whole restoration runs on tensors without content, with the windows and
tiles of the config: one evaluation of the denoiser, without guidance. Text is
not counted. TFLOP a frame; a multiplication and an addition are two.
"""

import argparse
import sys

from star.apis.analysis.stage_cost import stage_cost
from star.apis.inference.build import build_part, load_config
from star.cli.common import Parser, execute, sizes


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('--configs', nargs='+', default=['i2vgen'])
    parser.add_argument(
        '--size',
        type=sizes('FxHxW'),
        metavar='FxHxW',
        default=(32, 180, 320),
        help='frames, height and width of the low-quality clip',
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    head = ('config', 'decoder', 'encode', 'denoise', 'decode', 'sum')
    print(f'| {" | ".join(head)} |')
    print('|---|---:|---:|---:|---:|---:|')
    for name in args.configs:
        settings = load_config(name)
        cost = stage_cost(settings, args.size)
        stages = (cost.encode, cost.denoise, cost.decode, cost.total)
        cells = [f'{tflop / cost.frames:.3g}' for tflop in stages]
        size = f'{decoder_size(settings) / 1e6:.1f} M'
        print(f'| `{name}` | {size} | {" | ".join(cells)} |', flush=True)
    return 0


def decoder_size(settings) -> int:
    """Count the parameters of the autoencoder's decoder."""
    autoencoder = build_part(settings, 'autoencoder', 'meta')
    return sum(
        p.numel()
        for name, p in autoencoder.named_parameters()
        if 'decoder' in name.split('.')
    )


if __name__ == '__main__':
    sys.exit(main())
