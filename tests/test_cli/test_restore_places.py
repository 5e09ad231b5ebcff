"""`star restore`: names, folders and pictures, from the command line."""

import json
import os
from fractions import Fraction
from pathlib import Path

import cv2
import numpy as np
import pytest
from PIL import Image

from star.video.io import VideoReader
from tests.test_apis.clips import read_clip, write_clip
from tests.test_cli.conftest import Star
from tests.test_video.clips import pictures


@pytest.fixture
def restore(star: Star):
    def run(*words):
        return star('restore', *words, '--config', 'bicubic', '--scale', 2)

    return run


def tree(folder: Path) -> list[str]:
    """List a folder's results without their records."""
    return sorted(
        path.relative_to(folder).as_posix()
        for path in folder.rglob('*')
        if path.is_file() and not path.name.endswith('.star.json')
    )


def photo(path: Path, size=(16, 12), **options) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.new('RGB', size, (200, 100, 50)).save(path, **options)
    return path


def test_folder_of_everything(restore, tmp_path):
    src, dst = tmp_path / 'in', tmp_path / 'out'
    photo(src / 'a.jpg')
    photo(src / 'trip/b.jpg', (12, 16))
    photo(src / 'trip/c.bmp', (10, 10))
    for i in range(3):
        photo(src / f'frames/{i:04}.png')
    write_clip(src / 'trip/d.mp4', 2)
    (src / 'trip/notes.txt').write_text('not a clip')
    (src / 'trip/broken.jpg').write_text('no picture')
    photo(src / '.thumbnails/a.jpg')
    done = restore(src, dst, '--json')
    assert done.code == 1
    assert tree(dst) == [
        *('a.jpg', 'frames.mp4', 'trip/b.jpg', 'trip/c.bmp', 'trip/d.mp4')
    ]
    assert Image.open(dst / 'trip/b.jpg').size == (24, 32)
    assert len(read_clip(dst / 'frames.mp4')[0]) == 3
    failed = [r for r in json.loads(done.out) if 'error' in r]
    assert [Path(r['src']).name for r in failed] == ['broken.jpg']
    assert 'left alone: trip/notes.txt' in done.err


def test_gif_stays_a_gif(restore, tmp_path):
    images = [Image.fromarray(frame) for frame in pictures(3)]
    src = tmp_path / 'a.gif'
    images[0].save(
        src,
        save_all=True,
        append_images=images[1:],
        duration=[100, 200, 450],
        loop=2,
    )
    done = restore(src, f'{tmp_path}/out/')
    assert done.code == 0
    assert 'a GIF has 256 colours in each frame' in done.err
    with Image.open(tmp_path / 'out/a.gif') as got:
        assert (got.size, got.n_frames) == ((128, 96), 3)
        assert got.info['loop'] == 2
        lengths = []
        for i in range(3):
            got.seek(i)
            lengths.append(got.info['duration'])
    assert lengths == [100, 200, 450]


@pytest.mark.parametrize('suffix', ['mp4', 'mov', 'mkv', 'webp'])
def test_last_frame_lasts(restore, tmp_path, suffix):
    colours = [(40 * i, 100, 50) for i in range(5)]
    images = [Image.new('RGB', (64, 48), colour) for colour in colours]
    lengths = [100, 40, 100, 60, 700]
    options = {'save_all': True, 'append_images': images[1:]}
    images[0].save(tmp_path / 'a.gif', duration=lengths, **options)
    path = tmp_path / f'b.{suffix}'
    assert restore(tmp_path / 'a.gif', path).code == 0
    with VideoReader(path) as reader:
        found = [(frame.time, frame.duration) for frame in reader]
    expected = [Fraction(sum(lengths[:i]), 1000) for i in range(5)]
    assert [time for time, _ in found] == expected
    assert found[-1][1] == Fraction(7, 10)


