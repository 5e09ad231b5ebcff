"""Time the video degradation, and mmagic's on the same clip.

Numbers are frames of ground truth degraded per second. mmagic's own transforms
come with `pip install -e '.[baselines]' albumentations`; without them, only
ours are timed.
"""

import argparse
import importlib
import io
import json
import math
import sys
import time
from collections.abc import Callable
from pathlib import Path

import av
import cv2
import numpy as np
import torch

from star.cli.common import Parser, execute
from star.datasets.transforms.degradation import RealESRGANVideoDegradation
from star.datasets.transforms.degradation_plan import TEMPORAL
from star.datasets.transforms.degradation_presets import PRESETS
from star.utils import compat
from star.video.io import VideoReader

SCALE = 4
KERNELS = {
    'iso': 0.405,
    'aniso': 0.225,
    'generalized_iso': 0.108,
    'generalized_aniso': 0.027,
    'plateau_iso': 0.108,
    'plateau_aniso': 0.027,
    'sinc': 0.1,
}


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('src', type=Path, nargs='?', help='clip; else noise')
    parser.add_argument('--frames', type=int, default=8)
    parser.add_argument('--size', type=int, nargs=2, default=(720, 1280))
    parser.add_argument('--draws', type=int, default=8)
    parser.add_argument('--threads', type=int, default=2)
    parser.add_argument('--device', default='cpu')
    parser.add_argument('--preset', choices=tuple(PRESETS))
    parser.add_argument('--temporal', choices=TEMPORAL)
    parser.add_argument('--json', type=Path, help='write the numbers here')
    return parser.parse(arguments)


