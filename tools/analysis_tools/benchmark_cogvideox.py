"""Measure a call of CogVideoXDiT against diffusers' transformer.

    MALLOC_MMAP_THRESHOLD_=65536 \
        python tools/analysis_tools/benchmark_cogvideox.py --repeat 50
    python tools/analysis_tools/benchmark_cogvideox.py --size 5b \
        --clip 25x480x720 --device cuda --dtype bf16

Both have the same random weights; diffusers' has no local gates and gets the
low-quality latents as channels too. Calls take turns, so that whatever else
the machine does slows both. Memory is what a call takes beyond what was there
before: allocated on a CUDA device, else resident; there the variable above
makes the C library give freed memory back, without which it would not be seen
again. Exit code: 0 done, 2 wrong use.
"""

import argparse
import json
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from star.apis.inference.build import fill_random
from star.apis.inference.devices import find_device, find_dtype
from star.cli.common import Parser, execute, number, sizes
from star.models.backbones import CogVideoXDiT
from star.utils.turns import compare

SIZES: dict[str, dict[str, int]] = {
    'tiny': dict(
        num_layers=3, num_heads=4, head_dim=32, time_dim=32, text_dim=64
    ),
    '2b': dict(num_layers=30, num_heads=30),
    '5b': {},
}
NUM_TEXT = {'tiny': 16, '2b': 226, '5b': 226}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--size', choices=SIZES, default='tiny')
    add(
        '--clip',
        type=clip_shape,
        default=(25, 64, 96),
        metavar='TxHxW',
        help='frames, height and width in pixels; default: 25x64x96',
    )
    count = number(int, 1)
    add('--batch', type=count, default=2, help='2 with guidance, the default')
    add('--repeat', type=count, default=10, help='calls of each; default: 10')
    add('--device', help='default: a GPU where there is one')
    add('--dtype', help='default: bf16 on a GPU, fp32 elsewhere')
    add('--json', type=Path, help='write the numbers here too')
    return parser.parse(arguments)


def clip_shape(text: str) -> tuple[int, int, int]:
    """Read TxHxW.

    Raises:
        ArgumentTypeError: it is not 4k+1 frames of a multiple of 16.
    """
    frames, height, width = sizes('TxHxW')(text)
    if frames % 4 == 1 and height % 16 == width % 16 == 0:
        return frames, height, width
    raise argparse.ArgumentTypeError(
        f'must be 4k+1 frames of multiples of 16, such as 25x480x720, got '
        f'{text!r}'
    )


def make_ours(
    size: str, device: torch.device, dtype: torch.dtype
) -> CogVideoXDiT:
    """Make our network with random weights, in place where it runs."""
    with torch.device('meta'):
        network = CogVideoXDiT(**SIZES[size])  # type: ignore[arg-type]
    network.to(dtype).to_empty(device=device)
    # `fill_random` draws on the CPU
    with torch.no_grad():
        if device.type == 'cpu':
            fill_random(network)
        else:
            for parameter in network.parameters():
                parameter.normal_(std=0.02)
    return network.eval()


def make_theirs(ours: CogVideoXDiT) -> nn.Module:
    """Make diffusers' network on our weights, without the local gates."""
    from diffusers import CogVideoXTransformer3DModel

    with torch.device('meta'):
        network = CogVideoXTransformer3DModel(**ours.transformer.config)
    state = {
        name: tensor
        for name, tensor in ours.transformer.state_dict().items()
        if '.local' not in name
    }
    network.load_state_dict(state, strict=True, assign=True)
    network.norm_out.norm.eps = 1e-6
    return network.eval()


def make_calls(args: argparse.Namespace) -> dict[str, Callable[[], Tensor]]:
    """Make the calls to compare, each with inputs as its network has them."""
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    device = find_device(args.device)
    dtype = find_dtype(args.dtype, device)
    ours = make_ours(args.size, device, dtype)
    theirs = make_theirs(ours)
    grid = latent_grid(args.clip)
    made: dict[str, Any] = dict(device=device, dtype=dtype)
    z, z_lq = torch.randn(2, args.batch, ours.latent_dim, *grid, **made)
    config = ours.transformer.config
    text = torch.randn(
        args.batch, NUM_TEXT[args.size], config.text_embed_dim, **made
    )
    t = torch.full((args.batch,), 499, device=device)
    size = (grid[1] // 2, grid[2] // 2)
    rope = get_3d_rotary_pos_embed(
        ours.head_dim, ((0, 0), size), size, grid[0], device=device
    )
    frames = torch.cat([z, z_lq], 1).transpose(1, 2).contiguous()
    return {
        'CogVideoXDiT': lambda: ours(z, t, text, z_lq),
        'diffusers': lambda: theirs(
            frames, text, t, image_rotary_emb=rope, return_dict=False
        )[0],
    }


def latent_grid(clip: tuple[int, int, int]) -> tuple[int, int, int]:
    """Turn a clip's frames, height and width into its latents'."""
    frames, height, width = clip
    return (frames - 1) // 4 + 1, height // 8, width // 8


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    found = compare(make_calls(args), args.repeat)
    for name, cost in found.items():
        print(
            f'{name}: {1e3 * cost["seconds"]:.2f} ms, fastest '
            f'{1e3 * cost["fastest"]:.2f} ms, {cost["bytes"] / 1e6:.2f} MB'
        )
    ours, theirs = found.values()
    ratios = {key: ours[key] / (theirs[key] or 1) for key in ours}
    print(', '.join(f'{key}: x {ratio:.3f}' for key, ratio in ratios.items()))
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding='utf-8')
    return 0


if __name__ == '__main__':
    sys.exit(main())
