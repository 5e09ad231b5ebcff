"""Measure the full-size networks on one GPU, for docs/performance.md.

    python tools/analysis_tools/gpu_report.py --out work_dirs/gpu_report
    python tools/analysis_tools/gpu_report.py --device cpu --tiny --out /tmp/r

Rows are the denoisers of I2VGen (32 frames of 720x1280) and CogVideoX-5B (25
frames of 480x720), their autoencoders and a training step, with and without
torch.compile, channels-last weights and other attention kernels. Weights are
random. Each group of rows runs in a process of its own within a share of
--minutes, so that a failure loses one row, and a hang one group. The folder
gets report.md and report.json. Exit code: 0 all measured, 1 some rows were
not, 2 wrong use.
"""

import argparse
import json
import statistics
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from star.apis.inference.build import build_part, fill_random, load_config
from star.apis.inference.devices import find_device, find_dtype
from star.cli.common import DONE, INCOMPLETE, Parser, execute, number
from star.models.layers.attention import choose_kernel
from star.models.layers.memory_format import use_channels_last
from star.utils.memory import measure_cost
from star.utils.operation_counter import ATTENTION

Row = dict[str, Any]
Found = Iterator[Row]

# config, latent (C, T, h, w), text (tokens, channels) of each denoiser
SIZES: dict[str, tuple[tuple, ...]] = {
    'full': (
        ('i2vgen', (4, 32, 90, 160), (77, 1024)),
        ('cogvideox_5b', (16, 7, 60, 90), (226, 4096)),
    ),
    'tiny': (
        ('tiny', (48, 2, 6, 8), (3, 32)),
        ('tiny_cogvideox', (4, 2, 4, 6), (4, 32)),
    ),
}
# clips to encode and to decode: (T, H, W) of each autoencoder
CLIPS = {
    'full': ((1, 720, 1280), (3, 720, 1280), (25, 480, 720)),
    'tiny': ((1, 16, 16), (2, 16, 16), (5, 16, 16)),
}
SHARES = {  # of the time
    'matmul': 1,
    'i2vgen': 8,
    'cogvideox': 4,
    'autoencoders': 3,
    'training': 4,
}
KERNELS = ('flash', 'efficient', 'cudnn')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--out', type=Path, required=True, help='folder of the report')
    add(
        '--minutes',
        type=number(float, 0, above=True),
        default=8,
        help='for all together; default: 8',
    )
    add('--only', nargs='+', choices=SHARES, default=list(SHARES))
    add('--repeat', type=number(int, 1), default=3, help='default: 3')
    add('--device', help='default: a GPU where there is one')
    add('--dtype', help='default: bf16 on a GPU, fp32 elsewhere')
    add('--tiny', action='store_true', help='small networks, as a trial')
    add('--run', choices=SHARES, help=argparse.SUPPRESS)  # in a process
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    if args.run:
        run_group(args)
        return DONE
    find_device(args.device)  # a wrong one is named before all else
    args.out.mkdir(parents=True, exist_ok=True)
    deadline = time.monotonic() + 60 * args.minutes
    rows: list[Row] = []
    for i, group in enumerate(args.only):
        left = deadline - time.monotonic()
        share = SHARES[group] / sum(SHARES[name] for name in args.only[i:])
        rows += start_group(group, left * share, args)
        write_report(rows, args)
    return INCOMPLETE if any('error' in row for row in rows) else DONE


def start_group(
    group: str, seconds: float, args: argparse.Namespace
) -> list[Row]:
    """Run a group in a process, which writes its rows line by line."""
    lines = args.out / f'{group}.jsonl'
    lines.unlink(missing_ok=True)
    words = ['--run', group, '--out', args.out, '--repeat', args.repeat]
    for name in ('device', 'dtype'):
        value = getattr(args, name)
        words += [f'--{name}', value] if value else []
    words += ['--tiny'] if args.tiny else []
    command = [sys.executable, __file__, *map(str, words)]
    begin, why = time.monotonic(), None
    try:
        code = subprocess.run(command, timeout=max(seconds, 1)).returncode
        why = f'ended with exit code {code}' if code else None
    except subprocess.TimeoutExpired:
        why = f'stopped after {time.monotonic() - begin:.0f} s'
    text = lines.read_text(encoding='utf-8') if lines.exists() else ''
    rows = [json.loads(line) for line in text.splitlines()]
    if why:
        rows.append({'group': group, 'name': 'the others', 'error': why})
    return rows


