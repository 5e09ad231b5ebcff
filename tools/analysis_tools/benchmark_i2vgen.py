"""Compare one call of I2VGenUNet with ModelScope's UNet, of the same weights.

    pip download modelscope --no-deps
    unzip -j modelscope-*.whl '*/video_to_video/modules/unet_v2v.py'
    python tools/analysis_tools/benchmark_i2vgen.py unet_v2v.py \
        --latent 2x18x16

STAR's UNet is this one with LIEM, which is left out here, and with a
ControlNet, which is not called. ModelScope's computes in float32, ours in any
--dtype. The file is run. Where xformers and fairscale
are not installed, torch's attention stands for that of xformers. Calls take
turns, so that whatever else the machine does slows both. Exit code: 0 done, 2
wrong use.
"""

import argparse
import importlib.util
import json
import sys
from pathlib import Path
from types import ModuleType
from typing import Any
from unittest.mock import patch

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from star.apis.inference.build import build_part, fill_random, load_config
from star.apis.inference.devices import find_device, find_dtype
from star.cli.common import Parser, execute, number, sizes
from star.models.backbones.i2vgen.checkpoints import to_official
from star.models.layers.memory_format import use_channels_last
from star.utils.turns import compare

TOKENS = 77
_SIZES = ('dim', 'dim_mult', 'num_res_blocks', 'head_dim', 'num_heads')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('src', type=Path, help='unet_v2v.py')
    add('--config', default='i2vgen', help='default: i2vgen')
    add(
        '--latent',
        type=sizes('TxHxW'),
        default=(2, 18, 16),
        metavar='TxHxW',
        help='frames, height and width of the latents; default: 2x18x16',
    )
    add('--repeat', type=number(int, 1), default=3, help='calls; default: 3')
    add('--device', help='default: a GPU where there is one')
    add('--dtype', help='of ours; default: bf16 on a GPU, fp32 elsewhere')
    add('--json', type=Path, help='write the numbers here too')
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    found = measure(args)
    for name in ('ours', 'reference'):
        cost = found[name]
        print(f'{name:<12}{cost["fastest"]:>9.3f} s fastest', end='')
        print(f'{cost["seconds"]:>9.3f} s median')
    print(f'ratio       {found["ratio"]:>9.3f}')
    print(f'difference  {found["difference"]:>9.2e} of the largest number')
    if args.json:
        args.json.write_text(json.dumps(found, indent=1), encoding='utf-8')
    return 0


@torch.inference_mode()
def measure(args: argparse.Namespace) -> dict[str, Any]:
    """Time calls of both networks in turn.

    Returns:
        `ours` and `reference` as of `compare`; `ratio` of the fastest;
        `difference` of the results over the reference's largest number.

    Raises:
        ValueError: the file is not ModelScope's, or does not fit the config.
    """
    device = find_device(args.device)
    dtype = find_dtype(args.dtype, device)
    settings = load_config(args.config)
    settings.model.backbone.liem = None
    ours = build_part(settings, 'backbone').eval()
    fill_random(ours)
    reference = build_reference(args.src, settings.model.backbone)
    states = to_official(
        {f'backbone.{k}': v for k, v in ours.state_dict().items()}
    )
    try:
        reference.load_state_dict(states)
    except RuntimeError as error:
        reason = ' '.join(str(error).split())[:300]
        raise ValueError(
            f'{args.src} does not fit {args.config}: {reason}'
        ) from error
    ours.to(device, dtype)
    reference.to(device)  # it does not convert float32 inputs
    use_channels_last(ours)
    z_t = torch.randn(1, 4, *args.latent, device=device)
    t = torch.full((1,), 500, device=device)
    width = settings.model.backbone.get('sizes', {}).get('context_dim', 1024)
    text = torch.randn(1, TOKENS, width, device=device)
    calls = {
        'ours': lambda: ours(z_t, t, text),
        'reference': lambda: reference(z_t, t, text),
    }
    results = {name: call().float() for name, call in calls.items()}
    truth = results['reference']
    difference = (results['ours'] - truth).abs().max() / truth.abs().max()
    costs: dict[str, Any] = {**compare(calls, args.repeat)}
    ratio = costs['ours']['fastest'] / costs['reference']['fastest']
    return {**costs, 'ratio': ratio, 'difference': difference.item()}


def build_reference(path: Path, backbone: Any) -> nn.Module:
    """Build ModelScope's UNet with a config's sizes.

    Raises:
        ValueError: there is no such file, or it has no such network.
    """
    if not path.is_file():
        raise ValueError(f'there is no file {path}')
    spec = importlib.util.spec_from_file_location('unet_v2v', path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    with patch.dict(sys.modules, _stand_ins()):
        spec.loader.exec_module(module)
    if not hasattr(module, 'Vid2VidSDUNet'):
        raise ValueError(f'{path} has no Vid2VidSDUNet')
    given = backbone.get('sizes', {})
    words = {name: given[name] for name in _SIZES if name in given}
    if 'dim_mult' in words:
        words['dim_mult'] = list(words['dim_mult'])
    width = given.get('context_dim', 1024)
    network = module.Vid2VidSDUNet(
        y_dim=width, context_dim=width, use_checkpoint=False, **words
    )
    return network.eval()


def _stand_ins() -> dict[str, ModuleType]:
    """Return modules for packages that are missing; attention is torch's."""

    def attend(q: Tensor, k: Tensor, v: Tensor, **_: Any) -> Tensor:
        return F.scaled_dot_product_attention(q, k, v)

    needed: dict[str, dict[str, Any]] = {
        'xformers.ops': {'memory_efficient_attention': attend},
        'fairscale.nn.checkpoint': {'checkpoint_wrapper': nn.Identity},
        'rotary_embedding_torch': {'RotaryEmbedding': nn.Identity},
    }
    made: dict[str, ModuleType] = {}
    for name, parts in needed.items():
        first, *rest = name.split('.')
        if importlib.util.find_spec(first):
            continue
        module = made[first] = ModuleType(first)
        for part in rest:
            inner = ModuleType(f'{module.__name__}.{part}')
            setattr(module, part, inner)
            module = made[inner.__name__] = inner
        vars(module).update(parts)
    return made


if __name__ == '__main__':
    sys.exit(main())
