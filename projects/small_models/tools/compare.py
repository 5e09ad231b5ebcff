"""Score models side by side on clips that are degraded on the spot.

    python -m projects.small_models.tools.compare CLIPS... \\
        --models tiny_compact bicubic realesr_general_x4v3 --seeds 0 1 2 \\
        --frames 16 --size 288x384 --lpips-weights lpips_squeeze.safetensors \\
        --raft-weights raft-small.pth

CLIPS are videos and folders of images. Each is read as ground truth and
degraded once for each seed; all models restore the same low-quality clip,
which depends on the seed and the clip's name alone. Sharpness is the mean
absolute Laplacian over that of the ground truth.

`star test` and `star benchmark` compare more methods on prepared test sets.
Exit code: 0 done, 2 wrong use.
"""

import argparse
import sys
import time
import zlib
from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn

from projects.small_models.transforms import reduce_clip
from star.apis import init_model
from star.apis.inference.build import load_config
from star.apis.test.metrics import build_metrics
from star.cli.common import DONE, Parser, execute, number, say, sizes
from star.datasets.transforms.formatting import to_clip
from star.registry import TRANSFORMS
from star.structures import Metric
from star.utils.files import write_json
from star.video.io import VideoReader

SCALE = 4
SHRINK = 'shrink'  # by Pillow's bicubic filter, and nothing else
FORMATS = {
    'PSNR': '.2f',
    'LPIPS_squeeze': '.4f',
    'Ewarp_small': '.2f',
    'sharpness': '.2f',
    's per frame': '.2f',
}


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser('compare', __doc__)
    add = parser.add_argument
    add('clips', type=Path, nargs='+', metavar='CLIPS')
    add('--models', nargs='+', default=['tiny_compact', 'bicubic'])
    add('--weights', nargs='+', default=[], metavar='MODEL=FILE')
    count = number(int, 1)
    add('--steps', type=count, nargs='+', help='of STAR: one row for each')
    add(
        '--fidelity',
        type=number(float, 0, 1),
        nargs='+',
        default=[0],
        help='one row for each',
    )
    add('--preset', default='star', help=f'of the degradation, or {SHRINK}')
    add('--seeds', type=number(int, 0), nargs='+', default=[0])
    add('--frames', type=count, default=16, help='the first N of each clip')
    add('--size', type=sizes('HxW'), help='crop the centre; default: all')
    add('--lpips-weights', help='without it no LPIPS')
    add('--raft-weights', help='without it no warping error')
    add('--device', help='default: a GPU where there is one')
    add('--json', type=Path, help='write all numbers here')
    return parser.parse(words)


def main(words: Sequence[str] | None = None) -> int:
    return execute(compare, parse_args(words))


def compare(args: argparse.Namespace) -> int:
    """Score everything and print the tables."""
    entries, metrics = build_entries(args), choose_metrics(args)
    rows: list[dict] = []
    for path in args.clips:
        gt = read_clip(path, args.frames, args.size)
        for seed in args.seeds:
            lq = degrade(gt, path.stem, args.preset, seed)
            for name, model, options in entries:
                row = measure(model, options, metrics, lq, gt)
                rows.append({'clip': path.stem, 'seed': seed, 'model': name})
                rows[-1] |= row
                say(f'{path.stem} seed {seed}: {name}: PSNR {row["PSNR"]:.2f}')
    for path in args.clips:
        found = [row for row in rows if row['clip'] == path.stem]
        print(f'{path.stem}\n\n{table(found)}\n')
    print(f'mean of {len(args.clips)} clips\n\n{table(rows)}')
    if args.json:
        write_json(args.json, rows)
    return DONE


def build_entries(args: argparse.Namespace) -> list[tuple[str, Any, Any]]:
    """Build every model; list its name and options for each row."""
    files = dict(text.partition('=')[::2] for text in args.weights)
    unknown = sorted(set(files) - set(args.models))
    if unknown:
        raise ValueError(f'--weights: {unknown[0]!r} is not of --models')
    entries: list[tuple[str, Any, Any]] = []
    for name in args.models:
        is_star = load_config(name).model.type == 'STARModel'
        model: Any = init_model(name, files.get(name), args.device)
        rows = {name: model.restore_options}
        if is_star and args.steps:
            rows = {
                f'{name}-{steps}': replace(
                    model.restore_options, mode='normal', steps=steps
                )
                for steps in args.steps
            }
        for row, options in rows.items():
            for value in args.fidelity:
                label = f'{row} fidelity {value:g}' if value else row
                chosen = replace(options, fidelity=value)
                entries.append((label, model, chosen))
    return entries


