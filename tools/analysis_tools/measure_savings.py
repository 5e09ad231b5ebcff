"""Measure what the options that save memory and time cost in quality.

    python tools/analysis_tools/measure_savings.py clip.mp4 other.mp4 \
        --options quantize=int8 quantize=fp8 quantize=nf4
    python tools/analysis_tools/measure_savings.py clip.mp4 --config tiny \
        --weights work_dirs/tiny/iter_300 --given steps=10 \
        --options cache=0.1 guidance_interval=0.2-0.8
    python tools/analysis_tools/measure_savings.py --config i2vgen \
        --count 32x90x160

The clips are ground truth. Their middle is degraded (preset star, x4),
restored without and with each option, and both results are compared with the
ground truth and with each other: means over the clips of PSNR and LPIPS.
--count computes instead, without running it, what one evaluation of a latent
costs and how many bytes the weights have.
"""

import argparse
import json
import sys
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from star.apis import init_model
from star.apis.inference.build import build_part, load_config, without_text
from star.apis.inference.savings import Savings
from star.cli.common import Parser, execute, number, say, sizes
from star.cli.options.savings import interval
from star.datasets.indexed_video import IndexedVideo
from star.datasets.transforms.degradation import RealESRGANVideoDegradation
from star.evaluation.functional.lpips import lpips
from star.evaluation.functional.psnr import psnr
from star.models.layers.lora import merge_lora
from star.models.layers.quantized import FORMATS, quantize_weights
from star.models.layers.step_memory import StepMemory
from star.models.restoration.choose import choose_options
from star.perceptual.lpips import LPIPSNetwork, load_lpips
from star.utils.operation_counter import ATTENTION

SCALE = 4
NETWORKS = ('controlnet', 'backbone')
READERS: dict[str, Callable[[str], Any]] = {
    'steps': int,
    'sampler': str,
    'guidance_scale': float,
    'cache': float,
    'guidance_interval': interval,
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('clips', nargs='*', type=Path, metavar='CLIP')
    add('--config', help='default: the shipped model')
    add('--weights')
    add('--options', nargs='+', type=option, default=[], metavar='NAME=VALUE')
    add(
        '--given',
        nargs='+',
        type=option,
        default=[],
        metavar='NAME=VALUE',
        help='options of every restoration',
    )
    add('--frames', type=number(int, 1), default=8)
    add('--crop', type=sizes('HxW'), default=(256, 384), metavar='HxW')
    add('--lpips', metavar='FILE', help='weights of LPIPS; default: search')
    add('--net', default='squeeze', help='of LPIPS')
    add('--flops', action='store_true', help='count operations, slowly')
    add('--count', type=sizes('TxHxW'), metavar='TxHxW')
    add('--json', type=Path, help='write the numbers here')
    return parser.parse(arguments)


def option(text: str) -> dict[str, Any]:
    """Read NAME=VALUE, a field of Savings or of RestoreOptions."""
    name, _, value = text.partition('=')
    if name in {f.name for f in fields(Savings)}:
        return {name: True if name == 'compile' else value}
    if name not in READERS:
        raise argparse.ArgumentTypeError(f'unknown option {text!r}')
    return {name: READERS[name](value)}


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    if bool(args.count) == bool(args.clips):
        raise ValueError('give clips, or --count')
    rows = count(args) if args.count else measure(args)
    print_table(rows)
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1) + '\n')
    return 0


