"""Measure what a model costs: one denoiser call, or a whole restore.

    python tools/analysis_tools/measure_cost.py --config i2vgen \
        --latent 2x18x16
    python tools/analysis_tools/measure_cost.py --restore 24x180x320 \
        --window 16
    python tools/analysis_tools/measure_cost.py --config stablesr \
        --plan 1x180x320

--plan computes what a whole clip takes with a diffusion baseline, without
running it: operations, and memory in the dtype (default: bf16). With
--restore, all other options are handed to `star restore`. Weights are random
numbers unless --weights says otherwise: the cost is the same, and no sample is
a zero that a library could skip.
"""

import argparse
import inspect
import json
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np
import torch
from mmengine.config import Config
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

from star.apis.analysis.restore_cost import restore_cost
from star.apis.inference.build import (
    build_part,
    fill_random,
    load_config,
)
from star.apis.inference.devices import find_device, find_dtype
from star.cli.common import Parser, execute, number, sizes
from star.models.layers.memory_format import use_channels_last
from star.registry import MODELS
from star.utils.memory import peak_memory, reset_peak_memory

PARTS = ('backbone', 'controlnet', 'autoencoder', 'text_encoder')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('--config', help='default: the shipped model')
    parser.add_argument(
        '--latent',
        type=sizes('TxHxW'),
        metavar='TxHxW',
        help='one call of ControlNet and backbone on such a latent',
    )
    parser.add_argument(
        '--count-only', action='store_true', help='count, do not run'
    )
    parser.add_argument('--repeat', type=number(int, 1), default=2)
    parser.add_argument(
        '--restore',
        type=sizes('FxHxW'),
        metavar='FxHxW',
        help='a whole restore of F frames of H x W pixels',
    )
    parser.add_argument(
        '--plan',
        type=sizes('FxHxW'),
        metavar='FxHxW',
        help='count the restoration of F frames of H x W pixels',
    )
    parser.add_argument('--weights', default='random')
    parser.add_argument('--device')
    parser.add_argument('--dtype')
    parser.add_argument('--json', action='store_true')
    args, args.others = parser.parse_known_args(arguments)
    if args.others and not args.restore:
        parser.error(f'unknown options: {" ".join(args.others)}')
    return args


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    result = measure(args)
    if args.json:
        print(json.dumps(result))
    else:
        for name, value in result.items():
            print(f'{name:<28}{show(value)}')
    return 0


def measure(args: argparse.Namespace) -> dict:
    settings = load_config(args.config)
    if args.plan:
        return plan(settings, args)
    device = find_device(args.device)
    result: dict = {
        'config': str(settings.filename),
        'device': device_name(device),
        'dtype': str(find_dtype(args.dtype, device)).removeprefix('torch.'),
    }
    if args.latent and not args.count_only:
        # first: what counting imports would be part of the peak
        result |= measure_call(settings, args)
    if args.latent:
        result['latent'] = 'x'.join(map(str, args.latent))
        result['call_tflop'] = count_tflop(settings, args.latent)
    if 'call_seconds' in result:
        rate = result['call_tflop'] / result['call_seconds']
        result['call_tflop_per_second'] = rate
    if args.restore:
        result |= measure_restore(args)
    return result | count_parameters(settings)


def plan(settings: Config, args: argparse.Namespace) -> dict:
    dtype = find_dtype(args.dtype or 'bf16', torch.device('cpu'))
    cost = restore_cost(settings, args.plan, dtype=dtype)
    return {
        'config': str(settings.filename),
        'dtype': str(dtype).removeprefix('torch.'),
        'plan': 'x'.join(map(str, args.plan)),
        'plan_tflop': cost.tflop,
        'plan_weights_gib': cost.weights / 2**30,
        'plan_activations_gib': cost.activations / 2**30,
        'plan_peak_gib': cost.peak / 2**30,
    }


def count_parameters(settings: Config) -> dict:
    counts = {}
    for name in PARTS:
        part = build_part(settings, name, 'meta')
        numbers = [p.numel() for p in part.parameters()]
        counts[f'{name}_parameters'] = sum(numbers)
    return counts


def count_tflop(settings: Config, latent: tuple[int, ...]) -> float:
    """Count one call, conditional only, without moving a number."""
    networks = build_denoiser(settings, 'meta')
    counter = FlopCounterMode(display=False)
    with counter, torch.no_grad():
        call(networks, make_inputs(settings, latent, torch.device('meta')))
    return counter.get_total_flops() / 1e12


