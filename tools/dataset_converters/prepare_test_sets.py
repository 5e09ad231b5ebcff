"""Prepare test sets for `VideoFolder`: prepare_test_sets.py SET SRC DST.

DST gets the clips (gt/, lq/), what was drawn to degrade them (records/) and
set.json with counts, sizes and hashes. Low-quality inputs of synthetic sets
are made once; what is drawn for a clip depends on the seed and its name only.
An interrupted run goes on when it is started again. `verify DST` decodes
everything and compares it with set.json.

Exit code: 0 done, 1 `verify` found differences, 2 wrong use.
"""

import argparse
import re
import sys
import time
from pathlib import Path

from star.datasets.test_set import (
    MANIFEST,
    Manifest,
    check_pixels,
    differences,
    read_manifest,
)
from star.datasets.test_set_clips import PrepareOptions
from star.datasets.test_set_sources import (
    PUBLISHED,
    check_complete,
    check_published,
    choose,
    choose_held_out,
    find_clips,
    find_folder,
    find_listed,
)
from star.datasets.test_set_writer import Prepared, SetWriter
from star.datasets.transforms.degradation_presets import PRESETS

# what the paper says of its OpenVid sets: number of clips, frames, crop
OPENVID = {'openvid30': (30, 100, None), 'openvid10': (10, 25, (480, 720))}
NAMES = {'openvid30': 'OpenVid30', 'openvid10': 'OpenVid10'}
_LEAST = (720, 1280)  # of OpenVid's frames, where they are not cropped
Sources = dict[str, dict[str, Path]]


def parse_args() -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    commands = parser.add_subparsers(dest='set', required=True)
    for name, published in PUBLISHED.items():
        what = f'{published.num_clips} clips of {published.num_frames} frames'
        command = commands.add_parser(name, help=f'{published.name}: {what}')
        add_places(command)
        command.add_argument(
            '--as-is',
            action='store_true',
            help='take it though counts or sizes are not the published ones',
        )
    for name, (count, frames, _) in OPENVID.items():
        what = f'{count} clips of OpenVid-1M, {frames} frames'
        add_openvid(commands.add_parser(name, help=what), frames, count)
    command = commands.add_parser('folder', help='any clips')
    command.add_argument('name', help='of the set')
    add_places(command)
    command.add_argument(
        '--source', default='a folder of clips', help='for the manifest'
    )
    command.add_argument(
        '--real',
        action='store_true',
        help='clips of SRC are low-quality inputs, not ground truth; unused '
        'where SRC has gt/ or lq/',
    )
    command = commands.add_parser('verify', help='decode and compare a set')
    command.add_argument('dst', type=Path)
    return parser.parse_args()


def add_openvid(
    command: argparse.ArgumentParser, frames: int, count: int
) -> None:
    add_places(command, frames)
    which = command.add_mutually_exclusive_group()
    which.add_argument(
        '--list',
        type=Path,
        help='text file that names the videos, one in each line; without it '
        f'and --table SRC must hold just {count}',
    )
    which.add_argument(
        '--table',
        type=Path,
        help='verified.csv of prepare_openvid.py, or OpenVid-1M.csv: chooses '
        'among those held out from training',
    )


def add_places(
    command: argparse.ArgumentParser, frames: int | None = None
) -> None:
    """Add what all sets have in common."""
    add = command.add_argument
    add('src', type=Path, help="the owner's files, unpacked")
    add('dst', type=Path, help='folder of the prepared set')
    add(
        '--frames',
        type=int,
        default=frames,
        help=f'at most, the first of each clip (default: {frames or "all"})',
    )
    add('--size', type=read_size, metavar='HxW', help='cut out the centre')
    add('--clips', nargs='+', metavar='NAME', help='only these')
    add('--preset', choices=tuple(PRESETS), default='star')
    add('--scale', type=int, default=4, help='of gt/ against lq/')
    add('--seed', type=int, default=0, help='of the degradation')
    add('--ffv1', action='store_true', help='write .mkv instead of PNGs')
    add('--link', action='store_true', help='link unchanged files')


def read_size(text: str) -> tuple[int, int]:
    if not re.fullmatch(r'\d+x\d+', text):
        raise argparse.ArgumentTypeError(f'must be HEIGHTxWIDTH, got {text}')
    height, width = map(int, text.split('x'))
    return height, width


def make_options(args: argparse.Namespace) -> PrepareOptions:
    size = args.size
    if args.set in OPENVID:
        size = size or OPENVID[args.set][2]
    return PrepareOptions(
        num_frames=args.frames,
        size=size,
        preset=args.preset,
        seed=args.seed,
        scale=args.scale,
        ffv1=args.ffv1,
        link=args.link,
    )


