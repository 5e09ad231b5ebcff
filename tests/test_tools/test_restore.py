"""The commands as a user calls them: what they print, return and leave."""

import importlib.util
import json
import os
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import ModuleType

import cv2
import numpy as np
import pytest
import torch

from star.apis import init_model
from star.models.restoration.options import RestoreOptions
from tests.paths import CLIPS, ROOT, needs_clips
from tests.test_apis.clips import Enlarger, read_clip, write_clip

TOOLS = ROOT / 'tools'


@dataclass
class Result:
    code: int
    out: str
    err: str


Run = Callable[..., Result]


def load_tool(path: str) -> ModuleType:
    spec = importlib.util.spec_from_file_location('tool', TOOLS / path)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def run_tool(path: str, *args: object) -> subprocess.CompletedProcess:
    """Run a command as a process of its own, without network."""
    return subprocess.run(
        [sys.executable, TOOLS / path, *map(str, args)],
        capture_output=True,
        text=True,
        cwd=ROOT,
        env={**os.environ, 'HF_HUB_OFFLINE': '1'},
    )


@pytest.fixture
def restore(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Run:
    """Call tools/restore.py in this process, with a model that is fast."""
    tool = load_tool('restore.py')

    def run(*args: object, model: torch.nn.Module | None = None) -> Result:
        monkeypatch.setattr(sys, 'argv', ['restore.py', *map(str, args)])
        monkeypatch.setattr(tool, 'init_model', lambda *_: model or Enlarger())
        try:
            code = tool.main()
        except SystemExit as exit_:
            code = exit_.code
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def test_one_video(restore: Run, tmp_path: Path) -> None:
    src, dst = write_clip(tmp_path / 'in.mp4', 5), tmp_path / 'out.mp4'
    result = restore(src, dst, '--frames', 3, '--scale', 2)
    assert (result.code, result.out) == (0, '')
    line = result.err.splitlines()[-1]
    assert line.startswith(f'{dst}: 64x48, 3 frames in ')
    assert 'peak memory' in line
    assert read_clip(dst)[0].shape == (3, 48, 64, 3)


def test_json_of_one_video(restore: Run, tmp_path: Path) -> None:
    src, dst = write_clip(tmp_path / 'in.mp4'), tmp_path / 'out.mp4'
    result = restore(src, dst, '--json')
    report = json.loads(result.out)
    assert report['frames'] == 5
    assert report['input_size'] == [32, 24]
    assert report['output_size'] == [128, 96]
    assert report['dst'] == str(dst)
    assert report['peak_memory'] > 0


def test_folder_with_one_bad_file(restore: Run, tmp_path: Path) -> None:
    src = tmp_path / 'in'
    src.mkdir()
    write_clip(src / 'a.mp4', 2)
    (src / 'b.mp4').write_text('this is no video')
    write_clip(src / 'c.mkv', 3)
    (src / 'readme.txt').write_text('neither')
    result = restore(src, tmp_path / 'out', '--json')
    assert result.code == 1
    good, bad, other = json.loads(result.out)
    assert (good['frames'], other['frames']) == (2, 3)
    assert 'b.mp4' in bad['error']
    assert sorted(os.listdir(tmp_path / 'out')) == ['a.mp4', 'c.mkv']
    assert f'error: {src / "b.mp4"}' in result.err
    assert 'left alone: readme.txt' in result.err
    assert '2 of 3 clips restored' in result.err


def test_folder_of_images_is_one_clip(restore: Run, tmp_path: Path) -> None:
    write_clip(tmp_path / 'in.mkv', 3)
    assert restore(tmp_path / 'in.mkv', tmp_path / 'frames').code == 0
    result = restore(tmp_path / 'frames', tmp_path / 'out.mp4')
    assert result.code == 0
    assert read_clip(tmp_path / 'out.mp4')[0].shape == (3, 384, 512, 3)


WRONG_OPTIONS = [
    (['--steps', '0'], '--steps'),
    (['--scale', '-4'], '--scale'),
    (['--scale', 'nan'], '--scale'),
    (['--scale', '1e9'], 'scale'),
    (['--strength', '1.5'], '--strength'),
    (['--guidance-scale', 'inf'], '--guidance-scale'),
    (['--frames', '0'], '--frames'),
    (['--frames', 'all'], '--frames'),
    (['--chunk', '1.5'], '--chunk'),
    (['--seed', '-1'], '--seed'),
    (['--crf', '99'], '--crf'),
    (['--chunk', '4', '--overlap', '4'], 'overlap'),
    (['--tile', '64', '--tile-overlap', '64'], 'tile_overlap'),
    (['--tile', '96x64', '--tile-overlap', '64'], 'tile_overlap'),
    (['--tile', '96x64x32'], '--tile'),
    (['--tile', '96x'], '--tile'),
    (['--tile', '-1'], '--tile'),
    (['--guidance-exponent', '0.5'], '--guidance-exponent'),
    (['--mode', 'fast', '--steps', '4'], '--steps'),
    (['--sampler', 'euler'], '--sampler'),
    (['--color-fix', 'magic'], '--color-fix'),
    (['--dtype', 'int8'], '--dtype'),
    (['--colour', 'x'], '--colour'),
]


@pytest.mark.parametrize(('options', 'name'), WRONG_OPTIONS)
def test_wrong_option(
    restore: Run, tmp_path: Path, options: list[str], name: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    result = restore(src, tmp_path / 'out.mp4', *options)
    assert result.code == 2
    assert result.err.startswith('error: ')
    assert len(result.err.splitlines()) == 1
    assert name in result.err
    assert os.listdir(tmp_path) == ['in.mkv']


def test_given_options_reach_the_model(restore: Run, tmp_path: Path) -> None:
    class Listener(Enlarger):
        def restore_stream(self, frames, options=None, progress=None):
            self.heard = options
            return super().restore_stream(frames, options)

    model = Listener()
    src = write_clip(tmp_path / 'in.mkv', 1)
    sizes = ['--steps', 7, '--chunk', 6, '--tile', 96]
    others = ['--prompt', 'cat', '--seed', 5]
    restore(src, tmp_path / 'sides.mkv', '--tile', '96x64', model=model)
    assert model.heard.tile == (96, 64) and model.heard.tile_overlap == 32
    restore(src, tmp_path / 'out.mkv', *sizes, *others, model=model)
    assert model.heard == RestoreOptions(
        mode='normal',
        steps=7,
        chunk=6,
        overlap=3,  # at most half of the chunk
        tile=96,
        tile_overlap=48,
        prompt='cat',
        seed=5,
    )


BASELINE = """
model = dict(type='RealESRGANCompact', num_conv=1, tile_overlap=4)
"""


@pytest.fixture
def restore_baseline(restore: Run, tmp_path: Path) -> Run:
    """Call tools/restore.py with a small baseline of random weights."""
    config = tmp_path / 'baseline.py'
    config.write_text(BASELINE)
    model = init_model(config, 'random', 'cpu')
    config.unlink()
    return partial(restore, model=model)


def test_baselines_restore(restore_baseline: Run, tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 5, (33, 47))
    sizes = ['--chunk', 2, '--tile', 96, '--tile-overlap', 32]
    lossless = ['--codec', 'ffv1', '--pix-fmt', 'bgr0']
    for name, more in (('a.mkv', []), ('b.mkv', sizes)):
        result = restore_baseline(src, tmp_path / name, *lossless, *more)
        assert result.code == 0, result.err
    first, second = (read_clip(tmp_path / f'{k}.mkv')[0] for k in 'ab')
    assert first.shape == (5, 188, 132, 3)
    difference = np.abs(first.astype(int) - second)
    assert difference.max() > 0 and np.mean(difference == 0) > 0.5


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
    restore_baseline: Run, tmp_path: Path, options: list, line: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    result = restore_baseline(src, tmp_path / 'out.mp4', *options)
    assert result.code == 2
    assert result.err.startswith(f'error: {line}')
    assert len(result.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ['in.mkv']


@pytest.fixture
def restore_really(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture
) -> Run:
    """Call tools/restore.py in this process, with the model it builds."""
    tool = load_tool('restore.py')

    def run(*args: object) -> Result:
        words = ['restore.py', *map(str, args), '--device', 'cpu']
        monkeypatch.setattr(sys, 'argv', words)
        code = tool.main()
        captured = capsys.readouterr()
        return Result(code, captured.out, captured.err)

    return run


def test_baselines_by_name(restore_really: Run, tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 2, (16, 12))
    options = ['--config', 'realesr_animevideov3', '--weights', 'random']
    result = restore_really(src, tmp_path / 'out.mkv', *options, '--json')
    assert result.code == 0, result.err
    report = json.loads(result.out)
    assert report['output_size'] == [64, 48]
    assert 'the weights are random numbers' in report['notes'][-1]
    assert 'note: in.mkv: the weights are random' in result.err
    options = ['--config', 'bicubic', '--scale', '1.5']
    result = restore_really(src, tmp_path / 'b.mkv', *options, '--json')
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
        (['no_such_method'], "`name` must be a config, got 'star/no_such_met"),
    ],
)
def test_baselines_that_cannot_be(
    restore_really: Run, tmp_path: Path, options: list[str], line: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    dst = tmp_path / 'new' / 'out.mp4'
    result = restore_really(src, dst, '--config', *options)
    assert result.code in (1, 2)
    assert result.err.startswith(f'error: {line}')
    assert len(result.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ['in.mkv']


def test_a_missing_extra_is_one_line(
    restore_really: Run, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail() -> None:
        raise ImportError('`mmagic` is not installed; it comes with the extra')

    home = 'star.models.editors.real_basicvsr.real_basicvsr'
    monkeypatch.setattr(f'{home}.import_mmagic', fail)
    src = write_clip(tmp_path / 'in.mkv', 1)
    options = ['--config', 'realbasicvsr', '--weights', 'random']
    result = restore_really(src, tmp_path / 'out.mp4', *options)
    assert result.code == 2
    assert result.err.startswith('error: ') and 'comes with' in result.err
    assert len(result.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ['in.mkv']


def test_missing_input(restore: Run, tmp_path: Path) -> None:
    result = restore(tmp_path / 'no.mp4', tmp_path / 'out.mp4')
    assert result.code == 2
    assert (
        result.err == f'error: {tmp_path / "no.mp4"}: no such file or folder\n'
    )


@pytest.mark.parametrize(
    ('dst', 'options', 'reason'),
    [
        ('in.mkv', ['--overwrite'], 'same'),
        ('there.mp4', [], '--overwrite'),
        ('out.mp4', ['--codec', 'nonsense'], 'nonsense'),
        ('out.mp4', ['--pix-fmt', 'nonsense'], 'nonsense'),
    ],
)
def test_output_that_cannot_be(
    restore: Run, tmp_path: Path, dst: str, options: list[str], reason: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    (tmp_path / 'there.mp4').write_text('precious')
    result = restore(src, tmp_path / dst, *options)
    assert result.code == 1
    assert result.err.startswith('error: ')
    assert len(result.err.splitlines()) == 1
    assert reason in result.err
    assert sorted(os.listdir(tmp_path)) == ['in.mkv', 'there.mp4']


class Breaking(Enlarger):
    """Raises what it is given."""

    def __init__(self, error: BaseException) -> None:
        super().__init__()
        self.error = error

    def restore_stream(self, frames, options=None, progress=None):
        yield from super().restore_stream([next(iter(frames))])
        raise self.error


@pytest.mark.parametrize(
    ('error', 'code', 'line'),
    [
        (KeyboardInterrupt(), 130, 'interrupted'),
        (MemoryError(), 1, '--tile'),
        (torch.OutOfMemoryError('CUDA out of memory'), 1, '--tile'),
    ],
)
def test_interruption_and_memory(
    restore: Run,
    tmp_path: Path,
    error: BaseException,
    code: int,
    line: str,
) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    result = restore(src, tmp_path / 'out.mp4', model=Breaking(error))
    assert result.code == code
    assert line in result.err
    assert len(result.err.splitlines()) == 1
    assert os.listdir(tmp_path) == ['in.mkv']


def test_restore_as_a_process(tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 2, (16, 12))
    dst = tmp_path / 'out.mp4'
    result = run_tool('restore.py', src, dst, '--json')
    assert result.returncode == 0, result.stderr
    assert json.loads(result.stdout)['output_size'] == [64, 48]
    assert read_clip(dst)[0].shape == (2, 48, 64, 3)


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--config', 'no_such.py'], 'no_such.py'),
        (['--weights', 'no_such.pt'], 'no_such.pt'),
        (['--weights', __file__], Path(__file__).name),
    ],
)
def test_config_and_weights_that_cannot_be(
    tmp_path: Path, options: list[str], reason: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    result = run_tool('restore.py', src, tmp_path / 'out.mp4', *options)
    assert result.returncode == 2
    assert result.stderr.startswith('error: ')
    assert len(result.stderr.splitlines()) == 1
    assert reason in result.stderr
    assert os.listdir(tmp_path) == ['in.mkv']


def test_demo_as_a_process(tmp_path: Path) -> None:
    result = run_tool('demo.py', '--output', tmp_path)
    assert result.returncode == 0, result.stderr
    (video,) = tmp_path.glob('*.mp4')
    (picture,) = tmp_path.glob('*.png')
    assert str(video) in result.stdout and str(picture) in result.stdout
    frames, _ = read_clip(video)
    (sample,) = (ROOT / 'data' / 'samples').glob('*.mp4')
    lq, _ = read_clip(sample)
    assert frames.shape[:3] == (len(lq), 4 * lq.shape[1], 4 * lq.shape[2])
    image = cv2.imread(str(picture))
    assert image.shape[1] > 2 * frames.shape[2]


def test_demo_picks_the_textured_detail() -> None:
    demo = load_tool('demo.py')
    frame = np.full((90, 120, 3), 128, np.uint8)
    frame[50:70, 80:110] = np.random.default_rng(0).integers(
        0, 256, (20, 30, 3)
    )
    top, left = demo.find_texture(frame)
    assert 40 <= top <= 50 and 70 <= left <= 80


def test_demo_without_input(tmp_path: Path) -> None:
    result = run_tool('demo.py', '--input', tmp_path / 'no.mp4')
    assert result.returncode == 1
    assert 'no.mp4' in result.stderr
    assert len(result.stderr.splitlines()) == 1


def test_measure_cost_of_a_call() -> None:
    result = run_tool(
        'analysis_tools/measure_cost.py',
        *('--config', 'tiny', '--latent', '2x18x16', '--json'),
    )
    assert result.returncode == 0, result.stderr
    cost = json.loads(result.stdout)
    assert cost['backbone_parameters'] > cost['controlnet_parameters'] > 1e6
    assert 0 < cost['call_seconds'] < 60
    rate = cost['call_tflop'] / cost['call_seconds']
    assert cost['call_tflop_per_second'] == pytest.approx(rate)
    assert 0.1 < cost['call_peak_gib'] < 4


def test_measure_cost_of_the_default() -> None:
    """The shipped model's ControlNet has no parameters."""
    result = run_tool(
        'analysis_tools/measure_cost.py', '--latent', '2x9x8', '--json'
    )
    assert result.returncode == 0, result.stderr
    cost = json.loads(result.stdout)
    assert cost['backbone_parameters'] == 1_347_779
    # two FLOP for each weight and place; biases and the timestep are little
    expected = 2e-12 * 2 * 9 * 8 * cost['backbone_parameters']
    assert cost['call_tflop'] == pytest.approx(expected, 0.02)


def test_measure_cost_of_a_restore() -> None:
    result = run_tool(
        'analysis_tools/measure_cost.py',
        *('--restore', '2x12x16', '--steps', '1', '--json'),
    )
    assert result.returncode == 0, result.stderr
    cost = json.loads(result.stdout)
    rate = 2 / cost['restore_seconds']
    assert cost['restore_frames_per_second'] == pytest.approx(rate)
    assert 0.1 < cost['restore_peak_gib'] < 4


@pytest.mark.slow
@needs_clips
@pytest.mark.parametrize(
    'name', sorted(os.listdir(CLIPS / 'odd')) if CLIPS else []
)
def test_odd_clip_is_restored_or_refused(
    restore: Run, tmp_path: Path, name: str
) -> None:
    assert CLIPS is not None
    dst = tmp_path / 'out.mkv'
    options = ['--frames', 2, '--scale', 1, '--json']
    result = restore(CLIPS / 'odd' / name, dst, *options)
    if result.code == 0:
        assert len(read_clip(dst)[0]) == json.loads(result.out)['frames']
    else:
        assert result.code == 1
        assert result.err.startswith('error: ')
        assert len(result.err.splitlines()) == 1
        assert name in result.err
        assert os.listdir(tmp_path) == []
