"""Small files and networks in place of those that a document names."""

import re
import shlex
from pathlib import Path

import cv2
import numpy as np

from star.cli.main import make_parser
from tests.documents import Document
from tests.paths import ROOT
from tests.test_video.clips import pictures, write_clip

FRAMES, WIDTH, HEIGHT = 4, 32, 24
PICTURES = ('.jpg', '.png')
CODECS = {'.avi': 'mpeg4', '.mpg': 'mpeg2video'}
# networks of the same kind without published weights
TWINS = {
    'i2vgen': 'tiny',
    'stablesr': 'tiny_stablesr',
    **{f'realesr{name}': f'realesr{name}' for name in (
        '_animevideov3', '_general_x4v3_dn05', 'gan_x2plus',
        'gan_x4plus_anime_6b',
    )},
}  # fmt: skip
_NEEDS = re.compile(r'# needs ')


def needs_more(text: str) -> bool:
    """Return whether a command or block says that it needs what is not here.

    It says so in a comment that begins with `needs`.
    """
    return bool(_NEEDS.search(text))


def write_files(document: Document, folder: Path) -> None:
    """Write the files that a page shows."""
    for name, content in document.files.items():
        path = folder / name
        path.parent.mkdir(exist_ok=True)
        path.write_text(content, encoding='utf-8')


def with_twin(words: list[str]) -> list[str]:
    """Put a network with random numbers in place of published weights."""
    if '--config' not in words:
        return words
    at = words.index('--config') + 1
    twin = TWINS.get(words[at])
    if twin is None:
        return words
    words = [*words[:at], twin, *words[at + 1 :]]
    if '--weights' in words:
        at = words.index('--weights')
        del words[at : at + 2]
    return [*words, '--weights', 'random']


def make_sources(words: list[str], folder: Path) -> None:
    """Make what a command of `star` reads, unless it is there.

    Args:
        words: without `star`.
        folder: where the command runs.
    """
    if words[0] in ('restore', 'plan'):
        args = make_parser(words[0]).parse(words[1:])
        make_source(folder / args.src)
        if getattr(args, 'prompt_file', None):
            _make_prompts(folder / args.prompt_file)
    elif words[:3] == ['prepare', 'test-sets', 'folder']:
        make_source(folder / words[4])


def make_source(path: Path) -> None:
    """Make a video, a picture, or a folder of them; `scratched` is cut off."""
    if path.exists():
        return
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix in PICTURES:
        cv2.imwrite(str(path), pictures(1, WIDTH, HEIGHT)[0])
    elif path.suffix:
        _make_video(path)
    elif path.name == 'frames':
        path.mkdir()
        for i, frame in enumerate(pictures(FRAMES, WIDTH, HEIGHT)):
            cv2.imwrite(str(path / f'{i:04d}.png'), frame)
    else:
        for name in ('one.mp4', 'below/two.mp4'):
            make_source(path / name)


def make_tensor() -> np.ndarray:
    """Make a clip in memory, (T, 3, h, w) uint8."""
    return pictures(FRAMES, WIDTH, HEIGHT).transpose(0, 3, 1, 2).copy()


def read_words(command: str) -> list[str]:
    """Split a command of `star` as a shell does, without `star`."""
    return shlex.split(command, comments=True)[1:]


def _make_video(path: Path) -> None:
    codec = CODECS.get(path.suffix, 'libx264')
    count = FRAMES if path.stem != 'scratched' else 40
    write_clip(path, pictures(count, WIDTH, HEIGHT), codec=codec)
    if path.stem == 'scratched':
        content = path.read_bytes()
        path.write_bytes(content[: len(content) * 9 // 10])


def _make_prompts(folder: Path) -> None:
    for name in ('one', 'two'):
        for place in (folder, folder / 'below'):
            place.mkdir(parents=True, exist_ok=True)
            (place / f'{name}.txt').write_text('a wave\n')


def link_samples(folder: Path) -> None:
    """Give a folder the sample clip of a checkout."""
    (folder / 'data').mkdir()
    (folder / 'data/samples').symlink_to(ROOT / 'data/samples')