def measure_call(settings: Config, args: argparse.Namespace) -> dict:
    """Run one call a few times; the first may include compilation."""
    device = find_device(args.device)
    dtype = find_dtype(args.dtype, device)
    reset_peak_memory(device)
    networks = build_denoiser(settings, 'cpu')
    for network in networks:
        fill_random(network)
        network.to(device, dtype)
        use_channels_last(network)
    inputs = make_inputs(settings, args.latent, device)
    seconds = []
    for _ in range(args.repeat):
        start = time.perf_counter()
        with torch.no_grad():
            v = call(networks, inputs)
        std = v.float().std().item()  # waits for the device
        seconds.append(time.perf_counter() - start)
    if not std > 0:
        raise ValueError(f'the output is not finite or constant: std {std}')
    return {
        'call_seconds': min(seconds),
        'call_seconds_all': seconds,
        'call_peak_gib': peak_memory(device) / 2**30,
    }


def build_denoiser(
    settings: Config, device: str
) -> tuple[nn.Module, nn.Module]:
    controlnet = build_part(settings, 'controlnet', device)
    return controlnet.eval(), build_part(settings, 'backbone', device).eval()


def make_inputs(
    settings: Config, latent: tuple[int, ...], device: torch.device
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    model = settings.model
    backbone, text_encoder = model.backbone, model.text_encoder
    known = inspect.signature(MODELS.get(backbone.type)).parameters
    given = {name: known[name].default for name in known} | backbone
    channels = given.get('in_dim', given.get('latent_dim', 4))
    sizes = backbone.get('sizes', {})
    dim = sizes.get('context_dim', given.get('text_dim', 1024))
    tokens = text_encoder.get(
        'num_tokens', text_encoder.get('context_length', 77)
    )
    z_t = torch.randn(1, channels, *latent, device=device)
    t = torch.full((1,), 500, device=device)
    text = torch.randn(1, tokens, dim, device=device)
    return z_t, t, text, torch.randn_like(z_t)


def call(
    networks: tuple[nn.Module, nn.Module],
    inputs: tuple[Tensor, Tensor, Tensor, Tensor],
) -> Tensor:
    controlnet, backbone = networks
    z_t, t, text, z_lq = inputs
    return backbone(z_t, t, text, controlnet(z_t, t, text, z_lq))


def measure_restore(args: argparse.Namespace) -> dict:
    """Restore a made-up clip in a process of its own: a clean peak."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder) / 'input.mp4'
        write_clip(source, args.restore)
        command = [sys.executable, '-m', 'star', 'restore', str(source)]
        command += [str(Path(folder) / 'output.mp4'), '--json', *args.others]
        for name in ('config', 'weights', 'device', 'dtype'):
            if getattr(args, name) is not None:
                command += [f'--{name}', getattr(args, name)]
        run = subprocess.run(command, stdout=subprocess.PIPE, text=True)
    if run.returncode:
        raise ValueError(f'restore ended with exit code {run.returncode}')
    report = json.loads(run.stdout)
    return {
        'restore': 'x'.join(map(str, args.restore)),
        'restore_seconds': report['seconds'],
        'restore_frames_per_second': report['frames_per_second'],
        'restore_peak_gib': report['peak_memory'] / 2**30,
    }


def write_clip(path: Path, shape: tuple[int, ...]) -> None:
    """Write a moving pattern of F frames of H x W pixels."""
    from star.video.io import VideoWriter  # not part of a call's peak

    frames, height, width = shape
    y, x = np.mgrid[:height, :width]
    waves = np.stack([x / 5 + y / 9, x / 11 - y / 7, (x + y) / 13], -1)
    with VideoWriter(path, width, height) as writer:
        for i in range(frames):
            image = 127.5 + 127.5 * np.sin(waves + i / 3)
            time = Fraction(i, 25)
            writer.write(image.astype(np.uint8), time, Fraction(1, 25))


def device_name(device: torch.device) -> str:
    if device.type == 'cuda':
        return torch.cuda.get_device_name(device)
    return f'{device.type}, {torch.get_num_threads()} threads'


def show(value: object) -> str:
    if isinstance(value, float):
        return f'{value:.4g}'
    if isinstance(value, int):
        return f'{value:,}'
    if isinstance(value, list):
        return ' '.join(show(item) for item in value)
    return str(value)


if __name__ == '__main__':
    sys.exit(main())
