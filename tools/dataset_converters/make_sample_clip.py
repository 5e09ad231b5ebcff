"""Make the low-quality sample clip from a public-domain photograph.

A slow pan and zoom over a photograph that scikit-image carries, then blur,
4x downsampling, noise and H.264, with a soft tone as the sound track.
"""

import argparse
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
from skimage import data

from star.cli.common import Parser

SCALE = 4
FPS = 24
SAMPLE_RATE = 48000
PHOTOGRAPHS = ('chelsea', 'coffee', 'rocket', 'astronaut')


def camera(
    progress: float, shape: tuple[int, ...], aspect: float
) -> tuple[float, float, float]:
    """Find the part of the photograph that the camera sees.

    Args:
        progress: how far the move has gone, [0, 1].
        shape: the photograph's, (H, W, ...).
        aspect: width over height of the view.

    Returns:
        left, top and width of the view, in pixels of the photograph.
    """
    height, width = shape[:2]
    eased = (1 - np.cos(np.pi * progress)) / 2
    view = min(width, height * aspect) * (0.95 - 0.2 * eased)
    left = (width - view) * (0.25 + 0.4 * eased)
    top = (height - view / aspect) * (0.35 + 0.25 * eased)
    return left, top, view


def render(
    photo: np.ndarray, num_frames: int, size: tuple[int, int]
) -> Iterator[np.ndarray]:
    """Film the photograph, with sub-pixel motion.

    Args:
        photo: (H, W, 3) uint8 RGB.
        num_frames: length of the clip.
        size: width and height of the frames.

    Yields:
        Sharp frames, (height, width, 3) uint8 RGB.
    """
    for index in range(num_frames):
        progress = index / max(num_frames - 1, 1)
        left, top, view = camera(progress, photo.shape, size[0] / size[1])
        step = view / size[0]
        # pixel centres: x_photo + 0.5 = left + step * (x_frame + 0.5)
        offset = np.array([left, top]) + 0.5 * step - 0.5
        matrix = np.array([[step, 0, offset[0]], [0, step, offset[1]]])
        flags = cv2.INTER_LANCZOS4 | cv2.WARP_INVERSE_MAP
        yield cv2.warpAffine(
            photo, matrix, size, flags=flags, borderMode=cv2.BORDER_REFLECT
        )


def degrade(
    frame: np.ndarray, sigma: float, noise: float, rng: np.random.Generator
) -> np.ndarray:
    """Blur, downsample and add noise.

    Args:
        frame: (H, W, 3) uint8 RGB.
        sigma: of the Gaussian blur, in pixels of `frame`.
        noise: standard deviation, in grey levels.
        rng: source of the noise.

    Returns:
        The low-quality frame, (H / 4, W / 4, 3) uint8 RGB.
    """
    size = frame.shape[1] // SCALE, frame.shape[0] // SCALE
    blurred = cv2.GaussianBlur(frame.astype(np.float32), (0, 0), sigma)
    small = cv2.resize(blurred, size, interpolation=cv2.INTER_AREA)
    small += rng.normal(0, noise, small.shape)
    return np.clip(np.rint(small), 0, 255).astype(np.uint8)


def tone(seconds: float) -> np.ndarray:
    """Make a soft chord that swells and fades, (1, samples) float32."""
    time = np.arange(round(seconds * SAMPLE_RATE)) / SAMPLE_RATE
    envelope = 0.05 * np.sin(np.pi * time / seconds) ** 2
    chord = sum(np.sin(2 * np.pi * f * time) for f in (220, 277.2, 329.6))
    return (envelope * chord)[None].astype(np.float32)


def write(path: Path, frames: list[np.ndarray], crf: int) -> None:
    """Write an mp4: H.264 from one thread, so always the same, and AAC."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), 'w') as container:
        video = container.add_stream('libx264', rate=FPS)
        video.height, video.width = frames[0].shape[:2]
        video.pix_fmt = 'yuv420p'
        video.options = {'crf': str(crf), 'preset': 'slow', 'threads': '1'}
        audio = container.add_stream('aac', rate=SAMPLE_RATE, layout='mono')
        audio.bit_rate = 64000
        for frame in frames:
            picture = av.VideoFrame.from_ndarray(frame, format='rgb24')
            container.mux(video.encode(picture))
        container.mux(video.encode())
        for block in _audio_frames(tone(len(frames) / FPS)):
            container.mux(audio.encode(block))
        container.mux(audio.encode())


def _audio_frames(samples: np.ndarray) -> Iterator[av.AudioFrame]:
    for start in range(0, samples.shape[1], 1024):
        block = np.ascontiguousarray(samples[:, start : start + 1024])
        frame = av.AudioFrame.from_ndarray(block, 'fltp', 'mono')
        frame.sample_rate = SAMPLE_RATE
        frame.pts, frame.time_base = start, Fraction(1, SAMPLE_RATE)
        yield frame


def parse_args() -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument(
        'output', type=Path, nargs='?', default='data/samples/cat.mp4'
    )
    parser.add_argument('--photo', choices=PHOTOGRAPHS, default='chelsea')
    parser.add_argument('--frames', type=int, default=24)
    parser.add_argument('--width', type=int, default=128, help='of the clip')
    parser.add_argument('--height', type=int, default=96)
    parser.add_argument('--blur', type=float, default=1.2, help='sigma')
    parser.add_argument('--noise', type=float, default=2, help='grey levels')
    parser.add_argument('--crf', type=int, default=20)
    parser.add_argument('--seed', type=int, default=0)
    parser.add_argument(
        '--ground-truth', type=Path, help='write the sharp clip here too'
    )
    return parser.parse()


def main() -> None:
    args = parse_args()
    rng = np.random.default_rng(args.seed)
    size = args.width * SCALE, args.height * SCALE
    sharp = list(render(getattr(data, args.photo)(), args.frames, size))
    poor = [degrade(frame, args.blur, args.noise, rng) for frame in sharp]
    write(args.output, poor, args.crf)
    if args.ground_truth:
        write(args.ground_truth, sharp, crf=10)


if __name__ == '__main__':
    main()