def run_group(args: argparse.Namespace) -> None:
    """Measure the rows of a group; a row that fails does not end it."""
    groups: dict[str, Callable[..., Found]] = {
        'matmul': measure_matmul,
        'i2vgen': partial(measure_denoiser, index=0),
        'cogvideox': partial(measure_denoiser, index=1),
        'autoencoders': measure_autoencoders,
        'training': measure_training,
    }
    path = args.out / f'{args.run}.jsonl'
    for row in groups[args.run](args):
        with path.open('a', encoding='utf-8') as file:
            file.write(json.dumps({'group': args.run, **row}) + '\n')
        print(row, file=sys.stderr, flush=True)


def place(args: argparse.Namespace) -> dict[str, Any]:
    device = find_device(args.device)
    return dict(device=device, dtype=find_dtype(args.dtype, device))


def time_calls(
    name: str,
    call: Callable[[], Tensor],
    args: argparse.Namespace,
    tflop: float | None = None,
) -> Row:
    """Time a call after one that does not count; return a row."""
    device = find_device(args.device)
    try:
        if tflop is None:
            counter = FlopCounterMode(display=False, custom_mapping=ATTENTION)
            with counter:
                call()
            tflop = counter.get_total_flops() / 1e12
        call()
        costs = []
        for _ in range(args.repeat):
            with measure_cost(device) as cost:
                call()
            costs.append(cost)
    except Exception as error:
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        return {'name': name, 'error': reason[:300]}
    seconds = statistics.median(cost.seconds for cost in costs)
    return {
        'name': name,
        'seconds': seconds,
        'tflop': tflop,
        'rate': tflop / seconds,
        'gib': max(cost.peak_memory for cost in costs) / 2**30,
    }


@torch.inference_mode()
def measure_matmul(args: argparse.Namespace) -> Found:
    """Measure a matrix product: the most that a network can reach."""
    side = 256 if args.tiny else 8192
    a, b = torch.randn(2, side, side, **place(args))
    yield time_calls(f'{side} x {side} matrices', lambda: a @ b, args)


@torch.inference_mode()
def measure_denoiser(args: argparse.Namespace, index: int) -> Found:
    """Measure a ControlNet and backbone with each option by itself."""
    networks = build_denoiser(args, index)
    call = partial(denoise, networks, make_inputs(args, index))
    plain = time_calls('weights as built', call, args)
    yield plain
    for network in networks:
        use_channels_last(network)
    row = time_calls('default', call, args)
    yield row
    tflop = row.get('tflop') or plain.get('tflop')
    made = place(args)
    for kernel in KERNELS:
        try:
            for network in networks:
                choose_kernel(network, kernel, **made)
        except ValueError as error:
            yield {'name': f'attention {kernel}', 'error': str(error)}
        else:
            yield time_calls(f'attention {kernel}', call, args, tflop)
    for network in networks:
        choose_kernel(network, 'auto', **made)
        network.compile()
    yield time_calls('compile', call, args, tflop)


