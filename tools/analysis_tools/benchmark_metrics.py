"""Time the metrics, and other implementations on the same clips.

    python tools/analysis_tools/benchmark_metrics.py --size 360x640 \
        --frames 24 --threads 1

Others are pyiqa (PSNR, SSIM), the package lpips and torchvision's RAFT; one
that is not installed is left out with a message. Ours and theirs take turns;
the best round of each counts, in seconds of processor time, which other
programs on the machine disturb less than the clock. Weights are random, which
costs the same, unless --raft-weights names RAFT's. Exit code: 0 done, 2 wrong
use.
"""

import argparse
import json
import sys
import tempfile
import time
import warnings
from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from star.cli.common import Parser, execute, sizes
from star.evaluation.functional.ewarp import ewarp
from star.evaluation.functional.lpips import lpips_frames
from star.evaluation.functional.psnr import psnr_frames
from star.evaluation.functional.ssim import ssim_frames
from star.evaluation.networks.flow import RAFT
from star.perceptual.lpips import LPIPSNetwork, build_lpips
from star.utils import compat

Run = Callable[[], object]
METRICS = ('psnr', 'ssim', 'lpips', 'ewarp')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--metrics', nargs='+', choices=METRICS, default=METRICS)
    add(
        '--size',
        type=sizes('HxW'),
        default=(360, 640),
        help='default: 360x640',
    )
    add('--frames', type=int, default=24)
    add('--rounds', type=int, default=3)
    add('--threads', type=int, default=1)
    add('--nets', nargs='+', default=['alex', 'squeeze'], help='of LPIPS')
    add('--preset', default='evalcrafter', help='of the warping error')
    add('--raft', choices=('small', 'large'), default='small')
    add('--raft-weights', help='default: random')
    add('--json', type=Path, help='write the numbers here')
    return parser.parse(arguments)


