"""projects/small_models/tools/compare_models.py as a user calls it."""

import json
from pathlib import Path
from urllib.error import URLError

import numpy as np
import pytest
import torch
from torch import Tensor

from star.evaluation.functional.psnr import psnr
from star.evaluation.functional.ssim import ssim
from star.models.editors import Bicubic
from star.video.io import VideoReader
from tests.test_apis.clips import write_clip
from tests.test_tools.test_restore import load_tool

TOOL = load_tool('analysis_tools/compare_models.py')
QUICK = ['--metrics', 'psnr', 'ssim', '--frames', '3', '--device', 'cpu']
QUICK += ['--size', '48x64', '--models', 'bicubic']


def read(path: Path) -> Tensor:
    with VideoReader(path) as reader:
        frames = np.stack([frame.image for frame in reader])
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def no_network(*args: object, **kwargs: object) -> None:
    raise URLError('no route')


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    folder = tmp_path / 'clips'
    folder.mkdir()
    for name in ('one', 'two'):
        write_clip(folder / f'{name}.mp4', 4, (80, 56))
    return folder


def test_numbers_belong_to_the_saved_clips(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    (clips / 'notes.txt').write_text('no clip')
    options = ['--seeds', '0', '1', '--json', str(tmp_path / 'out.json')]
    options += ['--save', str(tmp_path / 'saved'), '--table']
    assert TOOL.main([str(clips), *QUICK, *options]) == 0
    shown = capsys.readouterr()
    assert 'notes.txt: no clip, left out' in shown.err
    report = json.loads((tmp_path / 'out.json').read_text())
    rows = [row for row in report['rows'] if row['model'] == 'bicubic']
    assert [(row['clip'], row['seed']) for row in rows] == [
        ('one', 0),
        ('one', 1),
        ('two', 0),
        ('two', 1),
    ]
    for row in rows:
        folder = tmp_path / 'saved' / row['clip']
        gt, place = read(folder / 'gt'), folder / f'seed{row["seed"]}'
        lq, pred = read(place / 'lq'), read(place / 'bicubic')
        assert gt.shape == pred.shape == (3, 3, 48, 64)
        assert lq.shape == (3, 3, 12, 16)
        assert torch.equal(pred, Bicubic().restore(lq))
        assert row['psnr'] == pytest.approx(psnr(pred, gt), abs=1e-9)
        assert row['ssim'] == pytest.approx(ssim(pred, gt), abs=1e-9)
        assert json.loads((place / 'lq.json').read_text())['preset'] == 'star'
    mean = np.mean([row['psnr'] for row in rows])
    assert report['means']['bicubic']['psnr'] == pytest.approx(mean)
    assert f'| bicubic | {mean:.2f} |' in shown.out
    assert shown.out.index('one\n') < shown.out.index('mean of 2 clips')


def test_draws_depend_on_seed_and_name_alone(clips: Path, tmp_path: Path):
    found = []
    for source in (clips, clips / 'two.mp4'):
        path = tmp_path / 'out.json'
        assert TOOL.main([str(source), *QUICK, '--json', str(path)]) == 0
        rows = json.loads(path.read_text())['rows']
        found.append([r['psnr'] for r in rows if 'psnr' in r][-1])
    assert found[0] == found[1]


def test_small_clips_are_named(clips: Path, capsys: pytest.CaptureFixture):
    options = ['--size', '64x64', '--frames', '9']
    assert TOOL.main([str(clips / 'one.mp4'), *QUICK, *options]) == 0
    error = capsys.readouterr().err
    assert 'note: one.mp4: only 56x64 of it' in error
    assert 'note: one.mp4: only 4 frames' in error


def test_steps_give_rows(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture
):
    path = tmp_path / 'out.json'
    options = ['--models', 'star_tiny', '--weights', 'star_tiny=random']
    options += ['--steps', '1', '2', '--frames', '1', '--json', str(path)]
    assert TOOL.main([str(clips / 'one.mp4'), *QUICK, *options]) == 0
    means = json.loads(path.read_text())['means']
    assert list(means) == ['star_tiny-1', 'star_tiny-2']
    assert '| star_tiny-2 |' in capsys.readouterr().out


@pytest.mark.parametrize(
    ('arguments', 'message'),
    [
        (['none.mp4', *QUICK], 'none.mp4: no such file or folder'),
        (
            ['CLIP', *QUICK, '--models', 'other'],
            '--models must be of star_tin',
        ),
        (['CLIP', *QUICK, '--weights', 'a=b'], '--weights must be NAME=FILE'),
        (['CLIP', *QUICK, '--preset', 'mild'], '`preset` must be in'),
        (['CLIP', *QUICK, '--json', 'none/a.json'], '--json: no folder none'),
        (['CLIP', 'CLIP', *QUICK], 'clips must differ in name: one'),
        (
            ['CLIP', *QUICK, '--models', 'realesr_general_x4v3'],
            '`weights`: realesr-general-x4v3.pth is not in the cache',
        ),
        (
            ['CLIP', *QUICK, '--metrics', 'ewarp', '--raft-weights', 'no.pth'],
            'there is no file no.pth',
        ),
    ],
)
def test_wrong_use_ends_with_one_line(
    clips: Path,
    arguments: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    monkeypatch.setattr('star.utils.weight_files.urlopen', no_network)
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(clips / 'hub'))
    clip = str(clips / 'one.mp4')
    given = [clip if word == 'CLIP' else word for word in arguments]
    assert TOOL.main(given) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith('error: ') and message in error[-1]


@pytest.mark.parametrize('size', ['48', '47x64', '0x0', 'bigxbig'])
def test_wrong_size(size: str, capsys: pytest.CaptureFixture):
    with pytest.raises(SystemExit) as stop:
        TOOL.main(['clip.mp4', *QUICK, '--size', size])
    assert stop.value.code == 2
    assert f"argument --size: invalid size value: '{size}'" in (
        capsys.readouterr().err
    )