@torch.inference_mode()
def measure_autoencoders(args: argparse.Namespace) -> Found:
    """Measure encoding and decoding."""
    one, three, many = CLIPS['tiny' if args.tiny else 'full']
    for config, encoded, decoded in (
        ('i2vgen', one, three),
        ('tiny_cogvideox' if args.tiny else 'cogvideox_5b', many, many),
    ):
        name = 'CogVideoX' if 'cog' in config else 'I2VGen'
        vae: Any = build(args, config, 'autoencoder')
        clip = torch.randn(1, 3, *encoded, **place(args))
        yield time_calls(
            f'{name}, encode {shape(encoded)}',
            partial(vae.encode, clip),
            args,
        )
        frames, *sides = decoded
        length = (frames - 1) // vae.temporal_downsample + 1
        size = (length, *(side // vae.downsample for side in sides))
        z = torch.randn(1, vae.latent_channels, *size, **place(args))
        yield time_calls(
            f'{name}, decode {shape(decoded)}', partial(vae.decode, z), args
        )


def measure_training(args: argparse.Namespace) -> Found:
    """Measure a step that trains the ControlNet and the local gates."""
    networks = build_denoiser(args, 0)
    for network in networks:
        use_channels_last(network.train())
    for name, parameter in networks[1].named_parameters():
        parameter.requires_grad_('.local' in name)
    learning = [p for n in networks for p in n.parameters() if p.requires_grad]
    optimizer = torch.optim.AdamW(learning, lr=1e-5)
    inputs = make_inputs(args, 0)
    target = torch.randn_like(inputs[0])

    def step() -> Tensor:
        loss = (denoise(networks, inputs) - target).square().mean()
        loss.backward()
        optimizer.step()
        optimizer.zero_grad()
        return loss.detach()

    yield time_calls('I2VGen, one step', step, args)


def build(args: argparse.Namespace, config: str, name: str) -> nn.Module:
    """Build a part with random weights where it runs."""
    made = place(args)
    part = build_part(load_config(config), name, made['device'])
    fill_random(part.to(made['dtype']))
    return part.eval()


def build_denoiser(
    args: argparse.Namespace, index: int
) -> tuple[nn.Module, nn.Module]:
    config = SIZES['tiny' if args.tiny else 'full'][index][0]
    return build(args, config, 'controlnet'), build(args, config, 'backbone')


def make_inputs(args: argparse.Namespace, index: int) -> tuple[Tensor, ...]:
    _, latent, text = SIZES['tiny' if args.tiny else 'full'][index]
    made = place(args)
    z_t, z_lq = torch.randn(2, 1, *latent, **made)
    t = torch.full((1,), 500, device=made['device'])
    return z_t, t, torch.randn(1, *text, **made), z_lq


def denoise(
    networks: tuple[nn.Module, nn.Module], inputs: tuple[Tensor, ...]
) -> Tensor:
    (controlnet, backbone), (z_t, t, text, z_lq) = networks, inputs
    return backbone(z_t, t, text, controlnet(z_t, t, text, z_lq))


def shape(clip: tuple[int, ...]) -> str:
    return 'x'.join(map(str, clip))


def write_report(rows: list[Row], args: argparse.Namespace) -> None:
    """Write all rows so far as JSON and as a table."""
    made = place(args)
    kind, dtype = made['device'].type, str(made['dtype'])
    name = torch.cuda.get_device_name() if kind == 'cuda' else kind
    head = f'{name}, torch {torch.__version__}, {dtype[6:]}'
    head += ', tiny networks' if args.tiny else ''
    rates = [r['rate'] for r in rows if r['group'] == 'matmul' and 'rate' in r]
    peak = max(rates, default=None)
    lines = [
        head,
        '',
        '| what | option | seconds | TFLOP | TFLOP/s | of matmul | peak |',
        '|---|---|---:|---:|---:|---:|---:|',
        *(describe(row, peak) for row in rows),
    ]
    text = '\n'.join(lines) + '\n'
    (args.out / 'report.md').write_text(text, encoding='utf-8')
    whole = json.dumps({'measured_on': head, 'rows': rows}, indent=1)
    (args.out / 'report.json').write_text(whole, encoding='utf-8')


def describe(row: Row, peak: float | None) -> str:
    cells = [row['group'], row['name']]
    if 'error' in row:
        cells += [row['error'].replace('|', '/'), *[''] * 4]
    else:
        share = f'{100 * row["rate"] / peak:.0f} %' if peak else ''
        cells += [
            f'{row["seconds"]:.4g}',
            f'{row["tflop"]:.4g}',
            f'{row["rate"]:.4g}',
            share,
            f'{row["gib"]:.2f} GiB',
        ]
    return f'| {" | ".join(cells)} |'


if __name__ == '__main__':
    sys.exit(main())