def choose_metrics(args: argparse.Namespace) -> list[Metric]:
    """Build PSNR, and the metrics whose weights are given."""
    configs = [{'type': 'PSNR'}]
    for kind, network, weights in (
        ('LPIPS', {'net': 'squeeze'}, args.lpips_weights),
        ('EWarp', {'network': 'small'}, args.raft_weights),
    ):
        if weights:
            configs.append({'type': kind, 'weights': weights, **network})
    metrics = build_metrics(configs, 'cpu')
    if metrics.problems:
        raise ValueError(metrics.problems[0])
    return metrics.built


def read_clip(
    path: Path, num_frames: int, size: tuple[int, int] | None
) -> Tensor:
    """Read ground truth, (T, 3, H, W) uint8 with sides divisible by 4."""
    with VideoReader(path, num_frames) as reader:
        clip = torch.cat([to_clip(frame.image[None]) for frame in reader])
    wanted = clip.shape[-2:] if size is None else size
    height, width = (
        min(have, want) // SCALE * SCALE
        for have, want in zip(clip.shape[-2:], wanted, strict=True)
    )
    if len(clip) < num_frames or (size and (height, width) != size):
        say(f'{path.name}: only {len(clip)} frames of {height}x{width}')
    top, left = (clip.shape[-2] - height) // 2, (clip.shape[-1] - width) // 2
    return clip[..., top : top + height, left : left + width].contiguous()


def degrade(gt: Tensor, name: str, preset: str, seed: int) -> Tensor:
    """Make the low-quality clip, (T, 3, h, w) uint8."""
    frames = gt.permute(0, 2, 3, 1).contiguous().numpy()
    if preset == SHRINK:
        return to_clip(reduce_clip(frames, SCALE, 'bicubic'))
    transform = TRANSFORMS.build(
        {
            'type': 'RealESRGANVideoDegradation',
            'preset': preset,
            'scale': SCALE,
        }
    )
    rng = np.random.default_rng((seed, zlib.crc32(name.encode())))
    return to_clip(transform({'gt': frames, 'rng': rng})['lq'])


def measure(
    model: Any,
    options: Any,
    metrics: list[Metric],
    lq: Tensor,
    gt: Tensor,
) -> dict[str, float]:
    """Restore and score one clip."""
    start = time.perf_counter()
    pred = model.restore(lq, options)
    seconds = time.perf_counter() - start
    scores = {each.name: each.measure(pred, gt).score for each in metrics}
    sharp = sharpness(pred) / max(sharpness(gt), 1e-9)
    return {**scores, 'sharpness': sharp, 's per frame': seconds / len(lq)}


def sharpness(clip: Tensor) -> float:
    """Average the absolute Laplacian, which enlargement lowers."""
    kernel = torch.tensor([[0.0, -1, 0], [-1, 4, -1], [0, -1, 0]])
    planes = clip.flatten(0, 1)[:, None].float()
    edges = nn.functional.conv2d(planes, kernel[None, None])
    return float(edges.abs().mean())


def table(rows: list[dict]) -> str:
    """Average each model's rows, as Markdown."""
    columns = [name for name in FORMATS if name in rows[0]]
    lines = [
        ' | '.join(['model', *columns]),
        ' | '.join(['---'] * (1 + len(columns))),
    ]
    for model in dict.fromkeys(row['model'] for row in rows):
        own = [row for row in rows if row['model'] == model]
        means = (np.mean([row[name] for row in own]) for name in columns)
        cells = [
            format(mean, FORMATS[name])
            for name, mean in zip(columns, means, strict=True)
        ]
        lines.append(' | '.join([model, *cells]))
    return '\n'.join(f'| {line} |' for line in lines)


if __name__ == '__main__':
    sys.exit(main())
