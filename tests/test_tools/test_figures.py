"""The commands that draw the paper's figures, as a user calls them."""

import csv
import math
from dataclasses import replace
from pathlib import Path
from types import ModuleType

import numpy as np
import pytest
import torch
from PIL import Image

from star.apis.analysis.band_psnr import band_psnr
from star.models.data_preprocessor import to_float, to_uint8, upsample_clip
from tests.test_models.fakes import (
    OracleBackbone,
    PixelBackbone,
    fake_model,
)
from tests.test_report.made import clip, frames, results, save_frames, write
from tests.test_tools.tools import load_tool

FOLDER = 'analysis_tools'
WEIGHTS = load_tool(f'{FOLDER}/plot_weights.py')
PROFILE = load_tool(f'{FOLDER}/temporal_profile.py')
TRADEOFF = load_tool(f'{FOLDER}/perception_distortion.py')
BANDS = load_tool(f'{FOLDER}/plot_band_psnr.py')


def read(path: Path) -> list[dict[str, str]]:
    with open(path, newline='') as file:
        return list(csv.DictReader(file))


def is_drawn(path: Path) -> bool:
    """Return whether a picture has more than one colour."""
    return float(np.asarray(Image.open(path).convert('L')).std()) > 1


def call(tool: ModuleType, *args: object) -> int:
    try:
        return tool.main([str(arg) for arg in args])
    except SystemExit as stop:
        return int(stop.code or 0)


def error_of(capsys: pytest.CaptureFixture) -> str:
    """Return the error message, which must be one line."""
    (line,) = capsys.readouterr().err.splitlines()
    return line


def test_weights(tmp_path: Path):
    out = tmp_path / 'weights.png'
    options = ['--alpha', 0.5, 2, '--beta', 0.25, '--b', 'exponential']
    options += ['--num-timesteps', 101]
    assert call(WEIGHTS, '--out', out, *options) == 0
    assert is_drawn(out)
    rows = read(tmp_path / 'weights.csv')
    assert len(rows) == 3 * 101
    at_half = {
        (row['weight'], row['alpha'] or row['beta']): float(row['value'])
        for row in rows
        if row['t'] == '50'
    }
    falls = (math.exp(0.5) - 1) / (math.e - 1)
    assert at_half == {
        ('c', '0.5'): pytest.approx(math.sqrt(0.5)),
        ('c', '2.0'): pytest.approx(0.25),
        ('b', '0.25'): pytest.approx(0.25 * falls),
    }


def test_inverse_weights(tmp_path: Path):
    out = tmp_path / 'weights.png'
    assert call(WEIGHTS, '--out', out, '--order', 'inverse') == 0
    rows = [r for r in read(tmp_path / 'weights.csv') if r['weight'] == 'c']
    ends = {r['value'] for r in rows if r['t'] == '0'}
    assert ends == {'1.0'}


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--alpha', '0'], '`alpha` must be above 0, got 0'),
        (['--alpha', 'nan'], "invalid finite value: 'nan'"),
        (['--beta', '-1'], '`beta` must not be negative, got -1'),
        (['--b', 'cubic'], "invalid choice: 'cubic'"),
        (['--num-timesteps', '1'], '`num_timesteps` must be at least 2'),
        (['--out', 'a.pdf'], '`out` must be a file that ends in .png'),
    ],
)
def test_wrong_weights(
    tmp_path: Path,
    options: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
):
    assert call(WEIGHTS, '--out', tmp_path / 'a.png', *options) == 2
    line = error_of(capsys)
    assert line.startswith('error: ') and message in line
    assert list(tmp_path.iterdir()) == []


@pytest.fixture
def clips(tmp_path: Path) -> dict[str, Path]:
    small = frames()[:3, ::4, ::4]
    return {
        'gt': save_frames(tmp_path / 'gt', frames()),
        'lq': save_frames(tmp_path / 'lq', small),
    }


