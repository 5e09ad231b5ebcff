"""Prepare test sets: `star prepare test-sets`."""

import argparse
import time
from pathlib import Path

from star.cli.common import DONE, INCOMPLETE, say
from star.cli.options.choices import OPENVID_SETS
from star.cli.progress import ItemProgress
from star.datasets.pairing import check_frames
from star.datasets.published_sets import PUBLISHED
from star.datasets.test_set import (
    MANIFEST,
    Manifest,
    check_pixels,
    differences,
    read_manifest,
)
from star.datasets.test_set_clips import PrepareOptions
from star.datasets.test_set_sources import (
    Sources,
    check_complete,
    check_long_enough,
    check_published,
    choose,
    choose_held_out,
    find_folder,
    find_listed,
    find_published,
)
from star.datasets.test_set_writer import PreparedClip, SetWriter

_LEAST = (720, 1280)  # of OpenVid's frames, where they are not cropped


def run(args: argparse.Namespace) -> int:
    """Prepare or verify a set and return the exit code."""
    if args.set == 'verify':
        return verify(args.dst)
    print(prepare(args))
    return DONE


def find_size(args: argparse.Namespace) -> tuple[int, int] | None:
    """Return the size of the crop, or None for no crop."""
    if args.size is None and args.set in OPENVID_SETS:
        return OPENVID_SETS[args.set][3]
    return args.size


def make_options(args: argparse.Namespace, sources: Sources) -> PrepareOptions:
    """Collect the options of preparing a clip.

    Raises:
        ValueError: a number is out of range, or an option would do nothing
            as the set has its inputs.
    """
    given = 'lq' in sources
    wanted = {key: getattr(args, key, None) for key in ('preset', 'seed')}
    if given and 'gt' not in sources:
        wanted['scale'] = getattr(args, 'scale', None)
    unused = [f'--{key}' for key in wanted if wanted[key] is not None]
    if given and unused:
        raise ValueError(
            f'{", ".join(unused)}: the inputs are there and are not made; '
            'leave it out'
        )
    scale = getattr(args, 'scale', None)
    if scale is None:
        real = args.set in PUBLISHED and PUBLISHED[args.set].real
        scale = PUBLISHED[args.set].scale if real else 4
    return PrepareOptions(
        num_frames=args.frames,
        size=find_size(args),
        preset=getattr(args, 'preset', None) or 'star',
        seed=getattr(args, 'seed', None) or 0,
        scale=scale,
        ffv1=args.ffv1,
        link=args.link,
    )


def find_sources(args: argparse.Namespace) -> tuple[str, str, Sources]:
    """Find the clips of a set.

    Returns:
        The set's name, what it is made from, and the clips' files by part
        and name.
    """
    if args.set == 'folder':
        found, name = find_folder(args.src, args.real), args.name
        source = args.source
    elif args.set in OPENVID_SETS:
        name = OPENVID_SETS[args.set][0]
        source, found = find_openvid(args)
    else:
        name, source, found = find_known(args)
    chosen = {key: choose(clips, args.clips) for key, clips in found.items()}
    if args.set in PUBLISHED and not args.as_is:
        check_published(next(iter(chosen.values())), PUBLISHED[args.set])
    check_frames(chosen, args.frames)
    return name, source, chosen


def find_known(args: argparse.Namespace) -> tuple[str, str, Sources]:
    """Find the clips of a published set, as `find_sources` does."""
    published = PUBLISHED[args.set]
    given = getattr(args, 'given_lq', False)
    found = find_published(args.src, published, given)
    if args.clips is None and not args.as_is:
        check_complete(found[published.key], published)
    source = published.source + (', inputs of the copy' if given else '')
    return published.name, source, found


def find_openvid(args: argparse.Namespace) -> tuple[str, Sources]:
    """Find OpenVid's clips, and describe how they were chosen."""
    name, count, _, _ = OPENVID_SETS[args.set]
    if args.list is not None:
        clips, how = find_listed(args.src, args.list), 'a list of names'
    elif args.table is not None:
        least = find_size(args) or _LEAST
        clips = choose_held_out(
            args.src, args.table, count, args.frames, least, args.as_is
        )
        how = 'held out from training, smallest SHA-256 of the name'
    else:
        clips, how = find_folder(args.src, real=False)['gt'], 'a folder'
    if not args.as_is:
        if args.clips is None and len(clips) != count:
            raise ValueError(
                f'{name} has {count} clips, {args.list or args.src} has '
                f'{len(clips)}: choose them by --list, --table or --clips; '
                '--as-is accepts them'
            )
        check_long_enough(choose(clips, args.clips), name, args.frames)
    source = f'OpenVid-1M (Nan et al., ICLR 2025), the clips by: {how}'
    return source, {'gt': clips}


def prepare(args: argparse.Namespace) -> str:
    """Prepare a set and summarise it in a line."""
    name, source, sources = find_sources(args)
    options = make_options(args, sources)
    names = list(next(iter(sources.values())))
    writer = SetWriter(args.dst, options)
    progress = ItemProgress(len(names), 'clips', pause=0)
    for clip in names:
        parts = {key: clips[clip] for key, clips in sources.items()}
        made = prepare_clip(writer, clip, parts)
        progress.step(f': {describe(made)}', new=made.seconds is not None)
    manifest = writer.finish(name, source)
    return summarize(args.dst, manifest)


def prepare_clip(
    writer: SetWriter, name: str, parts: dict[str, Path]
) -> PreparedClip:
    """Prepare a clip; an error begins with its name."""
    try:
        return writer.prepare(name, parts)
    except ValueError as error:
        raise ValueError(f'clip {name}: {error}') from error


def describe(clip: PreparedClip) -> str:
    """Describe a prepared clip in a few words."""
    sizes = [f'{k} {p.size[1]}x{p.size[0]}' for k, p in clip.entry.stored()]
    text = f'{clip.name}, {clip.entry.frames} frames, {", ".join(sizes)}'
    return text if clip.seconds is not None else f'{text}, there already'


def summarize(root: Path, manifest: Manifest) -> str:
    """Summarise a set in a line."""
    frames = sum(entry.frames for entry in manifest.clips.values())
    return (
        f'{root}: {manifest.name}, {len(manifest.clips)} clips, {frames} '
        'frames'
    )


def verify(root: Path) -> int:
    """Decode a set and print the differences to its manifest."""
    manifest = read_manifest(root / MANIFEST)
    found, begin = list(differences(root, manifest)), time.monotonic()
    for i, (name, entry) in enumerate(manifest.clips.items(), 1):
        more = check_pixels(root, entry)
        found += more
        state = 'differs' if more else 'good'
        total = len(manifest.clips)
        say(f'{i}/{total} {name}: {state}')
    for line in found:
        print(f'{root}: {line}')
    seconds = time.monotonic() - begin
    result = f'{len(found)} differences' if found else 'nothing differs'
    print(f'{summarize(root, manifest)}: {result} ({seconds:.1f} s)')
    return INCOMPLETE if found else DONE
