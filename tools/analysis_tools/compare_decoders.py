"""Compare a small decoder with the autoencoder's own on clips.

    python tools/analysis_tools/compare_decoders.py \
        tiny_decoder_distillation work_dirs/tiny_decoder_distillation \
        CLIP.mp4 --weights WEIGHTS

A crop of the middle of each clip is encoded, and decoded by both: PSNR in dB
of the small decoder's result to the other's, of both to the clip, and the
seconds of processor time.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from star.apis.inference.build import load_config
from star.apis.inference.load import Source, load_model
from star.cli.common import Parser, execute, number, sizes
from star.models.data_preprocessor import to_float
from star.models.editors.star.decoder_distillation import psnr
from star.video.io import VideoReader

HEAD = ('clip', 'small to own', 'own to clip', 'small to clip', 'own', 'small')


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('config', help='of a DecoderDistillation')
    add('work_dir', help='folder of its training')
    add('clips', nargs='+', type=Path)
    add('--weights', help='folder with the weights of the autoencoder')
    add('--frames', type=number(int, 1), default=6)
    add(
        '--size',
        type=sizes('HxW'),
        metavar='HxW',
        default=(192, 192),
        help="of the crop; multiples of the autoencoder's factor",
    )
    return parser.parse_args(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    source = Source(args.work_dir, args.weights)
    model: Any = load_model(load_config(args.config), source).eval()
    print(f'| {" | ".join(HEAD)} |')
    print('|---|---:|---:|---:|---:|---:|')
    rows = []
    for path in args.clips:
        rows.append(compare(model, read_crop(path, args.frames, args.size)))
        print(format_row(path.name, rows[-1]), flush=True)
    means = torch.tensor(rows).mean(0).tolist()
    print(format_row('mean', means))
    return 0


def format_row(name: str, row: list[float]) -> str:
    cells = [*(f'{x:.2f}' for x in row[:3]), *(f'{x:.3f} s' for x in row[3:])]
    return f'| {name} | {" | ".join(cells)} |'


@torch.inference_mode()
def compare(model: Any, clip: Tensor) -> list[float]:
    """Return three PSNRs and the seconds of both decoders.

    Args:
        model: a DecoderDistillation.
        clip: (1, 3, T, H, W) in [-1, 1].
    """
    z = model.autoencoder.encode(clip)
    window = getattr(model.autoencoder, 'decode_window', z.shape[2])
    if model.autoencoder.temporal_downsample > 1:
        window = z.shape[2]
    start = time.process_time()
    own = model.autoencoder.decode(z)
    middle = time.process_time()
    pieces = [model.decoder(part)[0] for part in z.split(window, 2)]
    end = time.process_time()
    small = torch.cat(pieces, 2)
    pairs = ((small, own), (own, clip), (small, clip))
    return [
        *(psnr(*pair).item() for pair in pairs),
        middle - start,
        end - middle,
    ]


def read_crop(path: Path, frames: int, size: tuple[int, int]) -> Tensor:
    """Read the middle of a clip's first frames, (1, 3, T, H, W)."""
    with VideoReader(path, num_frames=frames) as reader:
        images = [torch.tensor(frame.image) for frame in reader]
    clip = torch.stack(images)
    top, left = (
        (have - want) // 2
        for have, want in zip(clip.shape[1:3], size, strict=True)
    )
    clip = clip[:, top : top + size[0], left : left + size[1]]
    return to_float(clip).permute(3, 0, 1, 2)[None]


if __name__ == '__main__':
    sys.exit(main())
