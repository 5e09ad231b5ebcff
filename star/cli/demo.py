"""Restore a small clip and draw a comparison: `star demo`."""

import argparse
from itertools import islice
from pathlib import Path
from typing import Any

import cv2
import numpy as np

from star.apis import FileOptions, init_model, restore_video
from star.cli.common import DONE, say
from star.cli.progress import ProgressBar
from star.utils.paths import config_root
from star.video.io import VideoReader

DETAIL = 3  # the detail's side is a third of the frame's
MARGIN = 8
BAND = 32  # height of the labels


def run(args: argparse.Namespace) -> int:
    """Restore the clip, draw the picture and return the exit code."""
    video, picture = demo(args)
    print(f'restored video: {video}')
    print(f'comparison:     {picture}')
    return DONE


def demo(args: argparse.Namespace) -> tuple[Path, Path]:
    """Write the video and the picture, and return their paths."""
    src = args.input or find_sample()
    video = args.output / f'{src.stem}_x4.mp4'
    picture = args.output / f'{src.stem}_x4.png'
    model: Any = init_model(args.config, args.weights)
    files = FileOptions(overwrite=True)
    with ProgressBar(src.name) as bar:
        report = restore_video(model, src, video, None, files, bar)
    print(
        f'{report.frames} frames, {report.input_size[0]}x'
        f'{report.input_size[1]} to {report.output_size[0]}x'
        f'{report.output_size[1]}, {report.seconds:.0f} s, peak memory '
        f'{report.peak_memory / 2**30:.1f} GiB'
    )
    for note in report.notes:
        say(f'note: {note}')
    middle = report.frames // 2
    image = compare(read_frame(src, middle), read_frame(video, middle))
    if not cv2.imwrite(str(picture), image[..., ::-1]):
        raise OSError(f'{picture}: cannot be written')
    return video, picture


def find_sample() -> Path:
    """Find the sample clip of a checkout."""
    clips = sorted((config_root().parent / 'data/samples').glob('*.mp4'))
    if not clips:
        raise ValueError('only a checkout has a sample clip: give --input')
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
    """Draw a text on a white band."""
    band = np.full((BAND, width, 3), 255, np.uint8)
    where = (MARGIN, BAND - MARGIN)
    font = cv2.FONT_HERSHEY_SIMPLEX
    cv2.putText(band, text, where, font, 0.7, (0, 0, 0), 1, cv2.LINE_AA)
    return band


def gap(width: int) -> np.ndarray:
    """Draw white space between two pictures."""
    return np.full((MARGIN, width, 3), 255, np.uint8)