@pytest.mark.parametrize('option', ['--row', '--column'])
def test_profile(
    tmp_path: Path,
    clips: dict[str, Path],
    option: str,
    capsys: pytest.CaptureFixture,
):
    out = tmp_path / 'new' / 'profile.png'
    given = [f'input={clips["lq"]}', '--gt', clips['gt'], option, 60]
    assert call(PROFILE, *given, '--out', out) == 0
    assert is_drawn(out)
    shown = capsys.readouterr()
    assert shown.out == f'{out}: 2 clips\n'
    expected = 'note: first 3 frames shown, of ground truth 5, input 3\n'
    assert shown.err == expected


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (['none.mp4', '--row', '1'], 'none.mp4: no such file or folder'),
        (['LQ', '--row', '16'], '`row` must lie between 0 and 15, got 16'),
        (['LQ', 'LQ', '--row', '1'], "two clips are named 'lq': use NAME="),
        (['LQ', '--row', '1', '--frames', '1'], '--frames must be at least 2'),
        (['LQ'], 'one of the arguments --row --column is required'),
        (['TEXT', '--row', '1'], 'notes.txt'),
    ],
)
def test_wrong_profile(
    tmp_path: Path,
    clips: dict[str, Path],
    given: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
):
    text = tmp_path / 'notes.txt'
    text.write_text('no video')
    known = {'LQ': clips['lq'], 'TEXT': text}
    words = [known.get(word, word) for word in given]
    assert call(PROFILE, *words, '--out', tmp_path / 'a.png') == 2
    line = error_of(capsys)
    assert line.startswith('error: ') and message in line


def test_tradeoff(tmp_path: Path):
    made = [clip('set', 'a', {'PSNR': 20.0, 'LPIPS': 0.5})]
    made.append(clip('set', 'b', {'PSNR': 22.0, 'LPIPS': 0.5}))
    run, out = write(tmp_path / 'r', results('m', made)), tmp_path / 'pd.png'
    assert call(TRADEOFF, f'star={run}', '--out', out) == 0
    assert is_drawn(out)
    first, *others = read(tmp_path / 'pd.csv')
    assert (first['kind'], first['series']) == ('measured', 'star')
    numbers = [first[c] for c in ('x', 'y', 'x_low', 'x_high', 'y_low')]
    assert numbers == ['21.0', '0.5', '20.0', '22.0', '']
    assert [(o['kind'], o['value']) for o in others] == [
        ('published', value) for value in ('0.25', '0.75', '1.0', '1.5', '2.0')
    ]


def test_tradeoff_of_the_paper_alone(tmp_path: Path):
    out = tmp_path / 'pd.png'
    assert call(TRADEOFF, '--out', out, '--published', 5, 7) == 0
    assert is_drawn(out) and len(read(tmp_path / 'pd.csv')) == 11


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (['none'], 'none has no results.json'),
        (['none', '--table', 'a.csv'], 'give runs or --table, not both'),
        (['--published'], 'there is nothing to draw'),
        (['--published', '1'], '`published` must be of 3, 4, 5, 7, got 1'),
        (['--table', 'none.csv'], 'none.csv cannot be read'),
        (['--x', 'DOVER'], 'table 7 has only PSNR, LPIPS'),
    ],
)
def test_wrong_tradeoff(
    tmp_path: Path,
    given: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
):
    given = ['--out', str(tmp_path / 'a.png'), *given]
    assert call(TRADEOFF, *given) == 2
    line = error_of(capsys)
    assert line.startswith('error: ') and message in line
    assert list(tmp_path.iterdir()) == []


