"""`star restore` with baselines: by name, their options, what is missing."""

import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from star.apis import init_model
from star.cli import restore as command
from tests.test_apis.clips import read_clip, write_clip
from tests.test_cli.conftest import Result, Star

BASELINE = """
model = dict(type='RealESRGANCompact', num_conv=1, tile_overlap=4)
"""


@pytest.fixture
def restore_baseline(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> Callable[..., Result]:
    """Run `star restore` with a small baseline of random weights."""
    config = tmp_path / 'baseline.py'
    config.write_text(BASELINE)
    model = init_model(config, 'random', 'cpu')
    config.unlink()
    monkeypatch.setattr(command, 'init_model', lambda *_: model)
    return lambda *args: star('restore', *args)


def test_baselines_restore(
    restore_baseline: Callable[..., Result], tmp_path: Path
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 5, (33, 47))
    sizes = ['--window', 2, '--tile', 96, '--tile-overlap', 32]
    lossless = ['--codec', 'ffv1', '--pix-fmt', 'bgr0']
    for name, more in (('a.mkv', []), ('b.mkv', sizes)):
        result = restore_baseline(src, tmp_path / name, *lossless, *more)
        assert result.code == 0, result.err
    first, second = (read_clip(tmp_path / f'{k}.mkv')[0] for k in 'ab')
    assert first.shape == (5, 188, 132, 3)
    assert np.array_equal(first, second)  # its strips join without a trace
    assert first.std() > 1


@pytest.mark.parametrize(
    ('options', 'line'),
    [
        (['--scale', 2], '`scale` must be 4 for RealESRGANCompact, got 2'),
        (['--prompt', 'a cat'], '`prompt` means nothing to RealESRGANCompact'),
        (['--steps', 4], '`steps` means nothing to'),
        (['--seed', 0], '`seed` means nothing to'),
        (['--guidance-scale', 1], '`guidance_scale` means nothing to'),
        (['--color-fix', 'adain'], '`color_fix` means nothing to'),
        (['--overlap', 0], '`overlap` means nothing to'),
        (['--tile', 3], '`tile` must be at least 4 output pixels'),
    ],
)
def test_options_that_baselines_refuse(
    restore_baseline: Callable[..., Result],
    tmp_path: Path,
    options: list,
    line: str,
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    result = restore_baseline(src, tmp_path / 'out.mp4', *options)
    assert result.error.startswith(line)
    assert os.listdir(tmp_path) == ['in.mkv']


def test_baselines_by_name(star: Star, tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 2, (16, 12))
    options = ['--config', 'realesr_animevideov3', '--weights', 'random']
    result = star('restore', src, tmp_path / 'out.mkv', *options, '--json')
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report['output_size'] == [64, 48]
    assert 'random numbers' in report['warnings'][0]
    assert 'warning: in.mkv: The weights of the model' in result.err
    options = ['--config', 'bicubic', '--scale', '1.5']
    result = star('restore', src, tmp_path / 'b.mkv', *options, '--json')
    report = json.loads(result.out)
    assert report['output_size'] == [24, 18] and report['notes'] == []


@pytest.mark.parametrize(
    ('options', 'line'),
    [
        (['bicubic', '--scale', '99'], '`scale` must be > 0 and <= 16'),
        (['bicubic', '--tile', '64'], '`tile` means nothing to Bicubic'),
        (['bicubic', '--weights', 'x.pth'], '`weights` means nothing to Bic'),
        (['lanczos', '--weights', 'random'], '`weights` means nothing to La'),
        (['saved_results'], 'SavedResults restores clips of test sets only'),
        (
            ['realesr_general_x4v3', '--weights', 'x.pth'],
            '`weights`: there is',
        ),
        (['realesr_general_x4v3', '--weights', __file__], f'{__file__}: '),
        (['no_such'], "there is no config 'no_such'"),
        (['realbasicvrs'], "there is no config 'realbasicvrs'; did you mean"),
    ],
)
def test_baselines_that_cannot_be(
    star: Star, tmp_path: Path, options: list[str], line: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    dst = tmp_path / 'new' / 'out.mp4'
    result = star('restore', src, dst, '--config', *options)
    assert result.code in (1, 2)
    assert result.err.startswith(f'error: {line}')
    assert len(result.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ['in.mkv']


def test_a_missing_extra_is_one_line(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ImportError('`mmagic` is not installed; it comes with the extra')

    home = 'star.models.editors.real_basicvsr.real_basicvsr'
    monkeypatch.setattr(f'{home}.import_mmagic', fail)
    src = write_clip(tmp_path / 'in.mkv', 1)
    options = ['--config', 'realbasicvsr', '--weights', 'random']
    result = star('restore', src, tmp_path / 'out.mp4', *options)
    assert result.code == 2
    assert result.err.startswith('error: ') and 'comes with' in result.err
    assert len(result.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ['in.mkv']
