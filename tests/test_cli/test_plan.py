"""`star plan`, and the choice of `star restore` for the memory."""

import json
import subprocess
import sys
from pathlib import Path

import pytest

from star.cli.main import main
from tests.test_apis.clips import write_clip

MARGIN = 0.15  # of the measured peak
# options, and the clip's frames and size
CASES = {
    'tiny': ('--config tiny --weights random --steps 1', 16, (96, 72)),
    'cogvideox': (
        '--config tiny_cogvideox --weights random --steps 1',
        9,
        (64, 48),
    ),
    'lanczos': ('--config lanczos', 8, (320, 180)),
    'resshift': ('--config tiny_resshift --weights random', 2, (128, 96)),
    'realesrgan': (
        '--config realesrgan_x4plus --weights random',
        2,
        (128, 96),
    ),
    'default': ('', 12, (128, 96)),
    'default, large': ('', 8, (640, 360)),
    'default, long': ('', 40, (320, 180)),
}


def run(*words: str) -> subprocess.CompletedProcess:
    command = [sys.executable, '-m', 'star', *words]
    return subprocess.run(command, capture_output=True, text=True)


def compare(tmp_path: Path, case: str) -> None:
    """Restore in a process of its own, whose peak is measured."""
    options, count, size = CASES[case]
    src = write_clip(tmp_path / 'in.mp4', count, size)
    words = [str(src), str(tmp_path / 'out.mp4'), *options.split(), '--json']
    planned = json.loads(run('plan', *words, '--no-time').stdout)
    measured = json.loads(run('restore', *words).stdout)['peak_memory']
    predicted = planned['memory']['peak']
    assert abs(predicted - measured) <= MARGIN * measured, (
        f'predicted {predicted / 1e6:.0f} MB, measured {measured / 1e6:.0f}'
    )


@pytest.mark.skipif(sys.platform != 'linux', reason='the peak is not known')
def test_prediction_of_a_filter(tmp_path: Path) -> None:
    compare(tmp_path, 'lanczos')


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != 'linux', reason='the peak is not known')
@pytest.mark.parametrize('case', CASES)
def test_predictions(tmp_path: Path, case: str) -> None:
    compare(tmp_path, case)


def test_plan(tmp_path: Path, capsys: pytest.CaptureFixture) -> None:
    src = write_clip(tmp_path / 'in.mkv', 9)
    words = ['plan', str(src), '--config', 'bicubic', '--json']
    assert main(words) == 0
    found = json.loads(capsys.readouterr().out)
    assert (found['frames'], found['output_size']) == (9, [128, 96])
    assert found['scenes'] == [0] and found['passes'] == 1
    assert found['seconds'] > 0 and found['disk'] > 0 and found['fits']
    parts = ('process', 'weights', 'activations', 'frames', 'encoder')
    memory = found['memory']
    assert memory['peak'] == sum(memory[part] for part in parts)
    assert not list(tmp_path.glob('*restored*'))
    assert main([*words[:-1], '--no-time']) == 0
    page = capsys.readouterr().out
    assert 'frames  9 of 32x24 -> 128x96' in page and 'time' not in page


def test_too_little_memory_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 3)
    small = ['--config', 'bicubic', '--memory', '1MB']
    assert main(['plan', str(src), *small]) == 2
    assert 'error: --memory: 1 MB of memory' in capsys.readouterr().err
    dst = str(tmp_path / 'out.mkv')
    assert main(['restore', str(src), dst, *small]) == 1
    assert 'error: --memory: 1 MB of memory' in capsys.readouterr().err
    assert main(['restore', str(src), dst, '--config', 'bicubic']) == 0
    assert 'in.mkv: plan: 128x96' in capsys.readouterr().err
