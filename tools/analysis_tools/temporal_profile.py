"""Draw one row or column of pixels over time, for several results.

    python tools/analysis_tools/temporal_profile.py --row 200 --gt GT \
        input=LQ bicubic=bicubic/clip star=star/clip --out profile.png

Each of the clips is a video or a folder of frames, as PATH or NAME=PATH. All
are shown at the size of the first, the ground truth if there is one (what is
smaller is enlarged), and as far as the shortest goes. Time runs down for a row
and to the right for a column (figure 8 of the paper): what moves evenly draws
straight lines, what flickers draws ragged ones. Exit code: 0 done, 2 wrong
use.
"""

import argparse
import sys
from pathlib import Path

import numpy as np

from star.cli.common import Parser, execute, say
from star.report.figures import check_png, save_figure
from star.report.frames import read_frames
from star.report.profiles import Line, draw_profiles, read_profile
from star.video.io import probe

GROUND_TRUTH = 'ground truth'


def parse_args(arguments: list[str] | None = None) -> argparse.Namespace:
    parser = Parser(description=__doc__)
    add = parser.add_argument
    add('clips', nargs='+', metavar='[NAME=]PATH')
    add('--out', type=Path, required=True, help='a .png file')
    add('--gt', type=Path, help='ground truth; shown first')
    lines = parser.add_mutually_exclusive_group(required=True)
    lines.add_argument('--row', type=int, help='from 0 at the top')
    lines.add_argument('--column', type=int, help='from 0 at the left')
    add('--start', type=int, default=0, help='first pixel on it; default: 0')
    add('--length', type=int, help='pixels on it; default: up to the edge')
    add('--frames', type=int, default=100, help='at most; default: 100')
    return parser.parse(arguments)


def main(arguments: list[str] | None = None) -> int:
    return execute(run, parse_args(arguments))


def run(args: argparse.Namespace) -> int:
    check_png(args.out)
    count = make(args)
    print(f'{args.out}: {count} clips')
    return 0


def make(args: argparse.Namespace) -> int:
    """Read all clips, draw them and return how many there are."""
    if args.frames < 2:
        raise ValueError(f'--frames must be at least 2, got {args.frames}')
    paths = find_clips(args.clips, args.gt)
    first, *_ = paths.values()
    info = probe(first)
    size = (info.height, info.width)
    vertical = args.column is not None
    index = args.column if vertical else args.row
    line = Line(vertical, index, args.start, args.length).fit(size)
    profiles = {
        name: read_profile(path, size, line, args.frames)
        for name, path in paths.items()
    }
    profiles = cut(profiles, vertical)
    frame = next(read_frames(first, size, 1))
    save_figure(draw_profiles(frame, line, profiles), args.out)
    return len(paths)


def cut(
    profiles: dict[str, np.ndarray], vertical: bool
) -> dict[str, np.ndarray]:
    """Keep the frames that all have, so that times can be compared."""
    axis = 1 if vertical else 0
    counts = {name: p.shape[axis] for name, p in profiles.items()}
    least = min(counts.values())
    if least < max(counts.values()):
        told = ', '.join(f'{name} {count}' for name, count in counts.items())
        say(f'note: first {least} frames shown, of {told}')
    where = (slice(None), slice(least)) if vertical else (slice(least),)
    return {name: profile[where] for name, profile in profiles.items()}


def find_clips(texts: list[str], gt: Path | None) -> dict[str, Path]:
    """Name all clips; the ground truth comes first."""
    found = {} if gt is None else {GROUND_TRUTH: gt}
    for text in texts:
        name, equals, path = text.partition('=')
        if not (equals and name) or Path(text).exists():
            name, path = Path(text).stem, text
        if name in found:
            raise ValueError(f'two clips are named {name!r}: use NAME=PATH')
        found[name] = Path(path)
    for path in found.values():
        if not Path(path).exists():
            raise ValueError(f'{path}: no such file or folder')
    return found


if __name__ == '__main__':
    sys.exit(main())
