"""Compare one call of a diffusion baseline's denoiser with diffusers' UNet.

    python tools/analysis_tools/benchmark_diffusion.py --repeat 5
    python tools/analysis_tools/benchmark_diffusion.py --methods stablesr \
        --latent 1x64x64 --size full --device cuda --dtype bf16

The other network is diffusers' plain UNet of the same widths, without what
the method adds: SPADE and the structure encoder (StableSR, MGLD-VSR), layers
over time (Upscale-A-Video, MGLD-VSR), Swin layers (ResShift). Both have random
weights. Calls take turns, so that whatever else the machine does slows both.
`overhead` is the ratio of the times over the ratio of the operations, less 1:
what a call costs beyond the operations of the added layers. Exit code: 0 done,
2 wrong use.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.flop_counter import FlopCounterMode

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT))

from star.apis.inference.build import build_model, fill_random, load_config
from star.apis.inference.devices import find_device, find_dtype
from star.cli.common import Parser, execute, number, sizes
from star.utils.operation_counter import ATTENTION
from star.utils.turns import compare

TOKENS = 77


@dataclass(frozen=True)
class Pair:
    """A method's denoiser and diffusers' UNet, with inputs for one call.

    Args:
        ours: the call of the method's networks.
        plain: the call of diffusers' network.
    """

    ours: Callable[[], Tensor]
    plain: Callable[[], Tensor]


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--methods', nargs='+', choices=PAIRS, default=list(PAIRS))
    add(
        '--size',
        choices=('tiny', 'full'),
        default='full',
        help='the published widths, or those of the tiny config',
    )
    add(
        '--latent',
        type=sizes('TxHxW'),
        default=(1, 64, 64),
        metavar='TxHxW',
        help='frames, height and width of the latents; default: 1x64x64',
    )
    add('--repeat', type=number(int, 1), default=3, help='calls; default: 3')
    add('--device', help='default: a GPU where there is one')
    add('--dtype', help='default: bf16 on a GPU, fp32 elsewhere')
    add('--json', type=Path, help='write the numbers here too')
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    found = {name: measure(name, args) for name in args.methods}
    print(f'{"method":<18}{"ours":>10}{"plain":>10}{"time":>8}', end='')
    print(f'{"TFLOP":>9}{"FLOP":>8}{"overhead":>10}')
    for name, row in found.items():
        print(
            f'{name:<18}{row["seconds"]:>8.3f} s{row["plain"]:>8.3f} s'
            f'{row["time"]:>7.2f}x{row["tflop"]:>9.4f}{row["flop"]:>7.2f}x'
            f'{100 * row["overhead"]:>8.1f} %'
        )
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding='utf-8')
    return 0


@torch.inference_mode()
def measure(name: str, args: argparse.Namespace) -> dict[str, float]:
    """Time and count one call of each network.

    Returns:
        `seconds` and `plain`, the fastest call of each; `time`, their ratio;
        `tflop` of ours, `flop`, the ratio of both; `overhead`.
    """
    device = find_device(args.device)
    dtype = find_dtype(args.dtype, device)
    config = load_config(f'tiny_{name}' if args.size == 'tiny' else FULL[name])
    with torch.device(device):
        model = build_model(config).eval()
    for name_of_part in set(DENOISER) & set(model.parts):
        part = model.get_submodule(name_of_part)
        fill_random(part)
        part.to(device, dtype)
    pair = PAIRS[name](model, args.latent, dict(device=device, dtype=dtype))
    ours, plain = count(pair.ours), count(pair.plain)
    costs = compare({'ours': pair.ours, 'plain': pair.plain}, args.repeat)
    fast = {key: cost['fastest'] for key, cost in costs.items()}
    ratio = fast['ours'] / fast['plain']
    return {
        'seconds': fast['ours'],
        'plain': fast['plain'],
        'time': ratio,
        'tflop': ours / 1e12,
        'flop': ours / plain,
        'overhead': ratio / (ours / plain) - 1,
    }


def count(call: Callable[[], Tensor]) -> int:
    """Count the operations of a call."""
    with FlopCounterMode(display=False, custom_mapping=ATTENTION) as counter:
        call()
    return counter.get_total_flops()


def spade_pair(model: Any, latent: tuple[int, ...], made: dict) -> Pair:
    """Make the calls of StableSR or MGLD-VSR, structure encoder included."""
    from diffusers import UNet2DConditionModel

    ours = model.get_submodule('unet' if 'unet' in model.parts else 'backbone')
    frames, height, width = latent
    z, z_lq = torch.randn(2, frames, 4, height, width, **made)
    t = torch.full((1,), 500, device=made['device'])
    dim = ours.unet.config.cross_attention_dim
    text = torch.randn(1, TOKENS, dim, **made)
    plain = plain_network(UNet2DConditionModel, ours.unet.config, made)
    structure = model.structure_encoder
    return Pair(
        lambda: ours(z, t, text, structure(z_lq, t)),
        lambda: plain(z, t, text.expand(frames, -1, -1), return_dict=False)[0],
    )


def uav_pair(model: Any, latent: tuple[int, ...], made: dict) -> Pair:
    """Make the calls of Upscale-A-Video; the plain UNet sees frames."""
    from diffusers import UNet2DConditionModel

    ours = model.unet
    frames, height, width = latent
    x = torch.randn(1, 7, frames, height, width, **made)
    t, label = (torch.full((1,), n, device=made['device']) for n in (500, 120))
    block = ours.down_blocks[-1].attentions[0].transformer_blocks[0]
    dim = block.attn2.to_k.in_features
    text = torch.randn(1, TOKENS, dim, **made)
    widths = [b.resnets[0].out_channels for b in ours.down_blocks]
    config = dict(
        in_channels=7,
        block_out_channels=tuple(widths),
        layers_per_block=len(ours.down_blocks[0].resnets),
        norm_num_groups=ours.conv_norm_out.num_groups,
        cross_attention_dim=dim,
        attention_head_dim=block.attn2.heads,
        num_class_embeds=1000,
        down_block_types=('DownBlock2D', *['CrossAttnDownBlock2D'] * 3),
        up_block_types=(*['CrossAttnUpBlock2D'] * 3, 'UpBlock2D'),
        only_cross_attention=(True, True, True, False),
        use_linear_projection=True,
    )
    plain = plain_network(UNet2DConditionModel, config, made)
    rows = x[0].transpose(0, 1).contiguous()
    return Pair(
        lambda: ours(x, t, text, label),
        lambda: plain(
            rows,
            t,
            text.expand(frames, -1, -1),
            class_labels=label.expand(frames),
            return_dict=False,
        )[0],
    )


def resshift_pair(model: Any, latent: tuple[int, ...], made: dict) -> Pair:
    """Make the calls of ResShift; the plain UNet has no Swin layers."""
    from diffusers import UNet2DModel

    ours = model.backbone
    frames, height, width = latent
    z, lq = torch.randn(2, frames, 3, height, width, **made)
    t = torch.full((frames,), 2, device=made['device'])
    widths = [
        entry[0].out_layers[3].out_channels
        for entry in ours.input_blocks
        if hasattr(entry[0], 'out_layers')
    ][::RESIDUAL_BLOCKS]
    config = dict(
        in_channels=6,
        out_channels=3,
        block_out_channels=tuple(widths),
        layers_per_block=RESIDUAL_BLOCKS,
        down_block_types=('DownBlock2D',) * len(widths),
        up_block_types=('UpBlock2D',) * len(widths),
        resnet_time_scale_shift='scale_shift',
        add_attention=False,
    )
    plain = plain_network(UNet2DModel, config, made)
    both = torch.cat([z, lq], 1)
    return Pair(
        lambda: ours(z, lq, t),
        lambda: plain(both, t, return_dict=False)[0],
    )


def plain_network(kind: Any, config: Any, made: dict) -> nn.Module:
    """Make diffusers' network with random weights."""
    with torch.device(made['device']):
        network = kind(
            **{k: v for k, v in dict(config).items() if not k.startswith('_')}
        ).eval()
    fill_random(network)
    return network.to(**made)


RESIDUAL_BLOCKS = 2  # of a level of ResShift
DENOISER = ('unet', 'backbone', 'structure_encoder')  # parts of a method
FULL = {
    'resshift': 'resshift_v3',
    'stablesr': 'stablesr',
    'upscale_a_video': 'upscale_a_video',
    'mgld_vsr': 'mgld_vsr',
}
PAIRS: dict[str, Callable[[Any, tuple[int, ...], dict], Pair]] = {
    'resshift': resshift_pair,
    'stablesr': spade_pair,
    'upscale_a_video': uav_pair,
    'mgld_vsr': spade_pair,
}

if __name__ == '__main__':
    sys.exit(main())