@pytest.mark.parametrize('suffix', ['png', 'tif'])
def test_sixteen_bits_and_opacity_stay(restore, tmp_path, suffix):
    y, x = np.mgrid[0:48, 0:64]
    image = np.stack([x * 1000, y * 1300, x + y, x * 900], -1) + 17
    src = tmp_path / 'a.png'
    cv2.imwrite(str(src), image.astype(np.uint16))
    dst = tmp_path / f'b.{suffix}'
    assert restore(src, dst).code == 0
    got = cv2.imread(str(dst), cv2.IMREAD_UNCHANGED)
    assert (got.dtype, got.shape) == (np.uint16, (96, 128, 4))
    low = cv2.resize(got, (64, 48), interpolation=cv2.INTER_AREA)
    inner = np.abs(low.astype(int) - image)[4:-4, 4:-4]
    assert inner.max() < 40  # of 65535: no step of 257


@pytest.mark.parametrize(
    ('words', 'reason'),
    [
        (['a.mp4', 'out'], 'out/ for a folder, out.mp4 for a file'),
        (['a.jpg', 'out'], 'out/ for a folder, out.jpg for a file'),
        (['a.mp4', 'out.xyz'], '.xyz is no kind of file'),
        (['a.mp4', '-'], 'a file called - is ./-'),
        (['-', 'out.mp4'], 'a file called - is ./-'),
        (['a.mp4', ''], 'the path is empty'),
        (['a.mp4', 'a.jpg/'], 'a.jpg: is a file, not a folder'),
        (['a.mp4', 'a.jpg/b.mp4'], 'a.jpg is not a folder'),
        (['.', '.'], 'is the input'),
        (['.', 'out.mp4'], 'must be a folder'),
        (['no', 'out/'], 'no such file or folder'),
    ],
)
def test_wrong_names(restore, tmp_path, monkeypatch, words, reason):
    monkeypatch.chdir(tmp_path)
    write_clip(tmp_path / 'a.mp4', 1)
    photo(tmp_path / 'a.jpg')
    assert reason in restore(*words).error
    assert sorted(os.listdir()) == ['a.jpg', 'a.mp4']


@pytest.mark.parametrize(
    'stem',
    ['ü' * 125, '中' * 83 + 'aa', 'it\'s "it"', 'a\nb', '%d', '-x', 'n\udce9'],
)
def test_any_name(restore, tmp_path, monkeypatch, stem):
    monkeypatch.chdir(tmp_path)
    photo(tmp_path / f'{stem}.jpg')
    source = f'./{stem}.jpg'
    for target in (f'./{stem}.png', 'out/'):
        done = restore(source, target)
        assert done.code == 0, done.err
        assert '.part-' not in done.err and '\n\n' not in done.err
        assert all(' ' in line for line in done.err.splitlines())
    assert Image.open(f'./{stem}.png').size == (32, 24)
    assert tree(tmp_path / 'out') == [f'{stem}.jpg']


def test_as_clip(restore, tmp_path):
    for name in ('b', 'a', 'c'):
        photo(tmp_path / f'in/{name}.png')
    done = restore(tmp_path / 'in', tmp_path / 'out', '--as-clip')
    assert done.code == 0
    names = ['00000000.png', '00000001.png', '00000002.png']
    assert tree(tmp_path / 'out') == names
    assert (
        restore(tmp_path / 'out', tmp_path / 'each', '--no-as-clip').code == 0
    )
    assert tree(tmp_path / 'each') == names
    again = restore(tmp_path / 'in', tmp_path / 'one')
    assert again.code == 0
    assert 'in: its 3 images are restored one by one' in again.err
    assert tree(tmp_path / 'one') == ['a.png', 'b.png', 'c.png']


def test_folders_are_removed_again(restore, tmp_path):
    src = tmp_path / 'a.jpg'
    src.write_text('no picture')
    assert restore(src, f'{tmp_path}/new/folder/').code == 1
    assert os.listdir(tmp_path) == ['a.jpg']
