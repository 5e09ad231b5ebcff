"""The clips of published test sets, in the layouts of their owners."""

import hashlib
from collections.abc import Collection
from pathlib import Path

from star.datasets.indexed_video import IndexedVideo
from star.datasets.openvid_table import (
    describe,
    find_files,
    locate,
    make_filter,
    read_entries,
    select,
)
from star.datasets.pairing import check_paired, list_clips, name_some
from star.datasets.published_sets import REDS30, PublishedSet
from star.video.io import list_images

_VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.webm', '.y4m')
Sources = dict[str, dict[str, Path]]


def find_published(
    root: Path, published: PublishedSet, given_lq: bool = False
) -> Sources:
    """Find the ground truth and the inputs of a published set.

    Args:
        root: folder with the set in a layout of its owner.
        published: the set.
        given_lq: take low-quality clips that lie beside the ground truth,
            although the set does not have inputs of its own.

    Returns:
        For 'gt' and 'lq', as far as they are used, the clips by name.

    Raises:
        ValueError: the folder is missing or holds no clip, or clips are not
            paired.
    """
    found = {published.key: find_clips(root, published)}
    if published.lq_layouts and (published.real or given_lq):
        found['lq'] = _find(root, published.lq_layouts, f'{published.name} lq')
        check_paired(root, found, 'gt')
    return found


def find_clips(root: Path, published: PublishedSet) -> dict[str, Path]:
    """Find a set's clips by name; of pairs, the ground truth.

    REDS's validation clips are 000 to 029. Some copies append them to the 240
    training clips as 240 to 269; these get their first names back.

    Args:
        root: folder with the set in a layout of its owner.
        published: the set.

    Raises:
        ValueError: the folder is missing or holds no clip, or two clips have
            one name.
    """
    if not root.is_dir():
        raise ValueError(f'no such folder: {root}')
    clips = _find(root, published.layouts, published.name)
    if published is REDS30 and set(clips) == {str(240 + i) for i in range(30)}:
        return {f'{int(name) - 240:03}': clips[name] for name in sorted(clips)}
    return clips


def _find(root: Path, layouts: tuple[str, ...], what: str) -> dict[str, Path]:
    """Find the clips of the first layout that has any."""
    for layout in layouts:
        clips = _match(root, layout)
        if clips:
            return clips
    raise ValueError(
        f'{root}: there is no clip of {what}; looked for {", ".join(layouts)}'
    )


def _match(root: Path, layout: str) -> dict[str, Path]:
    depth = next(i for i, p in enumerate(layout.split('/')) if p[-1] in '*]')
    clips: dict[str, Path] = {}
    for path in sorted(root.glob(layout)):
        name = path.relative_to(root).parts[depth]
        if path.is_file():
            name = Path(name).stem
        if name.startswith('.') or not _is_clip(path):
            continue
        if name in clips:
            raise ValueError(
                f'{root}: two clips are named {name!r}: '
                f'{clips[name].name} and {path.name}; remove one'
            )
        clips[name] = path
    return clips


def _is_clip(path: Path) -> bool:
    if path.is_dir():
        return bool(list_images(path))
    return path.suffix.lower() in _VIDEOS


def choose(
    clips: dict[str, Path], names: Collection[str] | None
) -> dict[str, Path]:
    """Choose clips by name; all if `names` is None.

    Raises:
        ValueError: a name is unknown.
    """
    if names is None:
        return clips
    unknown = set(names) - set(clips)
    if unknown:
        raise ValueError(
            f'`clips`: there is no {name_some(unknown)}, only '
            f'{name_some(clips)}'
        )
    return {name: clips[name] for name in clips if name in names}


def check_published(clips: dict[str, Path], published: PublishedSet) -> None:
    """Compare clips with a published set without decoding them.

    Args:
        clips: all or some clips of the set, by name.
        published: the set.

    Raises:
        ValueError: a clip has another number of frames or another size.
    """
    for name, path in clips.items():
        video = IndexedVideo(path, 'pyav')
        wanted, found = published.num_frames, video.num_frames
        if wanted is not None and found != wanted:
            raise ValueError(
                f'{path}: {published.name} has {wanted} frames in each clip, '
                f'{name} has {found}; --as-is accepts it'
            )
        size = video.info.height, video.info.width
        if published.size is not None and size != published.size:
            height, width = published.size
            raise ValueError(
                f'{path}: {published.name} is {width}x{height}, {name} is '
                f'{size[1]}x{size[0]}; --as-is accepts it'
            )


def check_complete(clips: dict[str, Path], published: PublishedSet) -> None:
    """Check that a set has the published number of clips.

    Raises:
        ValueError: there are more or fewer clips.
    """
    check_count(clips, published.name, published.num_clips)