def read_clip(args: argparse.Namespace) -> np.ndarray:
    """Read or draw the ground truth, (T, H, W, 3) uint8."""
    height, width = args.size
    if args.src is None:
        rng = np.random.default_rng(0)
        small = rng.integers(0, 256, (height // 8, width // 8, 3), np.uint8)
        image = cv2.resize(small, (width, height))
        return np.stack([np.roll(image, t, 1) for t in range(args.frames)])
    with VideoReader(args.src, args.frames) as reader:
        frames = [f.image for f in reader]
    area = cv2.INTER_AREA
    return np.stack(
        [cv2.resize(f, (width, height), interpolation=area) for f in frames]
    )


def measure(
    degrade: Callable[[np.ndarray, int], None], clip: np.ndarray, draws: int
) -> dict:
    """Time a degradation at several seeds, after one call to warm up."""
    degrade(clip[:1], 0)
    wall, cpu = [], []
    for seed in range(draws):
        begin, used = time.perf_counter(), time.process_time()
        degrade(clip, seed)
        wall.append(time.perf_counter() - begin)
        cpu.append(time.process_time() - used)
    frames = len(clip)
    return {
        'fps': draws * frames / sum(wall),
        'slowest_fps': frames / max(wall),
        'fps_of_cpu_time': draws * frames / sum(cpu),
    }


def make_ours(
    preset: str, args: argparse.Namespace
) -> Callable[[np.ndarray, int], None]:
    transform = RealESRGANVideoDegradation(
        preset, SCALE, args.temporal, device=args.device
    )

    def degrade(clip: np.ndarray, seed: int) -> None:
        transform.transform({'gt': clip, 'rng': np.random.default_rng(seed)})

    return degrade


def make_theirs() -> Callable[[np.ndarray, int], None]:
    """Chain mmagic's transforms with RealBasicVSR's parameters."""
    compat.import_mmagic()
    compat.require('albumentations', 'baselines')
    module = importlib.import_module('mmagic.datasets.transforms')
    first, second = their_round(module, 0), their_round(module, 1)

    def video(results: dict) -> dict:
        return {'img': their_video(results['img'])}

    def degrade(clip: np.ndarray, seed: int) -> None:
        np.random.seed(seed)  # mmagic draws from the global generator
        size = clip.shape[1] // SCALE, clip.shape[2] // SCALE
        last = [their_final(module, size), [video]]
        if np.random.rand() < 0.5:
            last.reverse()
        results = {'img': [f.astype(np.float32) for f in clip]}
        for step in [*first, video, *second, *last[0], *last[1]]:
            results = step(results)
        assert len(results['img']) == len(clip)

    return degrade


def their_video(images: list[np.ndarray]) -> list[np.ndarray]:
    """Encode and decode as mmagic does.

    Its own routine sets a picture type that today's PyAV refuses.
    """
    codec = ('libx264', 'h264', 'mpeg4')[np.random.randint(3)]
    buffer = io.BytesIO()
    with av.open(buffer, 'w', 'mp4') as container:
        stream = container.add_stream(codec, rate=1)
        stream.height, stream.width = images[0].shape[:2]
        stream.pix_fmt = 'yuv420p'
        stream.bit_rate = np.random.randint(10**4, 10**5 + 1)
        for image in images:
            pixels = np.ascontiguousarray(image.astype(np.uint8))
            frame = av.VideoFrame.from_ndarray(pixels, 'rgb24')
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    with av.open(buffer, 'r', 'mp4') as container:
        frames = [f.to_rgb().to_ndarray() for f in container.decode(video=0)]
    return [frame.astype(np.float32) for frame in frames]


def their_resize(module, **params) -> Callable[[dict], dict]:
    return module.RandomResize(
        params={
            'resize_opt': ['bilinear', 'area', 'bicubic'],
            'resize_prob': [1 / 3, 1 / 3, 1 / 3],
            **params,
        },
        keys=['img'],
    )


def their_round(module, index: int) -> list[Callable[[dict], dict]]:
    """Build blur, resize, noise and JPEG of a round."""
    sigma = [0.2, (3, 1.5)[index]]
    blur = {
        'kernel_size': list(range(7, 22, 2)),
        'kernel_list': list(KERNELS),
        'kernel_prob': list(KERNELS.values()),
        'sigma_x': sigma,
        'sigma_y': sigma,
        'rotate_angle': [-3.1416, 3.1416],
        'beta_gaussian': [0.5, 4],
        'beta_plateau': [1, 2],
        'sigma_x_step': 0.02,
        'sigma_y_step': 0.02,
        'rotate_angle_step': 0.31416,
        'beta_gaussian_step': 0.05,
        'beta_plateau_step': 0.1,
        'omega_step': 0.0628,
        'prob': (1, 0.8)[index],
    }
    noise = {
        'noise_type': ['gaussian', 'poisson'],
        'noise_prob': [0.5, 0.5],
        'gaussian_sigma': [1, (30, 25)[index]],
        'gaussian_gray_noise_prob': 0.4,
        'poisson_scale': [0.05, (3, 2.5)[index]],
        'poisson_gray_noise_prob': 0.4,
        'gaussian_sigma_step': 0.1,
        'poisson_scale_step': 0.005,
    }
    jpeg = {'quality': [30, 95], 'quality_step': 3}
    return [
        module.RandomBlur(params=blur, keys=['img']),
        their_resize(
            module,
            resize_mode_prob=([0.2, 0.7, 0.1], [0.3, 0.4, 0.3])[index],
            resize_scale=([0.15, 1.5], [0.3, 1.2])[index],
            resize_step=(0.015, 0.03)[index],
            is_size_even=True,
        ),
        module.RandomNoise(params=noise, keys=['img']),
        module.RandomJPEGCompression(params=jpeg, keys=['img']),
    ]


def their_final(module, size: tuple[int, int]) -> list:
    """Build the final resize and low-pass."""
    sinc = {
        'kernel_size': list(range(7, 22, 2)),
        'kernel_list': ['sinc'],
        'kernel_prob': [1],
        'omega': [math.pi / 3, math.pi],
        'omega_step': 0.0628,
        'prob': 0.8,
    }
    return [
        their_resize(module, target_size=size),
        module.RandomBlur(params=sinc, keys=['img']),
    ]


def show(name: str, row: dict) -> None:
    print(
        f'{name:28} {row["fps"]:6.2f} frames/s, slowest draw '
        f'{row["slowest_fps"]:6.2f}, per second of CPU '
        f'{row["fps_of_cpu_time"]:6.2f}',
        flush=True,
    )


def compare(clip: np.ndarray, args: argparse.Namespace) -> dict:
    """Time mmagic's transforms and what corresponds to them."""
    try:
        theirs = measure(make_theirs(), clip, args.draws)
    except ImportError as error:
        print(f'not compared with mmagic: {error}')
        return {}
    show('mmagic, RealBasicVSR', theirs)
    ours = measure(make_ours('realbasicvsr', args), clip, args.draws)
    show('ours, realbasicvsr', ours)
    ratio = ours['fps'] / theirs['fps']
    print(f'ours over mmagic: {ratio:.1f}')
    return {'mmagic': theirs, 'realbasicvsr': ours, 'ratio': ratio}


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    torch.set_num_threads(args.threads)
    cv2.setNumThreads(args.threads)
    clip = read_clip(args)
    print(f'{len(clip)} frames of {args.size[1]}x{args.size[0]}')
    rows = {}
    for preset in [args.preset] if args.preset else PRESETS:
        rows[preset] = measure(make_ours(preset, args), clip, args.draws)
        show(preset, rows[preset])
    rows.update(compare(clip, args))
    if args.json:
        args.json.write_text(json.dumps(rows, indent=1))
    return 0


if __name__ == '__main__':
    sys.exit(main())