def measure(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Restore all clips with each option."""
    network = load_lpips(args.lpips, args.net)
    pairs = [read_pair(path, args) for path in args.clips]
    given = {k: v for each in args.given for k, v in each.items()}
    off, rows = None, []
    for changes in [{}, *args.options]:
        results, row = restore_all(args, pairs, {**given, **changes})
        off = results if off is None else off
        named = ', '.join(f'{k}={v}' for k, v in changes.items())
        row = {'option': named or 'off', **row}
        rows.append(row | compare(network, results, off, pairs))
        say(f'measured: {rows[-1]}')
    return rows


def read_pair(path: Path, args: argparse.Namespace) -> tuple[Tensor, Tensor]:
    """Return the middle of a clip's first frames, and its degradation."""
    video = IndexedVideo(path)
    frames = min(args.frames, video.num_frames)
    clip = to_tensor(video.read_through(range(frames)))
    height, width = (
        min(side, most // SCALE * SCALE)
        for side, most in zip(args.crop, clip.shape[-2:], strict=True)
    )
    top, left = (clip.shape[-2] - height) // 2, (clip.shape[-1] - width) // 2
    gt = clip[..., top : top + height, left : left + width].contiguous()
    results = RealESRGANVideoDegradation('star', SCALE).transform(
        {
            'gt': gt.permute(0, 2, 3, 1).numpy(),
            'rng': np.random.default_rng(0),
        }
    )
    return gt, to_tensor(results['lq'])


def to_tensor(clip: np.ndarray) -> Tensor:
    return torch.from_numpy(clip).permute(0, 3, 1, 2)


def restore_all(
    args: argparse.Namespace,
    pairs: list[tuple[Tensor, Tensor]],
    changes: dict[str, Any],
) -> tuple[list[Tensor], dict[str, Any]]:
    """Restore all clips; return them with operations and weights' bytes."""
    names = {f.name for f in fields(Savings)}
    savings = {k: v for k, v in changes.items() if k in names}
    model: Any = init_model(
        args.config, args.weights, 'cpu', savings=Savings(**savings)
    )
    chosen = {k: v for k, v in changes.items() if k not in names}
    options = choose_options(model, chosen)
    flops = FlopCounterMode(display=False, custom_mapping=ATTENTION)
    with flops if args.flops else nullcontext():
        results = [model.restore(lq, options) for _, lq in pairs]
    networks = [model.get_submodule(name) for name in NETWORKS]
    row = {'weights_mib': sum(map(bytes_of, networks)) / 2**20}
    if args.flops:
        row['tflop'] = flops.get_total_flops() / 1e12
    return results, row


def bytes_of(network: nn.Module) -> int:
    tensors = [*network.parameters(), *network.buffers()]
    return sum(tensor.nbytes for tensor in tensors)


def compare(
    network: LPIPSNetwork,
    results: list[Tensor],
    off: list[Tensor],
    pairs: list[tuple[Tensor, Tensor]],
) -> dict[str, float]:
    """Average the scores of results, with ground truth and without option."""
    truth = [gt for gt, _ in pairs]
    scores: dict[str, float] = {}
    for name, others in (('gt', truth), ('off', off)):
        both = list(zip(results, others, strict=True))
        scores[f'psnr_{name}'] = float(np.mean([psnr(*b) for b in both]))
        found = [lpips(network, *b) for b in both]
        scores[f'lpips_{name}'] = float(np.mean(found))
    return scores


class Planned(StepMemory):
    """A memory without content: the first call runs as a whole."""

    def decide(self, first: Tensor) -> bool:
        return self.calls > 1

    def keep(self, deep: Tensor) -> None:
        self.deep = deep

    def recall(self, like: Tensor) -> Tensor:
        return self.deep


@torch.no_grad()
def count(args: argparse.Namespace) -> list[dict[str, Any]]:
    """Count one evaluation and the weights in bfloat16, without content."""
    config = load_config(args.config)
    rows = []
    for name, both, memory in (
        ('off: both texts', 2, None),
        ('outside guidance_interval: one text', 1, None),
        ('cache, features taken again: both texts', 2, Planned(1)),
    ):
        flops = count_call(config, args.count, both, memory)
        rows.append({'option': name, 'tflop': flops / 1e12})
    for form in (None, *FORMATS):
        networks = build(config)
        if form:
            for network in networks:
                quantize_weights(network, form)
        size = sum(map(bytes_of, networks)) / 2**20
        name = f'quantize={form}' if form else 'weights in bfloat16'
        rows.append({'option': name, 'weights_mib': size})
    return rows


def build(config: Config) -> list[Any]:
    """Build the networks of a config without content."""
    networks: list[Any] = [
        build_part(config, name, 'meta') for name in NETWORKS
    ]
    for network in networks:
        merge_lora(network)
        network.to(torch.bfloat16).eval()
    return networks


def count_call(
    config: Config,
    latent: tuple[int, ...],
    both: int,
    memory: StepMemory | None,
) -> int:
    """Count the operations of the last of one or two calls."""
    controlnet, backbone = build(config)
    own, text = config.model.backbone, without_text(config).model.text_encoder
    channels = 16 if own.type == 'CogVideoXDiT' else 4
    channels = own.get('latent_dim', own.get('in_dim', channels))
    z_t = torch.zeros(both, channels, *latent, device='meta')
    t = torch.zeros(both, dtype=torch.int64, device='meta')
    tokens = text.get('num_tokens', 1)
    words = torch.zeros(1, tokens, text.dim, device='meta')
    projected = [part.project_text(words) for part in (controlnet, backbone)]
    used = () if memory is None else (memory,)
    for _ in range(2 if memory else 1):
        if memory is not None:
            memory.begin()
        flops = FlopCounterMode(display=False, custom_mapping=ATTENTION)
        with flops:
            control = controlnet(z_t, t, projected[0], z_t, *used)
            backbone(z_t, t, projected[1], control, *used)
    return flops.get_total_flops()


def print_table(rows: list[dict[str, Any]]) -> None:
    """Print rows as a table in Markdown."""
    names = list(dict.fromkeys(name for row in rows for name in row))
    print('| ' + ' | '.join(names) + ' |')
    print('|---' + '|---:' * (len(names) - 1) + '|')
    for row in rows:
        cells = [row.get(name, '') for name in names]
        print('| ' + ' | '.join(show(cell) for cell in cells) + ' |')


def show(value: object) -> str:
    return f'{value:.4g}' if isinstance(value, float) else str(value)


if __name__ == '__main__':
    sys.exit(main())
