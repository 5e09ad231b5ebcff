"""The published test sets: contents, and layouts of their owners."""

import hashlib
from collections.abc import Collection
from dataclasses import dataclass
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
from star.video.io import list_images

_VIDEOS = ('.avi', '.m4v', '.mkv', '.mov', '.mp4', '.webm', '.y4m')


@dataclass(frozen=True)
class PublishedSet:
    """A test set that papers report.

    Args:
        name: its name in papers.
        key: what its owner gives: 'gt', or 'lq' for real videos.
        num_clips: number of clips.
        num_frames: number of frames of each clip.
        size: height and width of all frames; None if they differ.
        layouts: patterns of its clips below the given folder; the first one
            with a match is used. `*` alone stands for the name of a clip.
        source: origin, for the manifest.
    """

    name: str
    key: str
    num_clips: int
    num_frames: int
    size: tuple[int, int] | None
    layouts: tuple[str, ...]
    source: str


UDM10 = PublishedSet(
    name='UDM10',
    key='gt',
    num_clips=10,
    num_frames=32,
    size=(720, 1272),
    layouts=(
        *('*/truth', 'udm10/*/truth'),  # as PFNL has it
        *('GT/*', 'UDM10/GT/*', 'GT-Video/*', 'UDM10/GT-Video/*', '*'),
    ),
    source='UDM10 (Yi et al., PFNL, ICCV 2019)',
)
REDS30 = PublishedSet(
    name='REDS30',
    key='gt',
    num_clips=30,
    num_frames=100,
    size=(720, 1280),
    layouts=(
        *('val_sharp/*', 'val/val_sharp/*', 'REDS/val/val_sharp/*'),
        *('train_sharp/2[4-6][0-9]', 'REDS/train_sharp/2[4-6][0-9]'),
        *('2[4-6][0-9]', 'GT/*', 'GT-Video/*', '*'),
    ),
    source='REDS, validation split (Nah et al., CVPRW 2019)',
)
VIDEOLQ = PublishedSet(
    name='VideoLQ',
    key='lq',
    num_clips=50,
    num_frames=100,
    size=None,
    layouts=(
        *('VideoLQ/LQ/*', 'LQ/*', 'VideoLQ/LQ-Video/*', 'LQ-Video/*'),
        *('VideoLQ/*', '*'),
    ),
    source='VideoLQ (Chan et al., RealBasicVSR, CVPR 2022)',
)
PUBLISHED = {'udm10': UDM10, 'reds30': REDS30, 'videolq': VIDEOLQ}


def find_clips(root: Path, published: PublishedSet) -> dict[str, Path]:
    """Find a set's clips by name.

    REDS's validation clips are 000 to 029. Some copies append them to the 240
    training clips as 240 to 269; these get their first names back.

    Args:
        root: folder with the set in a layout of its owner.
        published: the set.

    Raises:
        ValueError: the folder is missing or holds no clip.
    """
    if not root.is_dir():
        raise ValueError(f'no such folder: {root}')
    for layout in published.layouts:
        clips = _match(root, layout)
        if clips:
            break
    else:
        raise ValueError(
            f'{root}: there is no clip of {published.name}; looked for '
            f'{", ".join(published.layouts)}'
        )
    if published is REDS30 and set(clips) == {str(240 + i) for i in range(30)}:
        return {f'{int(name) - 240:03}': clips[name] for name in sorted(clips)}
    return clips


def _match(root: Path, layout: str) -> dict[str, Path]:
    depth = next(i for i, p in enumerate(layout.split('/')) if p[-1] in '*]')
    clips = {}
    for path in sorted(root.glob(layout)):
        name = path.relative_to(root).parts[depth]
        if name.startswith('.'):
            continue
        if path.is_dir() and list_images(path):
            clips[name] = path
        elif path.suffix.lower() in _VIDEOS:
            clips[Path(name).stem] = path
    return clips


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
        if video.num_frames != published.num_frames:
            raise ValueError(
                f'{path}: {published.name} has {published.num_frames} frames '
                f'in each clip, {name} has {video.num_frames}; --as-is '
                'accepts it'
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
    if len(clips) != published.num_clips:
        raise ValueError(
            f'{published.name} has {published.num_clips} clips, but there '
            f'are {len(clips)}: {name_some(clips)}; --clips chooses some, '
            '--as-is accepts them'
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
    return {'lq' if real else 'gt': clips}


def find_listed(root: Path, listing: Path) -> dict[str, Path]:
    """Find the videos that a text file lists, one in each line.

    Raises:
        ValueError: the file cannot be read, or a video is missing.
    """
    try:
        lines = listing.read_text(encoding='utf-8').split('\n')
    except (OSError, UnicodeDecodeError) as error:
        raise ValueError(f'{listing}: cannot be read ({error})') from None
    files = find_files(root)
    names = [line.strip() for line in lines if line.strip()]
    missing = [name for name in names if locate(name, files) is None]
    if missing:
        raise ValueError(f'{root}: lacks {name_some(missing)} of {listing}')
    paths = [root / str(locate(name, files)) for name in names]
    return {path.stem: path for path in sorted(paths)}


def choose_held_out(
    root: Path, table: Path, count: int, num_frames: int, size: tuple[int, int]
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
    if len(paths) < count:
        raise ValueError(
            f'{table}: needs {count} held-out clips, found {len(paths)} '
            f'({describe(removed)})'
        )
    return {path.stem: path for path in sorted(paths[:count])}


def _rank(path: Path) -> str:
    return hashlib.sha256(path.stem.encode()).hexdigest()
