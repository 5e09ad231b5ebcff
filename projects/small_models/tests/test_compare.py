"""projects/small_models/tools/compare.py as a user calls it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch

from projects.small_models.tools import compare as tool
from projects.small_models.transforms import reduce_clip
from star.evaluation.functional.psnr import psnr
from star.models.editors import Bicubic
from tests.test_apis.clips import write_clip

QUICK = ['--frames', '3', '--device', 'cpu', '--models', 'bicubic']
CUT = ['--size', '48x64']


@pytest.fixture
def clips(tmp_path: Path) -> list[str]:
    paths = [tmp_path / f'{name}.mp4' for name in ('one', 'two')]
    for path in paths:
        write_clip(path, 4, (80, 56))
    return [str(path) for path in paths]


def test_numbers_are_those_of_the_degraded_clips(
    clips: list[str], tmp_path: Path, capsys: pytest.CaptureFixture
):
    out = tmp_path / 'out.json'
    options = ['--seeds', '0', '1', '--json', str(out)]
    assert tool.main([*clips, *QUICK, *CUT, *options]) == 0
    rows = json.loads(out.read_text())
    assert [(row['clip'], row['seed']) for row in rows] == [
        ('one', 0),
        ('one', 1),
        ('two', 0),
        ('two', 1),
    ]
    for row in rows:
        path = tmp_path / f'{row["clip"]}.mp4'
        gt = tool.read_clip(path, 3, (48, 64))
        lq = tool.degrade(gt, row['clip'], 'star', row['seed'])
        assert gt.shape == (3, 3, 48, 64) and lq.shape == (3, 3, 12, 16)
        expected = psnr(Bicubic().restore(lq), gt)
        assert row['PSNR'] == pytest.approx(expected, abs=1e-9)
    mean = np.mean([row['PSNR'] for row in rows])
    table = capsys.readouterr().out.split('mean of 2 clips')[1]
    assert f'| bicubic | {mean:.2f} |' in table


def test_draws_depend_on_seed_and_name_alone():
    gt = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    first = tool.degrade(gt, 'a', 'star', 0)
    assert torch.equal(tool.degrade(gt, 'a', 'star', 0), first)
    assert not torch.equal(tool.degrade(gt, 'b', 'star', 0), first)
    assert not torch.equal(tool.degrade(gt, 'a', 'star', 1), first)


def test_shrinking_alone_and_sharpness():
    gt = torch.randint(256, (2, 3, 32, 32), dtype=torch.uint8)
    lq = tool.degrade(gt, 'a', 'shrink', 0)
    frames = reduce_clip(gt.permute(0, 2, 3, 1).numpy(), 4, 'bicubic')
    assert torch.equal(lq, torch.from_numpy(frames).permute(0, 3, 1, 2))
    ramp = torch.arange(8, dtype=torch.uint8).expand(1, 3, 8, 8)
    assert tool.sharpness(ramp) == 0
    dot = torch.zeros(1, 3, 5, 5, dtype=torch.uint8)
    dot[..., 2, 2] = 9
    assert tool.sharpness(dot) == pytest.approx(8 * 9 / 9)


def test_small_clips_are_named(
    clips: list[str], capsys: pytest.CaptureFixture
):
    options = ['--size', '64x64', '--frames', '9']
    assert tool.main([clips[0], *QUICK, *options]) == 0
    error = capsys.readouterr().err
    assert 'one.mp4: only 4 frames of 56x64' in error


def test_steps_give_rows(clips: list[str], capsys: pytest.CaptureFixture):
    options = ['--models', 'tiny', '--weights', 'tiny=random']
    options += ['--steps', '1', '2', '--frames', '1']
    assert tool.main([clips[0], *QUICK, *CUT, *options]) == 0
    table = capsys.readouterr().out
    assert '| tiny-1 |' in table and '| tiny-2 |' in table


def test_fidelity_gives_rows(clips: list[str], tmp_path: Path):
    out = tmp_path / 'out.json'
    options = ['--fidelity', '0', '0.5', '--preset', 'shrink']
    options += ['--frames', '1', '--json', str(out)]
    assert tool.main([clips[0], *QUICK, *CUT, *options]) == 0
    rows = json.loads(out.read_text())
    found = {row['model']: row['PSNR'] for row in rows}
    assert [*found] == ['bicubic', 'bicubic fidelity 0.5']
    assert found['bicubic fidelity 0.5'] > found['bicubic']


@pytest.mark.parametrize(
    ('words', 'message'),
    [
        (['none.mp4'], 'none.mp4'),
        (['CLIP', '--models', 'other'], 'other'),
        (['CLIP', '--weights', 'a=b'], "--weights: 'a' is not of --models"),
        (['CLIP', '--preset', 'mild'], '`preset` must be in'),
        (['CLIP', '--raft-weights', 'no.pth'], 'no.pth'),
    ],
)
def test_wrong_use_ends_with_one_line(
    clips: list[str],
    words: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
):
    given = [clips[0] if word == 'CLIP' else word for word in words]
    assert tool.main([given[0], *QUICK, *given[1:]]) == 2
    error = capsys.readouterr().err.splitlines()
    assert error[-1].startswith('error: ') and message in error[-1]
