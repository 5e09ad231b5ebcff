"""Restore a small clip with the model that ships with the package.

    python tools/demo.py [--input FILE] [--output FOLDER]

Writes the restored video, and beside it a picture that compares a frame
from its middle, enlarged by bicubic interpolation, with the restored one.
"""

import argparse
import sys
from itertools import islice
from pathlib import Path

import cv2
import numpy as np

from star.apis import FileOptions, init_model, restore_video
from star.apis.inference.progress import ProgressBar
from star.video.io import VideoReader

SAMPLES = Path(__file__).resolve().parent.parent / 'data' / 'samples'
DETAIL = 3  # the detail's side is a third of the frame's
MARGIN = 8
BAND = 32  # height of the labels


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description='Restore a small clip with the shipped model.'
    )
    parser.add_argument(
        '--input', type=Path, help='default: the clip in data/samples'
    )
    parser.add_argument('--output', type=Path, default='demo_output')
    parser.add_argument('--config', help='default: the shipped model')
    parser.add_argument('--weights', help='as for tools/restore.py')
    return parser.parse_args()


def main() -> int:
    args = parse_args()
    try:
        video, picture = demo(args)
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 1
    print(f'restored video: {video}')
    print(f'comparison:     {picture}')
    return 0


def demo(args: argparse.Namespace) -> tuple[Path, Path]:
    src = args.input or find_sample()
    video = args.output / f'{src.stem}_x4.mp4'
    picture = args.output / f'{src.stem}_x4.png'
    model = init_model(args.config, args.weights)
    with ProgressBar(src.name) as progress:
        report = restore_video(
            model,
            src,
            video,
            files=FileOptions(overwrite=True),
            progress=progress,
        )
    print(
        f'{report.frames} frames, {report.input_size[0]}x'
        f'{report.input_size[1]} to {report.output_size[0]}x'
        f'{report.output_size[1]}, {report.seconds:.0f} s, peak memory '
        f'{report.peak_memory / 2**30:.1f} GiB'
    )
    middle = report.frames // 2
    image = compare(read_frame(src, middle), read_frame(video, middle))
    if not cv2.imwrite(str(picture), image[..., ::-1]):
        raise OSError(f'{picture}: cannot be written')
    return video, picture


def find_sample() -> Path:
    clips = sorted(SAMPLES.glob('*.mp4'))
    if not clips:
        raise ValueError(f'no clip in {SAMPLES}; give one with --input')
    return clips[0]


def read_frame(path: Path, index: int) -> np.ndarray:
    """Read one frame, (H, W, 3) uint8 RGB."""
    with VideoReader(path, index + 1) as reader:
        return next(islice(reader, index, None)).image


def compare(lq: np.ndarray, restored: np.ndarray) -> np.ndarray:
    """Draw both frames and, below, the detail with the most texture.

    Args:
        lq: low-quality frame, (h, w, 3) uint8 RGB.
        restored: restored frame, (H, W, 3) uint8 RGB.

    Returns:
        A picture, uint8 RGB.
    """
    height, width = restored.shape[:2]
    bicubic = cv2.resize(lq, (width, height), interpolation=cv2.INTER_CUBIC)
    top, left = find_texture(restored)
    side = height // DETAIL, width // DETAIL
    columns = []
    for frame, label in ((bicubic, 'bicubic'), (restored, 'restored')):
        detail = frame[top : top + side[0], left : left + side[1]]
        detail = cv2.resize(
            detail, (width, height), interpolation=cv2.INTER_NEAREST
        )
        marked = np.ascontiguousarray(frame)
        corner = (left + side[1], top + side[0])
        cv2.rectangle(marked, (left, top), corner, (255, 255, 0), 2)
        columns.append(
            np.vstack([draw_label(label, width), marked, gap(width), detail])
        )
    space = np.full((len(columns[0]), MARGIN, 3), 255, np.uint8)
    return np.hstack([columns[0], space, columns[1]])


def find_texture(frame: np.ndarray) -> tuple[int, int]:
    """Find the top left corner of the detail with the strongest edges."""
    grey = cv2.cvtColor(frame, cv2.COLOR_RGB2GRAY).astype(np.float32)
    edges = np.abs(cv2.Laplacian(grey, cv2.CV_32F))
    height, width = (side // DETAIL for side in grey.shape)
    sums = cv2.integral(edges)
    windows = (
        sums[height:, width:]
        - sums[:-height, width:]
        - sums[height:, :-width]
        + sums[:-height, :-width]
    )
    top, left = np.unravel_index(windows.argmax(), windows.shape)
    return int(top), int(left)


def draw_label(text: str, width: int) -> np.ndarray:
    band = np.full((BAND, width, 3), 255, np.uint8)
    where = (MARGIN, BAND - MARGIN)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(band, text, where, font, 0.7, (0, 0, 0), 1, cv2.LINE_AA)
    return band


def gap(width: int) -> np.ndarray:
    return np.full((MARGIN, width, 3), 255, np.uint8)


if __name__ == '__main__':
    sys.exit(main())
