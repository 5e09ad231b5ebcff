"""Restore clips shrunk by four and compare with bicubic enlargement."""

import argparse
import json
import sys
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from projects.small_models.plain_degradation import reduce_clip
from star.apis import init_model
from star.datasets.transforms.formatting import to_clip
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from star.video.io import VideoError, VideoReader

SCALE = 4


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='PSNR and sharpness against bicubic enlargement, for '
        'videos or folders of images shrunk by four.'
    )
    parser.add_argument('src', type=Path, nargs='+')
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--config')
    parser.add_argument('--weights')
    parser.add_argument('--steps', type=int)
    parser.add_argument('--strength', type=float)
    parser.add_argument('--seed', type=int)
    parser.add_argument(
        '--reduce',
        default='bicubic',
        choices=('area', 'bicubic', 'lanczos'),
        help='how clips are shrunk',
    )
    parser.add_argument('--json', type=Path, help='write the numbers here')
    return parser.parse_args()


def psnr(pred: Tensor, gt: Tensor) -> float:
    """PSNR in dB over all frames and channels of uint8 clips."""
    mse = (pred.double() - gt.double()).square().mean()
    return float(10 * torch.log10(255**2 / mse))


def sharpness(clip: Tensor) -> float:
    """Mean absolute Laplacian, which enlargement lowers."""
    x = clip.float()
    middle = x[..., 1:-1, 1:-1]
    around = (
        x[..., :-2, 1:-1]
        + x[..., 2:, 1:-1]
        + x[..., 1:-1, :-2]
        + x[..., 1:-1, 2:]
    )
    return float((4 * middle - around).abs().mean())


def read_gt(path: Path, frames: int) -> Tensor:
    """Read (T, C, H, W) with sides that are multiples of the scale."""
    with VideoReader(path, frames) as reader:
        clip = torch.cat([to_clip(f.image[None]) for f in reader])
    height, width = (side - side % SCALE for side in clip.shape[-2:])
    return clip[..., :height, :width]


def measure(args: argparse.Namespace, model, path: Path) -> dict:
    gt = read_gt(path, args.frames)
    frames = gt.permute(0, 2, 3, 1).numpy()
    lq = to_clip(reduce_clip(frames, SCALE, args.reduce))
    size = (gt.shape[-2], gt.shape[-1])
    bicubic = to_uint8(upsample_clip(to_float(lq), size))
    given = {
        name: getattr(args, name)
        for name in ('steps', 'strength', 'seed')
        if getattr(args, name) is not None
    }
    pred = model.restore(lq, replace(model.restore_options, **given))
    sharp = sharpness(gt)
    return {
        'clip': path.name,
        'frames': len(gt),
        'psnr_bicubic': psnr(bicubic, gt),
        'psnr_restored': psnr(pred, gt),
        'sharpness_bicubic': sharpness(bicubic) / sharp,
        'sharpness_restored': sharpness(pred) / sharp,
    }


def main() -> int:
    args = parse_args()
    rows = []
    try:
        model = init_model(args.config, args.weights)
        print(
            '| clip | PSNR bicubic | PSNR restored | sharpness bicubic |'
            ' sharpness restored |\n|---|---|---|---|---|'
        )
        for path in args.src:
            row = measure(args, model, path)
            rows.append(row)
            print(
                '| {clip} | {psnr_bicubic:.2f} | {psnr_restored:.2f} | '
                '{sharpness_bicubic:.2f} | {sharpness_restored:.2f} |'.format(
                    **row
                ),
                flush=True,
            )
    except (VideoError, ValueError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
