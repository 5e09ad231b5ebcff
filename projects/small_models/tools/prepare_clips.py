"""Turn videos into arrays for training: prepare_clips.py SRC DST."""

import argparse
import csv
import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from star.video.io import VideoError, VideoReader

# scikit-image's, in the public domain or CC0; 'chelsea' is left for the demo
PHOTOGRAPHS = (
    *('astronaut', 'brick', 'camera', 'coffee'),
    *('grass', 'gravel', 'hubble_deep_field', 'rocket'),
)


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Write each video of a folder as an array of frames.'
    )
    parser.add_argument('src', type=Path, help='folder of videos')
    parser.add_argument('dst', type=Path, help='folder for .npy files')
    parser.add_argument(
        '--frames', type=int, default=100, help='at most, of each video'
    )
    parser.add_argument(
        '--windows',
        type=Path,
        help='table (.tsv) with the columns file, start and frames: only '
        'these files and frames',
    )
    parser.add_argument(
        '--halve-from',
        type=int,
        default=1000,
        help='halve videos whose shorter side has so many pixels',
    )
    parser.add_argument(
        '--photographs',
        type=int,
        default=0,
        metavar='FRAMES',
        help='also film the photographs that scikit-image carries, with a '
        'moving camera, in so many frames each',
    )
    return parser.parse_args()


def film_photographs(dst: Path, frames: int) -> None:
    """Write a clip of every photograph, but for the demo's."""
    from make_sample_clip import render
    from skimage import color, data

    for name in PHOTOGRAPHS:
        photo = getattr(data, name)()
        photo = color.gray2rgb(photo) if photo.ndim == 2 else photo
        size = photo.shape[1] * 7 // 8 // 2 * 2, photo.shape[0] * 7 // 8
        clip = np.stack(list(render(photo, frames, size)))
        np.save(dst / f'photo_{name}.npy', clip)
        print(f'{name}: {len(clip)} frames of {size[0]}x{size[1]}')


def read_clip(
    path: Path, start: int, frames: int, halve_from: int
) -> np.ndarray:
    """Read (T, H, W, 3) uint8 RGB."""
    clip = []
    with VideoReader(path, start + frames) as reader:
        for frame in islice(reader, start, None):
            image = frame.image
            height, width = image.shape[:2]
            if min(height, width) >= halve_from:
                size = (width // 2, height // 2)
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            clip.append(image)
    return np.stack(clip)


def plan(args: argparse.Namespace) -> list[tuple[Path, int, int]]:
    """List path, first frame and number of frames of each clip."""
    if args.windows is None:
        paths = sorted(p for p in args.src.iterdir() if p.is_file())
        return [(path, 0, args.frames) for path in paths]
    with open(args.windows, newline='') as file:
        return [
            (args.src / row['file'], int(row['start']), int(row['frames']))
            for row in csv.DictReader(file, delimiter='\t')
        ]


def main() -> int:
    args = parse_args()
    if not args.src.is_dir():
        print(f'error: no such folder: {args.src}', file=sys.stderr)
        return 2
    args.dst.mkdir(parents=True, exist_ok=True)
    if args.photographs:
        film_photographs(args.dst, args.photographs)
    failed = 0
    for path, start, frames in plan(args):
        try:
            clip = read_clip(path, start, frames, args.halve_from)
        except VideoError as error:
            print(f'error: {error}', file=sys.stderr)
            failed += 1
            continue
        np.save(args.dst / f'{path.stem}.npy', clip)
        print(
            f'{path.name}: {len(clip)} frames of {clip.shape[2]}x'
            f'{clip.shape[1]}'
        )
    return 1 if failed else 0


if __name__ == '__main__':
    sys.exit(main())
