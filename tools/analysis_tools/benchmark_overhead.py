"""Measure what journal, cuts and record of trust add to a restoration.

    python tools/analysis_tools/benchmark_overhead.py CLIP --config bicubic

The clip is restored in turns with all of them, as `star restore` does, and
without: frames are read, restored and encoded, and nothing else. Both start
in this process with the same model. Printed are the seconds of CPU of each,
their ratio and the peak memory.
"""

import argparse
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from statistics import median

import torch
from torch import Tensor

from star.apis import init_model, restore_video
from star.cli.common import Parser, execute, number
from star.models.contracts import Restorer
from star.utils.memory import peak_memory, reset_peak_memory
from star.video.io import VideoReader, VideoWriter


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    parser.add_argument('clip', type=Path)
    parser.add_argument('--config', help='default: the shipped model')
    parser.add_argument('--weights')
    parser.add_argument('--rounds', type=number(int, 1), default=3)
    return parser.parse(arguments)


def restore_plainly(model: Restorer, clip: Path, result: Path) -> None:
    """Read, restore and encode; keep nothing and measure nothing."""
    options = model.restore_options
    times = []
    with VideoReader(clip) as reader:
        reader.count()  # both find damage before the work

        def frames() -> Iterator[Tensor]:
            for frame in reader:
                times.append((frame.time, frame.duration))
                yield torch.from_numpy(frame.image).permute(2, 0, 1)

        size = [
            round(side * options.scale)
            for side in (reader.info.width, reader.info.height)
        ]
        with VideoWriter(result, size[0], size[1], reader.info) as writer:
            for piece in model.restore_stream(frames()):
                for image in piece.permute(0, 2, 3, 1):
                    pixels = image.contiguous().numpy()
                    writer.write(pixels, *times.pop(0))


def measure(
    model: Restorer, clip: Path, folder: Path, name: str
) -> dict[str, float]:
    """Restore once; return seconds of CPU and of the clock, and memory."""
    device = torch.device('cpu')
    reset_peak_memory(device)
    work = time.process_time(), time.perf_counter()
    result = folder / f'{name}.mp4'
    if name == 'plain':
        restore_plainly(model, clip, result)
    else:
        restore_video(model, clip, result)
    spent = time.process_time() - work[0], time.perf_counter() - work[1]
    for path in folder.iterdir():
        path.unlink()
    return {
        'cpu_seconds': spent[0],
        'seconds': spent[1],
        'peak_memory': peak_memory(device),
    }


def run(args: argparse.Namespace) -> int:
    model = init_model(args.config, args.weights)
    found: dict[str, list[dict[str, float]]] = {'plain': [], 'whole': []}
    with tempfile.TemporaryDirectory() as folder:
        measure(model, args.clip, Path(folder), 'plain')  # warms up
        for _ in range(args.rounds):
            for name, costs in found.items():
                costs.append(measure(model, args.clip, Path(folder), name))
    summary = {
        f'{name}_{key}': median(cost[key] for cost in costs)
        for name, costs in found.items()
        for key in costs[0]
    }
    for key in ('cpu_seconds', 'seconds'):
        ratios = [
            whole[key] / plain[key]
            for plain, whole in zip(*found.values(), strict=True)
        ]
        summary[f'ratio_of_{key}'] = median(ratios)
    print(json.dumps({k: round(v, 4) for k, v in summary.items()}, indent=1))
    return 0


if __name__ == '__main__':
    args = parse_args()
    raise SystemExit(execute(run, args))
