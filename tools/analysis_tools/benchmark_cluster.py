"""Compare two Ray workers with one process, on the same clips.

    python tools/analysis_tools/benchmark_cluster.py
    python tools/analysis_tools/benchmark_cluster.py --clips 8 --frames 96

`star restore` on one core and `star restore --ray local` with workers of one
core each restore the same clips in turn, several times. The results must have
the same bytes. `whole` is the time of the command; `work` leaves out what
happens before the first clip begins: imports, the cluster, the models.
"""

import argparse
import os
import statistics
import subprocess
import sys
import tempfile
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from star.cli.common import Parser, execute, number, sizes
from star.video.io import VideoWriter

COMMAND = [sys.executable, '-m', 'star', 'restore']


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('--clips', type=number(int, 1), default=8)
    add('--frames', type=number(int, 1), default=64, help='of each clip')
    add('--size', type=sizes('HxW'), default=(72, 96), metavar='HxW')
    add('--workers', type=number(int, 1), default=2)
    add('--repeat', type=number(int, 1), default=3)
    return parser.parse(arguments)


def run(args: argparse.Namespace) -> int:
    """Measure and print the table; return the exit code."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        write_clips(folder / 'in', args)
        words = {
            'one process': [],
            f'{args.workers} workers': ['--ray', 'local', '--ray-cpus', '1'],
        }
        rows: dict[str, list[tuple[float, float]]] = {n: [] for n in words}
        contents = set()
        for i in range(args.repeat):
            for j, (title, more) in enumerate(words.items()):
                out = folder / f'{i}-{j}'
                seconds = restore(folder / 'in', out, more, args.workers)
                rows[title].append(seconds)
                print(
                    f'{title}: whole {seconds[0]:.1f}, work {seconds[1]:.1f}'
                )
                contents.add(read_results(out))
        report(rows)
        same = len(contents) == 1
        print('the same bytes' if same else 'the results differ')
        return 0 if same else 1


def write_clips(folder: Path, args: argparse.Namespace) -> None:
    """Write clips of a pattern that moves."""
    folder.mkdir()
    chance = np.random.default_rng(0)
    height, width = args.size
    for i in range(args.clips):
        blocks = (height // 8 + 3, width // 8 + 1, 3)
        pattern = chance.integers(0, 255, blocks, dtype=np.uint8)
        pattern = np.kron(pattern, np.ones((8, 8, 1), np.uint8))
        path = folder / f'{i}.mkv'
        with VideoWriter(
            path, width, height, codec='ffv1', pix_fmt='bgr0'
        ) as writer:
            for j in range(args.frames):
                top = j % 16
                image = pattern[top : top + height, :width]
                frame = np.ascontiguousarray(image)
                writer.write(frame, Fraction(j, 25), Fraction(1, 25))


def restore(
    src: Path, dst: Path, more: list[str], workers: int
) -> tuple[float, float]:
    """Run the command; return its seconds, and those from the first clip on.

    One process gets one core where the system can say so; a cluster gets as
    many as it has workers.
    """
    cores = sorted(os.sched_getaffinity(0))[: workers if more else 1]
    begin = time.perf_counter()
    process = subprocess.Popen(
        [*COMMAND, str(src), str(dst), *more],
        stderr=subprocess.PIPE,
        text=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
        preexec_fn=lambda: os.sched_setaffinity(0, cores),
    )
    assert process.stderr is not None
    first, lines = begin, []
    for line in process.stderr:
        if ': plan: ' in line and first == begin:
            first = time.perf_counter()
        lines.append(line)
    if process.wait():
        raise ValueError(f'star restore has failed: {"".join(lines)}')
    end = time.perf_counter()
    return end - begin, end - first


def read_results(folder: Path) -> bytes:
    """Return the bytes of all results."""
    return b''.join(p.read_bytes() for p in sorted(folder.glob('*.mkv')))


def report(rows: dict[str, list[tuple[float, float]]]) -> None:
    """Print medians, and how many times as fast workers are."""
    (_, one), (title, several) = rows.items()
    for k, name in enumerate(('whole', 'work')):
        ratios = [a[k] / b[k] for a, b in zip(one, several, strict=True)]
        medians = [
            statistics.median(x[k] for x in each) for each in (one, several)
        ]
        print(
            f'{name}: one process {medians[0]:.1f} s, {title} '
            f'{medians[1]:.1f} s, {statistics.median(ratios):.2f} times as '
            f'fast ({min(ratios):.2f} to {max(ratios):.2f})'
        )


if __name__ == '__main__':
    raise SystemExit(execute(run, parse_args()))
