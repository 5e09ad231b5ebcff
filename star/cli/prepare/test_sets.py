"""Prepare test sets: `star prepare test-sets`."""

import argparse
import time
from pathlib import Path

from star.cli.common import DONE, INCOMPLETE, say
from star.cli.options.choices import OPENVID_SETS
from star.cli.progress import ItemProgress
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
from star.datasets.test_set_writer import PreparedClip, SetWriter

_LEAST = (720, 1280)  # of OpenVid's frames, where they are not cropped
Sources = dict[str, dict[str, Path]]


def run(args: argparse.Namespace) -> int:
    """Prepare or verify a set and return the exit code."""
    if args.set == 'verify':
        return verify(args.dst)
    print(prepare(args))
    return DONE


def make_options(args: argparse.Namespace) -> PrepareOptions:
    """Collect the options of preparing a clip."""
    size = args.size
    if args.set in OPENVID_SETS:
        size = size or OPENVID_SETS[args.set][3]
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
    """Find the clips of a set.

    Returns:
        The set's name, what it is made from, and the clips' files by part
        and name.
    """
    if args.set == 'folder':
        found = find_folder(args.src, args.real)
        chosen = {k: choose(clips, args.clips) for k, clips in found.items()}
        return args.name, args.source, chosen
    if args.set in OPENVID_SETS:
        source, clips = find_openvid(args, options)
        return (
            OPENVID_SETS[args.set][0],
            source,
            {'gt': choose(clips, args.clips)},
        )
    published = PUBLISHED[args.set]
    clips = find_clips(args.src, published)
    if args.clips is None and not args.as_is:
        check_complete(clips, published)
    clips = choose(clips, args.clips)
    if not args.as_is:
        check_published(clips, published)
    return published.name, published.source, {published.key: clips}


def find_openvid(
    args: argparse.Namespace, options: PrepareOptions
) -> tuple[str, dict[str, Path]]:
    """Find OpenVid's clips, and describe how they were chosen."""
    name, count, _, _ = OPENVID_SETS[args.set]
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
            f'{name} has {count} clips, {args.src} has '
            f'{len(clips)}: choose them by --list or --table'
        )
    return f'OpenVid-1M (Nan et al., ICLR 2025), the clips by: {how}', clips


def prepare(args: argparse.Namespace) -> str:
    """Prepare a set and summarise it in a line."""
    options = make_options(args)
    name, source, sources = find_sources(args, options)
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
