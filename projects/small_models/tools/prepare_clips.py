"""Turn a folder of videos into arrays of frames for training.

    python -m projects.small_models.tools.prepare_clips SRC DST

Each video becomes an `.npy` file, (T, H, W, 3) uint8 RGB, for the data set
`ClipArrays`.
"""

import argparse
import csv
import sys
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from star.cli.common import DONE, INCOMPLETE, Parser, execute, number, say
from star.utils.files import atomic_path
from star.video.io import VideoError, VideoReader

# scikit-image's, in the public domain or CC0; 'chelsea' is left for the demo
PHOTOGRAPHS = (
    *('astronaut', 'brick', 'camera', 'coffee'),
    *('grass', 'gravel', 'hubble_deep_field', 'rocket'),
)


def parse_args(words: Sequence[str] | None = None) -> argparse.Namespace:
    parser = Parser('prepare_clips', __doc__)
    add = parser.add_argument
    add('src', type=Path, help='folder of videos')
    add('dst', type=Path, help='folder for .npy files')
    add(
        '--windows',
        type=Path,
        help='table (.tsv) with the columns file, start and frames: only '
        'these files and frames',
    )
    count = number(int, 1)
    add('--frames', type=count, default=100, help='at most, of each video')
    add(
        '--halve-from',
        type=count,
        default=1000,
        help='halve videos whose shorter side has so many pixels',
    )
    add(
        '--photographs',
        type=count,
        metavar='FRAMES',
        help='also film the photographs that scikit-image carries, with a '
        'moving camera, in so many frames each',
    )
    return parser.parse(words)


def main(words: Sequence[str] | None = None) -> int:
    return execute(prepare, parse_args(words))


def prepare(args: argparse.Namespace) -> int:
    """Write an array of each clip; report those that cannot be read."""
    if not args.src.is_dir():
        raise ValueError(f'no such folder: {args.src}')
    if args.photographs:
        for name, clip in film_photographs(args.photographs):
            save(args.dst / f'photo_{name}.npy', clip)
    code = DONE
    for path, start, frames in plan(args):
        try:
            clip = read_clip(path, start, frames, args.halve_from)
        except VideoError as error:
            say(f'error: {error}')
            code = INCOMPLETE
            continue
        save(args.dst / f'{path.stem}.npy', clip)
    return code


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


def film_photographs(frames: int) -> Iterator[tuple[str, np.ndarray]]:
    """Yield the name and a clip of every photograph but the demo's."""
    from skimage import color, data

    from tools.dataset_converters.make_sample_clip import render

    for name in PHOTOGRAPHS:
        photo = getattr(data, name)()
        photo = color.gray2rgb(photo) if photo.ndim == 2 else photo
        size = photo.shape[1] * 7 // 8 // 2 * 2, photo.shape[0] * 7 // 8
        yield name, np.stack(list(render(photo, frames, size)))


def read_clip(
    path: Path, start: int, frames: int, halve_from: int
) -> np.ndarray:
    """Read (T, H, W, 3) uint8 RGB.

    Raises:
        VideoError: the video cannot be read or ends before `start`.
    """
    clip = []
    with VideoReader(path, start + frames) as reader:
        for frame in islice(reader, start, None):
            image = frame.image
            height, width = image.shape[:2]
            if min(height, width) >= halve_from:
                size = (width // 2, height // 2)
                image = cv2.resize(image, size, interpolation=cv2.INTER_AREA)
            clip.append(image)
    if not clip:
        raise VideoError(f'{path} has no frame {start}')
    return np.stack(clip)


def save(path: Path, clip: np.ndarray) -> None:
    with atomic_path(path) as temporary, open(temporary, 'wb') as file:
        np.save(file, clip)
    print(
        f'{path.name}: {len(clip)} frames of {clip.shape[2]}x{clip.shape[1]}'
    )


if __name__ == '__main__':
    sys.exit(main())
