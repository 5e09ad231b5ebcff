"""Time the baselines, and other implementations with the same weights.

    python tools/analysis_tools/benchmark_baselines.py --size 180x320 \
        --threads 2 --methods realesr_general_x4v3 realbasicvsr

The others are spandrel (Real-ESRGAN) and mmagic (RealBasicVSR); one that
is not installed is left out with a message. Ours and theirs take turns on the
same frames and the best round of each counts, by the clock. Only the networks
are timed: theirs as they are, ours as `restore` calls them. Weights are
random, which costs the same. Exit code: 0 done, 1 results differ by more than
1e-4 of the largest value, 2 wrong use.
"""

import argparse
import importlib
import json
import sys
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor, nn

from star.apis.inference.build import load_config
from star.cli.common import Parser, execute, sizes
from star.models.editors import NetworkBaseline
from star.registry import MODELS
from star.utils import compat

Run = Callable[[], Tensor]
METHODS = (
    'realesr_animevideov3',
    'realesr_general_x4v3',
    'realesrgan_x4plus_anime_6b',
    'realesrgan_x2plus',
    'realesrgan_x4plus',
    'realbasicvsr',
)
TOLERANCE = 1e-4


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--methods', nargs='+', choices=METHODS, default=METHODS[:2])
    add('--size', type=size, default=(180, 320), help='default: 180x320')
    add('--frames', type=int, default=4)
    add('--rounds', type=int, default=3)
    add('--threads', type=int, default=2)
    add('--json', type=Path, help='write the numbers here')
    return parser.parse(arguments)


def size(text: str) -> tuple[int, int]:
    height, width = sizes('HxW')(text)
    if min(height, width) < 64 or height % 2 or width % 2:
        raise argparse.ArgumentTypeError(
            f'sides must be even and at least 64, got {text}'
        )
    return height, width


def build(method: str) -> NetworkBaseline:
    """Build the model of a config, with random weights."""
    model = MODELS.build(load_config(method).model)
    assert isinstance(model, NetworkBaseline)
    return model.eval()


def other(model: NetworkBaseline) -> tuple[str, nn.Module] | None:
    """Build another implementation with a model's weights, and name it."""
    state = {k: v.contiguous() for k, v in model.network.state_dict().items()}
    kind = type(model).__name__
    if kind == 'RealBasicVSR':
        network = compat.import_mmagic().RealBasicVSRNet()
        network.load_state_dict(state)
        return 'mmagic', network.eval()
    name = 'ESRGAN' if kind == 'RealESRGAN' else 'Compact'
    compat.allow_missing_torchvision_operators()
    try:
        compat.require('spandrel', 'tests')
    except ImportError as error:
        print(f'{kind} is compared with nothing: {error}')
        return None
    module = importlib.import_module(f'spandrel.architectures.{name}')
    architecture = getattr(module, f'{name}Arch')()
    return 'spandrel', architecture.load(state).model.eval()


def make_runs(model: NetworkBaseline, x: Tensor) -> dict[str, Run]:
    """Make functions that restore frames, (t, 3, h, w) in [0, 1]."""
    window = model.recipe.window

    def ours() -> Tensor:
        return torch.cat([model.restore_frames(p) for p in x.split(window)])

    found = other(model)
    if found is None:
        return {'ours': ours}
    name, network = found

    def theirs() -> Tensor:
        if name == 'mmagic':  # a clip of several frames at once
            return torch.cat([network(p[None])[0] for p in x.split(window)])
        return torch.cat([network(p) for p in x.split(window)])

    return {'ours': ours, name: theirs}


@torch.inference_mode()
def measure(
    runs: dict[str, Run], rounds: int
) -> tuple[dict[str, float], float]:
    """Time functions in turn.

    Returns:
        The least seconds of each, and by how much the results of the last
        round differ at most, relative to the largest value.
    """
    best = dict.fromkeys(runs, float('inf'))
    difference = 0.0
    for _ in range(rounds):
        results = []
        for name, run in runs.items():
            begin = time.perf_counter()
            results.append(run())
            best[name] = min(best[name], time.perf_counter() - begin)
        error = (results[0] - results[-1]).abs().max()
        difference = float(error / results[0].abs().max())
    return best, difference


def show(
    method: str, seconds: dict[str, float], frames: int, difference: float
) -> None:
    ours = seconds['ours']
    text = f'| {method} | {ours / frames:.3f} |'
    for name, value in seconds.items():
        if name != 'ours':
            text += (
                f' {name} {value / frames:.3f} | {ours / value:.2f} | '
                f'{difference:.1e} |'
            )
    print(text, flush=True)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    warnings.simplefilter('ignore')
    x = torch.rand(args.frames, 3, *args.size)
    print('| method | ours, s a frame | other | ours / other | difference |')
    print('|---|---|---|---|---|', flush=True)
    found, worst = {}, 0.0
    for method in args.methods:
        try:
            runs = make_runs(build(method), x)
        except ImportError as error:  # mmagic's network is ours, too
            print(f'{method} is left out: {error}')
            continue
        seconds, difference = measure(runs, args.rounds)
        show(method, seconds, args.frames, difference)
        found[method] = {**seconds, 'difference': difference}
        worst = max(worst, difference)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + '\n')
    return int(worst > TOLERANCE)


if __name__ == '__main__':
    sys.exit(main())