def find_sources(
    args: argparse.Namespace, options: PrepareOptions
) -> tuple[str, str, Sources]:
    """Find the clips that are asked for.

    Returns:
        The set's name, what it is made from, and the clips' files by part
        and name.
    """
    if args.set == 'folder':
        found = find_folder(args.src, args.real)
        chosen = {k: choose(clips, args.clips) for k, clips in found.items()}
        return args.name, args.source, chosen
    if args.set in OPENVID:
        source, clips = find_openvid(args, options)
        return NAMES[args.set], source, {'gt': choose(clips, args.clips)}
    published = PUBLISHED[args.set]
    clips = find_clips(args.src, published)
    if args.clips is None and not args.as_is:
        check_complete(clips, published)
    clips = choose(clips, args.clips)
    if not args.as_is:
        check_published(clips, published)
    return published.name, published.source, {published.part: clips}


def find_openvid(
    args: argparse.Namespace, options: PrepareOptions
) -> tuple[str, dict[str, Path]]:
    """Find OpenVid's clips, and say how they were chosen."""
    count, _, _ = OPENVID[args.set]
    if args.list is not None:
        clips, how = find_listed(args.src, args.list), 'a list of names'
    elif args.table is not None:
        least = options.size or _LEAST
        frames = options.num_frames or 1
        clips = choose_held_out(args.src, args.table, count, frames, least)
        how = 'held out from training, smallest SHA-256 of the name'
    else:
        clips, how = find_folder(args.src, real=False)['gt'], 'a folder'
    if len(clips) != count:
        raise ValueError(
            f'{NAMES[args.set]} has {count} clips, {args.src} has '
            f'{len(clips)}: choose them by --list or --table'
        )
    return f'OpenVid-1M (Nan et al., ICLR 2025), the clips by: {how}', clips


def prepare(args: argparse.Namespace) -> str:
    options = make_options(args)
    name, source, sources = find_sources(args, options)
    names = list(next(iter(sources.values())))
    writer = SetWriter(args.dst, options)
    progress = Progress(len(names))
    for clip in names:
        parts = {key: clips[clip] for key, clips in sources.items()}
        progress.add(prepare_clip(writer, clip, parts))
    manifest = writer.finish(name, source)
    return summarize(args.dst, manifest)


def prepare_clip(
    writer: SetWriter, name: str, parts: dict[str, Path]
) -> Prepared:
    """Prepare a clip; an error bears its name."""
    try:
        return writer.prepare(name, parts)
    except ValueError as error:
        raise ValueError(f'clip {name}: {error}') from error


class Progress:
    """Prints a line for each clip, with the time that is left."""

    def __init__(self, total: int) -> None:
        self.total, self.done = total, 0
        self.times: list[float] = []

    def add(self, clip: Prepared) -> None:
        self.done += 1
        sizes = [f'{k} {p.size[1]}x{p.size[0]}' for k, p in clip.entry.parts()]
        what = f'{clip.name}: {clip.entry.frames} frames, {", ".join(sizes)}'
        took = 'there already'
        if clip.seconds is not None:
            self.times.append(clip.seconds)
            left = sum(self.times) / len(self.times) * (self.total - self.done)
            took = f'{clip.seconds:.1f} s, {left / 60:.1f} min left'
        print(f'{self.done}/{self.total} {what} ({took})', file=sys.stderr)


def summarize(root: Path, manifest: Manifest) -> str:
    frames = sum(entry.frames for entry in manifest.clips.values())
    return (
        f'{root}: {manifest.name}, {len(manifest.clips)} clips, {frames} '
        'frames'
    )


def verify(root: Path) -> int:
    """Decode a set; print what differs from its manifest."""
    manifest = read_manifest(root / MANIFEST)
    found, begin = list(differences(root, manifest)), time.monotonic()
    for i, (name, entry) in enumerate(manifest.clips.items(), 1):
        more = check_pixels(root, entry)
        found += more
        state = 'differs' if more else 'good'
        total = len(manifest.clips)
        print(f'{i}/{total} {name}: {state}', file=sys.stderr)
    for line in found:
        print(f'{root}: {line}')
    seconds = time.monotonic() - begin
    result = f'{len(found)} differences' if found else 'nothing differs'
    print(f'{summarize(root, manifest)}: {result} ({seconds:.1f} s)')
    return 1 if found else 0


def main() -> int:
    args = parse_args()
    try:
        if args.set == 'verify':
            return verify(args.dst)
        print(prepare(args))
    except KeyboardInterrupt:
        print('interrupted: the same command goes on', file=sys.stderr)
        return 130
    except (ValueError, OSError) as error:
        print(f'error: {error}', file=sys.stderr)
        return 2
    return 0


if __name__ == '__main__':
    sys.exit(main())