def test_bands(
    tmp_path: Path, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    """The last estimate's numbers are those of the restored clip."""
    model = fake_model(PixelBackbone, scale=4)
    monkeypatch.setattr(BANDS, 'init_model', lambda *_: model)
    out = tmp_path / 'out'
    given = [clips['lq'], '--gt', clips['gt'], '--frames', 2, '--out', out]
    given += ['--steps', 3, '--sampler', 'ddim', '--crop', 32]
    assert call(BANDS, *given, '--cutoff', 0.2) == 0
    pictures = ['band_psnr.png', 'pictures_lq.png']
    assert sorted(p.name for p in out.glob('*.png')) == pictures
    assert all(is_drawn(out / name) for name in pictures)
    rows = read(out / 'band_psnr.csv')
    versions = [(row['version'], row['evaluation']) for row in rows]
    estimates = [('estimate', str(i)) for i in (1, 2, 3)]
    ends = [('enlarged input', '')], [('no high band', '')]
    assert versions == [*ends[0], *estimates, *ends[1]]
    gt, lq = (to_clip(frames()[:2, ::step, ::step]) for step in (1, 4))
    options = replace(
        model.restore_options, steps=3, sampler='ddim', mode='normal'
    )
    bigger = to_uint8(upsample_clip(to_float(lq), (64, 96)))
    for row, pred in (
        (rows[0], bigger),
        (rows[3], model.restore(lq, options)),
    ):
        expected = band_psnr(pred, gt, cutoff=0.2)
        assert float(row['psnr_low']) == pytest.approx(expected.low)
        assert float(row['psnr_high']) == pytest.approx(expected.high)
        assert float(row['psnr']) == pytest.approx(expected.whole)


def to_clip(pixels: np.ndarray) -> torch.Tensor:
    return torch.from_numpy(pixels).permute(0, 3, 1, 2).contiguous()


def test_perfect_estimates_have_no_end(
    tmp_path: Path, clips: dict[str, Path], monkeypatch: pytest.MonkeyPatch
):
    """The oracle gives the input back; with the input as ground truth."""
    model = fake_model(OracleBackbone)
    monkeypatch.setattr(BANDS, 'init_model', lambda *_: model)
    given = [clips['lq'], '--gt', clips['lq'], '--frames', 2]
    assert call(BANDS, *given, '--crop', 8, '--out', tmp_path / 'out') == 0
    rows = read(tmp_path / 'out' / 'band_psnr.csv')
    found = {row['psnr'] for row in rows if row['version'] == 'estimate'}
    assert found == {'inf'}


@pytest.mark.parametrize(
    ('given', 'message'),
    [
        (
            ['LQ', '--gt', 'GT'],
            'must have the size of the restored clip, 16x2',
        ),
        (['LQ', 'LQ', '--gt', 'LQ'], '--gt must name a clip for each of 2'),
        (['LQ', '--gt', 'none.mp4'], 'none.mp4: no such file or folder'),
        (['LQ', '--gt', 'GT', '--frames', '4'], 'must have as many frames, g'),
        (['LQ', '--gt', 'LQ', '--cutoff', '1'], '`cutoff` must lie between'),
        (['LQ', '--gt', 'LQ', '--frames', '0'], '--frames must be at least 1'),
        (
            ['LQ', '--gt', 'LQ', '--steps', '0'],
            '`steps` must be >= 1 and <= 1000',
        ),
        (['LQ', '--gt', 'LQ', '--out', 'FILE'], '--out must be a folder, got'),
        (['LQ', 'LQ', '--gt', 'LQ', 'LQ'], 'two clips are named lq'),
        (['LQ'], 'the following arguments are required: --gt'),
    ],
)
def test_wrong_bands(
    tmp_path: Path,
    clips: dict[str, Path],
    given: list[str],
    message: str,
    capsys: pytest.CaptureFixture,
    monkeypatch: pytest.MonkeyPatch,
):
    model = fake_model(PixelBackbone)
    monkeypatch.setattr(BANDS, 'init_model', lambda *_: model)
    known = {'LQ': clips['lq'], 'GT': clips['gt'], 'FILE': __file__}
    words = [known.get(word, word) for word in given]
    options = ['--out', tmp_path / 'out', '--frames', '3']
    assert call(BANDS, *options, *words) == 2
    line = error_of(capsys)
    assert line.startswith('error: ') and message in line


def test_bands_need_a_sampler(
    tmp_path: Path, clips: dict[str, Path], capsys: pytest.CaptureFixture
):
    given = [clips['lq'], '--gt', clips['gt'], '--frames', 1]
    options = ['--config', 'bicubic', '--out', tmp_path / 'out']
    assert call(BANDS, *given, *options) == 2
    assert 'bicubic has no sampler to watch' in error_of(capsys)