def make_clips(frames: int, height: int, width: int) -> tuple[Tensor, Tensor]:
    """Draw a soft texture that moves, and the same with noise."""
    generator = torch.Generator().manual_seed(0)
    shape = (1, 3, height // 8 + 2, (width + 3 * frames) // 8 + 2)
    coarse = torch.rand(shape, generator=generator) * 255
    whole = F.interpolate(coarse, scale_factor=8, mode='bicubic')[0]
    clip = torch.stack(
        [whole[:, :height, 3 * t : 3 * t + width] for t in range(frames)]
    )
    noise = 8 * torch.randn(clip.shape, generator=generator)
    gt, pred = (x.clamp(0, 255).byte() for x in (clip, clip + noise))
    return pred, gt


def measure(runs: dict[str, Run], rounds: int) -> dict[str, float]:
    """Time functions in turn; the best of each."""
    best = dict.fromkeys(runs, float('inf'))
    for _ in range(rounds):
        for name, run in runs.items():
            begin = time.process_time()
            run()
            best[name] = min(best[name], time.process_time() - begin)
    return best


def psnr_runs(pred: Tensor, gt: Tensor) -> dict[str, dict[str, Run]]:
    rows = {}
    for channel, other in (('rgb', 'psnr'), ('y', 'psnry')):
        rows[f'PSNR, {channel}'] = {
            'ours': lambda c=channel: psnr_frames(pred, gt, c),
            **pyiqa_run(other, pred, gt),
        }
    return rows


def ssim_runs(pred: Tensor, gt: Tensor) -> dict[str, dict[str, Run]]:
    rows = {}
    for channel, other in (('rgb', 'ssimc'), ('y', 'ssim')):
        rows[f'SSIM, {channel}'] = {
            'ours': lambda c=channel: ssim_frames(pred, gt, c),
            **pyiqa_run(other, pred, gt),
        }
    return rows


def pyiqa_run(name: str, pred: Tensor, gt: Tensor) -> dict[str, Run]:
    """Make a function that scores the frames with pyiqa, one by one."""
    compat.allow_missing_torchvision_operators()
    try:
        pyiqa = compat.import_pyiqa()
    except ImportError as error:
        print(f'not compared with pyiqa: {error}')
        return {}
    metric = pyiqa.create_metric(name, device='cpu')

    def run() -> None:
        with torch.no_grad():
            for a, b in zip(pred, gt, strict=True):
                metric(a[None].float() / 255, b[None].float() / 255)

    return {'pyiqa': run}


def lpips_runs(
    pred: Tensor, gt: Tensor, nets: list[str]
) -> dict[str, dict[str, Run]]:
    rows = {}
    for net in nets:
        state = LPIPSNetwork(net).state_dict()
        ours = build_lpips(state, net, 'random')
        rows[f'LPIPS, {net}'] = {
            'ours': lambda n=ours: lpips_frames(n, pred, gt),
            **package_run(net, pred, gt),
        }
    return rows


def package_run(net: str, pred: Tensor, gt: Tensor) -> dict[str, Run]:
    """Make a function that scores the frames with the package lpips."""
    compat.allow_missing_torchvision_operators()
    try:
        package = compat.require('lpips', 'metrics')
    except ImportError as error:
        print(f'not compared with lpips: {error}')
        return {}
    network = package.LPIPS(net=net, pnet_rand=True, verbose=False).eval()

    def run() -> None:
        with torch.no_grad():
            for a, b in zip(pred, gt, strict=True):
                network(a[None] / 127.5 - 1, b[None] / 127.5 - 1)

    return {'lpips': run}


def ewarp_runs(
    clip: Tensor, args: argparse.Namespace
) -> dict[str, dict[str, Run]]:
    """Time the metric, its flow alone, and torchvision's forward alone."""
    network = make_raft(args)
    frames = clip.float()
    if args.preset.startswith('evalcrafter'):
        frames = F.interpolate(frames, scale_factor=0.5, mode='bilinear')
    bottom, right = (-side % 8 for side in frames.shape[-2:])
    frames = F.pad(frames, (0, right, 0, bottom), mode='replicate')

    def flow_alone() -> None:
        codes = [network.encode(frame[None]) for frame in frames]
        for i in range(len(codes) - 1):
            network.both_ways(codes[i], codes[i + 1])

    def torchvision() -> None:
        scaled = frames / 127.5 - 1
        with torch.no_grad():
            for i in range(len(frames) - 1):
                pair = scaled[i : i + 2]
                network.raft(pair, pair.flip(0), num_flow_updates=20)

    return {
        f'Ewarp, RAFT-{args.raft}': {
            'ours': lambda: ewarp(network, clip, args.preset),
            'its flow alone': flow_alone,
            "torchvision's flow alone": torchvision,
        }
    }


def make_raft(args: argparse.Namespace) -> RAFT:
    if args.raft_weights:
        return RAFT(args.raft, args.raft_weights)
    compat.allow_missing_torchvision_operators()
    models = compat.require('torchvision.models.optical_flow', 'metrics')
    state = getattr(models, f'raft_{args.raft}')(weights=None).state_dict()
    with tempfile.TemporaryDirectory() as folder:
        path = f'{folder}/random.pth'
        torch.save(state, path)
        return RAFT(args.raft, path)


def show(title: str, seconds: dict[str, float], frames: int) -> None:
    ours = seconds['ours']
    print(f'{title}: {1000 * ours / frames:.2f} ms a frame', flush=True)
    for name, value in seconds.items():
        if name != 'ours':
            print(
                f'    {name}: {1000 * value / frames:.2f} ms, '
                f'{value / ours:.2f} times ours',
                flush=True,
            )


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    torch.set_num_threads(args.threads)
    torch.manual_seed(0)
    warnings.simplefilter('ignore')
    pred, gt = make_clips(args.frames, *args.size)
    makers: dict[str, Callable[[], dict[str, dict[str, Run]]]] = {
        'psnr': lambda: psnr_runs(pred, gt),
        'ssim': lambda: ssim_runs(pred, gt),
        'lpips': lambda: lpips_runs(pred, gt, args.nets),
        'ewarp': lambda: ewarp_runs(pred, args),
    }
    found = {}
    for metric in args.metrics:
        for title, runs in makers[metric]().items():
            found[title] = measure(runs, args.rounds)
            show(title, found[title], args.frames)
    if args.json:
        args.json.write_text(json.dumps(found, indent=1) + '\n')
    return 0


if __name__ == '__main__':
    sys.exit(main())