def check_count(names: Collection[str], what: str, count: int) -> None:
    """Check the number of clips of a set.

    Args:
        names: of the clips.
        what: name of the set.
        count: of its clips.

    Raises:
        ValueError: there are more or fewer clips.
    """
    if len(names) != count:
        raise ValueError(
            f'{what} has {count} clips, but there are {len(names)}: '
            f'{name_some(names)}; --clips chooses some, --as-is accepts them'
        )


def check_long_enough(
    clips: dict[str, Path], name: str, num_frames: int
) -> None:
    """Check that clips have the frames that a set takes of them.

    Args:
        clips: by name.
        name: of the set.
        num_frames: of each clip of the set.

    Raises:
        ValueError: a clip is shorter.
    """
    for clip, path in clips.items():
        found = IndexedVideo(path, 'pyav').num_frames
        if found < num_frames:
            raise ValueError(
                f'{path}: {name} has {num_frames} frames in each clip, '
                f'{clip} has {found}; choose another clip, or a lower '
                '--frames; --as-is accepts it'
            )


def find_folder(root: Path, real: bool) -> dict[str, dict[str, Path]]:
    """Find the clips of a folder that is no published set.

    Args:
        root: folder with `gt/`, `lq/` and `text/`, or some of them, or with
            the clips themselves.
        real: treat the clips themselves as low-quality inputs, not as ground
            truth.

    Returns:
        For 'gt', 'lq' and 'text', as far as they exist, the clips by name.

    Raises:
        ValueError: the folder is missing or holds no clip, or clips are not
            paired.
    """
    there = [key for key in ('gt', 'lq', 'text') if (root / key).is_dir()]
    if {'gt', 'lq'} & set(there):
        found = {key: list_clips(root / key) for key in there}
        check_paired(root, found, there[0])
        return found
    clips = {
        name: path
        for name, path in list_clips(root).items()
        if not path.is_dir() or list_images(path)
    }
    if not clips:
        raise ValueError(
            f'{root}: there is no clip; it must hold gt/, lq/ or both, or '
            'videos or folders of frames'
        )
    return {'lq' if real else 'gt': clips}


def find_listed(root: Path, listing: Path) -> dict[str, Path]:
    """Find the videos that a text file lists, one in each line.

    Args:
        root: folder of the videos, which may lie in folders below it.
        listing: names of the videos, or paths below `root`, with or without
            the suffix .mp4; empty lines do not count.

    Raises:
        ValueError: the file cannot be read, a video is missing, or two lines
            name one clip.
    """
    try:
        lines = listing.read_text(encoding='utf-8-sig').splitlines()
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{listing}: cannot be read ({error})') from None
    files = find_files(root)
    found: dict[str, Path] = {}
    missing = []
    for name in filter(None, map(str.strip, lines)):
        file = locate(name, files) or locate(f'{name}.mp4', files)
        if file is None:
            missing.append(name)
        elif Path(file).stem in found:
            raise ValueError(f'{listing}: {name} is there twice; remove one')
        else:
            found[Path(file).stem] = root / file
    if missing:
        raise ValueError(f'{root}: lacks {name_some(missing)} of {listing}')
    if not found:
        raise ValueError(f'{listing}: names no video')
    return dict(sorted(found.items()))


def choose_held_out(
    root: Path,
    table: Path,
    count: int,
    num_frames: int,
    size: tuple[int, int],
    fewer: bool = False,
) -> dict[str, Path]:
    """Choose clips of OpenVid that training never sees.

    It takes the held-out clips that are long and large enough and whose names
    have the smallest SHA-256, which is an arbitrary choice and the same
    everywhere.

    Args:
        root: folder of the videos.
        table: OpenVid-1M's table, or the verified one.
        count: number of clips.
        num_frames: least number of frames of a clip.
        size: least height and width of a clip.
        fewer: accept fewer clips, but not none.

    Raises:
        ValueError: there are fewer clips.
    """
    height, width = size
    rules = make_filter(
        {'min_frames': num_frames, 'min_height': height, 'min_width': width}
    )
    entries, removed = select(
        read_entries(table), rules, 'test', find_files(root)
    )
    paths = sorted((root / e.video for e in entries), key=_rank)
    if len(paths) < (1 if fewer else count):
        raise ValueError(
            f'{table}: needs {count} held-out clips, found {len(paths)} '
            f'({describe(removed)})'
        )
    return {path.stem: path for path in sorted(paths[:count])}


def _rank(path: Path) -> str:
    return hashlib.sha256(path.stem.encode()).hexdigest()
