"""Options that save memory and time: `star restore`, `star test`."""

import json
from pathlib import Path

import pytest

from star.apis.inference.sidecar import sidecar_path
from tests.test_apis.clips import write_clip
from tests.test_apis.folders import write_folder
from tests.test_cli.conftest import Star


@pytest.mark.parametrize(
    'words, message',
    [
        (['--offload', 'block'], '`offload` means nothing to STARModel'),
        (['--attention', 'cudnn'], '`attention` means nothing to STARModel'),
        (['--cache', '0.1'], '`cache` means nothing to STARModel'),
        (['--cache', '2'], 'argument --cache: must be'),
        (['--guidance-interval', '0.8-0.2'], 'that increase, as in 0.1-0.8'),
        (['--guidance-interval', 'all'], "got 'all'"),
        (['--config', 'bicubic', '--compile'], '`compile` means nothing to'),
    ],
)
def test_one_line_says_what_is_wrong(
    star: Star, tmp_path: Path, words: list[str], message: str
) -> None:
    src = write_clip(tmp_path / 'in.mp4', 2)
    result = star('restore', src, tmp_path / 'out.mp4', '--device=cpu', *words)
    assert result.code == 2
    line = result.err.splitlines()[-1]
    assert line.startswith('error: ') and message in line
    assert 'Traceback' not in result.err
    assert not (tmp_path / 'out.mp4').exists()


def test_the_record_tells_and_another_result_is_made(
    star: Star, tmp_path: Path
) -> None:
    src, dst = write_clip(tmp_path / 'in.mp4', 2), tmp_path / 'out.mp4'
    words = ['restore', src, dst, '--device', 'cpu']
    assert star(*words, '--quantize', 'int8').code == 0
    record = json.loads(sidecar_path(dst).read_text())
    assert record['method']['quantize'] == 'int8'
    small = dst.read_bytes()
    again = star(*words, '--quantize', 'int8')
    assert again.code == 0 and 'is complete already' in again.err
    other = star(*words)
    assert other.code == 1 and dst.read_bytes() == small  # not overwritten
    assert star(*words, '--overwrite').code == 0
    record = json.loads(sidecar_path(dst).read_text())
    assert 'quantize' not in record['method']
    assert dst.read_bytes() != small


def test_cached_steps_of_a_network_that_has_them(
    star: Star, tmp_path: Path
) -> None:
    src, dst = write_clip(tmp_path / 'in.mp4', 2), tmp_path / 'out.mp4'
    words = ['--config', 'tiny', '--steps', '2', '--cache', '0.9']
    words += ['--guidance-interval', '0-0.5', '--guidance-scale', '2']
    words += ['--scale', '1', '--frames', '1']
    assert star('restore', src, dst, '--device', 'cpu', *words).code == 0
    options = json.loads(sidecar_path(dst).read_text())['method']['options']
    assert options['cache'] == 0.9
    assert options['guidance_interval'] == [0, 0.5]


def test_a_test_tells(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    root = write_folder(tmp_path / 'clips', 'a')
    result = star(
        *('test', 'tiny_compact', '--set', f'mine={root}', '--frames', 1),
        *('--metrics', 'PSNR', '--quantize', 'nf4', '--device', 'cpu'),
        *('--work-dir', 'work'),
        *('--cfg-options', 'test_dataloader.num_workers=0'),
    )
    assert result.code == 0, result.err
    run = json.loads((tmp_path / 'work' / 'run.json').read_text())
    assert run['method']['quantize'] == 'nf4'
