"""Time restorations in turn: now, an earlier checkout, and a plain loop.

    python tools/analysis_tools/benchmark_restore.py --clips 8x640x360 \
        --before ../earlier --rounds 3

Each clip (frames x width x height) of random pixels is restored by a process
of its own in each round, one method after the other:

    now     `--config` of this checkout, with the allocator's settings of
            `star restore`
    before  the same of another checkout, as it is there
    plain   a loop over the frames through Real-ESRGAN's compact network as it
            was published: whole frames, float32, no settings
    CONFIG  each of `--others`, as `now`; CONFIG=random or CONFIG=FILE gives
            its weights

Printed are the medians of the seconds (without imports and loading, with a
warm-up on a small clip), of the microseconds per pixel of the result, of the
peak memory of the process in GiB, and the ratio of the seconds to those of
`now`.
"""

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import median

import torch
from torch import nn
from torch.nn import functional as F

from star.cli.common import Parser, execute, number, sizes

ROOT = Path(__file__).resolve().parents[2]
WORK = '--work'


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('--config', default='tiny_compact')
    parser.add_argument('--weights', help='such as the word random')
    parser.add_argument(
        '--clips', nargs='+', type=sizes('TxWxH'), default=[(8, 640, 360)]
    )
    parser.add_argument('--before', type=Path, help='an earlier checkout')
    parser.add_argument('--no-plain', action='store_true')
    parser.add_argument(
        '--others', nargs='+', default=[], metavar='CONFIG[=WEIGHTS]'
    )
    parser.add_argument('--rounds', type=number(int, 1), default=3)
    parser.add_argument('--threads', type=number(int, 1), default=2)
    parser.add_argument(WORK, help=argparse.SUPPRESS)
    return parser.parse(arguments)


class PlainNetwork(nn.Module):
    """Real-ESRGAN's compact network, general-x4v3, with random weights."""

    def __init__(self) -> None:
        super().__init__()
        layers = [nn.Conv2d(3, 64, 3, 1, 1), nn.PReLU(64)]
        for _ in range(32):
            layers += [nn.Conv2d(64, 64, 3, 1, 1), nn.PReLU(64)]
        self.body = nn.Sequential(*layers, nn.Conv2d(64, 48, 3, 1, 1))

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Enlarge frames (n, 3, h, w) four times."""
        base = F.interpolate(x, scale_factor=4, mode='nearest')
        return F.pixel_shuffle(self.body(x), 4) + base


@torch.inference_mode()
def restore_plainly(network: nn.Module, clip: torch.Tensor) -> None:
    """Enlarge frame after frame."""
    for frame in clip:
        out = network(frame[None].float() / 255)
        (out.clamp(0, 1) * 255).round().to(torch.uint8)


def make_clip(frames: int, width: int, height: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (frames, 3, height, width)
    return torch.randint(256, shape, dtype=torch.uint8, generator=generator)


def work(args: argparse.Namespace) -> None:
    """Restore one clip in this process and print what it took."""
    from star.utils.memory import measure_cost

    if args.work == 'now':
        from star.utils.allocator import keep_memory

        keep_memory()
    torch.set_num_threads(args.threads)
    clip = make_clip(*args.clips[0])
    if args.work == 'plain':
        network = PlainNetwork().eval()

        def run(clip: torch.Tensor) -> None:
            restore_plainly(network, clip)
    else:
        from star.apis import init_model

        model = init_model(args.config, args.weights, 'cpu')

        def run(clip: torch.Tensor) -> None:
            for _ in model.restore_stream(iter(clip)):
                pass

    run(make_clip(2, 64, 64))
    with measure_cost(torch.device('cpu')) as cost:
        run(clip)
    print(json.dumps([cost.seconds, cost.peak_memory]))


def start(
    method: str, clip: tuple[int, ...], args: argparse.Namespace
) -> tuple[float, float]:
    """Restore one clip in a process; return seconds and bytes."""
    where = args.before.resolve() if method == 'before' else ROOT
    config, weights, mode = args.config, args.weights, method
    if method in args.others:
        config, _, weights = method.partition('=')
        mode = 'now'
    words = [
        *(sys.executable, str(Path(__file__).resolve()), WORK, mode),
        *('--config', config, '--clips', 'x'.join(map(str, clip))),
        *('--threads', str(args.threads)),
        *(('--weights', weights) if weights else ()),
    ]
    environment = os.environ | {
        'PYTHONPATH': str(where),
        'OMP_NUM_THREADS': str(args.threads),
    }
    done = subprocess.run(
        words, env=environment, cwd=where, stdout=subprocess.PIPE, text=True
    )
    if done.returncode:
        raise ValueError(f'{method}: failed with exit code {done.returncode}')
    seconds, peak = json.loads(done.stdout.splitlines()[-1])
    return seconds, peak


def run(args: argparse.Namespace) -> int:
    if args.work:
        work(args)
        return 0
    methods = ['now']
    methods += ['before'] if args.before else []
    methods += [] if args.no_plain else ['plain']
    methods += args.others
    print('| clip | method | seconds | us a pixel | ratio | memory |')
    print('|---|---|---:|---:|---:|---:|')
    for clip in args.clips:
        found: dict[str, list[tuple[float, float]]] = {m: [] for m in methods}
        for _ in range(args.rounds):
            for method, costs in found.items():
                costs.append(start(method, clip, args))
        frames, width, height = clip
        pixels = frames * width * height * 16
        name = f'{frames} x {width}x{height}'
        for method, costs in found.items():
            seconds = median(cost[0] for cost in costs)
            ratio = median(
                cost[0] / own[0]
                for cost, own in zip(costs, found['now'], strict=True)
            )
            peak = median(cost[1] for cost in costs) / 2**30
            print(
                f'| {name} | {method} | {seconds:.2f} | '
                f'{seconds / pixels * 1e6:.3f} | {ratio:.2f} | '
                f'{peak:.2f} GiB |',
                flush=True,
            )
    return 0


if __name__ == '__main__':
    args = parse_args()
    raise SystemExit(execute(run, args))
