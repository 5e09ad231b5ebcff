"""`star restore`: what it prints, returns and leaves."""

import json
import os
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from star.apis.inference.piecewise import StoppedError
from star.cli import restore as command
from star.models.contracts import Events
from star.models.restoration.options import RestoreOptions
from tests.paths import CLIPS, needs_clips
from tests.test_apis.clips import Enlarger, read_clip, write_clip
from tests.test_cli.conftest import Result, Star

Restore = Callable[..., Result]


@pytest.fixture
def restore(monkeypatch: pytest.MonkeyPatch, star: Star) -> Restore:
    """Run `star restore` with a model that is fast."""

    def run(*args: object, model: torch.nn.Module | None = None) -> Result:
        made = model or Enlarger()
        monkeypatch.setattr(command, 'init_model', lambda *_: made)
        return star('restore', *args)

    return run


def test_one_video(restore: Restore, tmp_path: Path) -> None:
    src, dst = write_clip(tmp_path / 'in.mp4', 5), tmp_path / 'out.mp4'
    result = restore(src, dst, '--frames', 3, '--scale', 2)
    assert (result.code, result.out) == (0, '')
    line = result.err.splitlines()[-1]
    assert line.startswith(f'{dst}: 64x48, 3 frames in ')
    assert 'peak memory' in line
    assert read_clip(dst)[0].shape == (3, 48, 64, 3)


def test_json_of_one_video(restore: Restore, tmp_path: Path) -> None:
    src, dst = write_clip(tmp_path / 'in.mp4'), tmp_path / 'out.mp4'
    result = restore(src, dst, '--json')
    report = json.loads(result.out)
    assert report['frames'] == 5
    assert report['input_size'] == [32, 24]
    assert report['output_size'] == [128, 96]
    assert report['dst'] == str(dst)
    assert report['peak_memory'] > 0


def test_folder_with_one_bad_file(restore: Restore, tmp_path: Path) -> None:
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
    names = ['a.mp4', 'c.mkv']
    records = [f'{name}.star.json' for name in names]
    assert sorted(os.listdir(tmp_path / 'out')) == sorted(names + records)
    assert f'error: {src / "b.mp4"}' in result.err
    assert 'left alone: readme.txt' in result.err
    assert '2 of 3 clips restored' in result.err


def test_folder_of_images_is_one_clip(
    restore: Restore, tmp_path: Path
) -> None:
    write_clip(tmp_path / 'in.mkv', 3)
    frames = tmp_path / 'frames'
    assert restore(tmp_path / 'in.mkv', frames, '--codec', 'png').code == 0
    result = restore(frames, tmp_path / 'out.mp4')
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
    (['--window', '1.5'], '--window'),
    (['--chunk', '0'], '--chunk'),
    (['--seed', '-1'], '--seed'),
    (['--crf', '99'], '--crf'),
    (['--window', '4', '--overlap', '4'], 'overlap'),
    (['--tile', '64', '--tile-overlap', '64'], 'tile_overlap'),
    (['--tile', '96x64', '--tile-overlap', '64'], 'tile_overlap'),
    (['--tile', '96x64x32'], '--tile'),
    (['--tile', '96x'], '--tile'),
    (['--tile', '-1'], '--tile'),
    (['--guidance-exponent', '0.5'], '--guidance-exponent'),
    (['--mode', 'fast', '--steps', '4'], 'steps'),
    (['--sampler', 'euler'], '--sampler'),
    (['--color-fix', 'magic'], '--color-fix'),
    (['--dtype', 'int8'], '--dtype'),
    (['--colour', 'x'], '--colour'),
]


@pytest.mark.parametrize(('options', 'name'), WRONG_OPTIONS)
def test_wrong_option(
    restore: Restore, tmp_path: Path, options: list[str], name: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    assert name in restore(src, tmp_path / 'out.mp4', *options).error
    assert os.listdir(tmp_path) == ['in.mkv']


def test_given_options_reach_the_model(
    restore: Restore, tmp_path: Path
) -> None:
    class Listener(Enlarger):
        def restore_stream(
            self,
            frames: Iterable[Tensor],
            options: RestoreOptions | None = None,
            events: Events | None = None,
        ) -> Iterator[Tensor]:
            self.heard = options
            return super().restore_stream(frames, options, events)

    model = Listener()
    src = write_clip(tmp_path / 'in.mkv', 1)
    sizes = ['--steps', 7, '--window', 6, '--tile', 96]
    others = ['--prompt', 'cat', '--seed', 5]
    restore(src, tmp_path / 'sides.mkv', '--tile', '96x64', model=model)
    assert model.heard.tile == (96, 64) and model.heard.tile_overlap == 32
    restore(src, tmp_path / 'out.mkv', *sizes, *others, model=model)
    assert model.heard == RestoreOptions(
        mode='normal',
        steps=7,
        window=6,
        overlap=3,  # at most half of the window
        tile=96,
        tile_overlap=48,
        prompt='cat',
        seed=5,
    )


def test_chunk_is_an_alias_of_window(restore: Restore, tmp_path: Path):
    src = write_clip(tmp_path / 'in.mkv', 1)
    results = [
        restore(src, tmp_path / 'out.mkv', word, 4, '--overlap', 5).error
        for word in ('--window', '--chunk')
    ]
    assert results[0] == results[1] and '`window` (4)' in results[0]


def test_missing_input(restore: Restore, tmp_path: Path) -> None:
    result = restore(tmp_path / 'no.mp4', tmp_path / 'out.mp4')
    assert result.error == f'{tmp_path / "no.mp4"}: no such file or folder'


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
    restore: Restore, tmp_path: Path, dst: str, options: list[str], reason: str
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

    def restore_stream(
        self,
        frames: Iterable[Tensor],
        options: RestoreOptions | None = None,
        events: Events | None = None,
    ) -> Iterator[Tensor]:
        yield from super().restore_stream([next(iter(frames))])
        raise self.error


@pytest.mark.parametrize(
    ('error', 'code', 'line'),
    [
        (KeyboardInterrupt(), 130, 'interrupted'),
        (MemoryError(), 1, '--tile'),
        (torch.OutOfMemoryError('CUDA out of memory'), 1, '--tile'),
        (StoppedError('stopped at 06:00', planned=True), 3, 'at 06:00; 0'),
        (StoppedError('process 1 is lost'), 1, 'process 1 is lost; 0'),
    ],
)
def test_interruption_and_memory(
    restore: Restore,
    tmp_path: Path,
    error: BaseException,
    code: int,
    line: str,
) -> None:
    src = write_clip(tmp_path / 'in.mkv')
    result = restore(src, tmp_path / 'out.mp4', model=Breaking(error))
    assert result.code == code
    *progress, last = result.err.splitlines()
    assert line in last
    # where memory runs out, smaller pieces are tried first
    told = ('in.mkv: ', 'note: in.mkv: memory ran out')
    assert all(text.startswith(told) for text in progress)
    assert os.listdir(tmp_path) == ['in.mkv']


def test_the_shipped_model(star: Star, tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 2, (16, 12))
    dst = tmp_path / 'out.mp4'
    result = star('restore', src, dst, '--json', '--device', 'cpu')
    assert result.code == 0, result.err
    assert json.loads(result.out)['output_size'] == [64, 48]
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
    star: Star, tmp_path: Path, options: list[str], reason: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 1)
    assert reason in star('restore', src, tmp_path / 'x.mp4', *options).error
    assert os.listdir(tmp_path) == ['in.mkv']


@pytest.mark.slow
@needs_clips
@pytest.mark.parametrize(
    'name', sorted(os.listdir(CLIPS / 'odd')) if CLIPS else []
)
def test_odd_clip_is_restored_or_refused(
    restore: Restore, tmp_path: Path, name: str
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


def test_prompts_come_from_text_files(restore: Restore, tmp_path: Path):
    class Listener(Enlarger):
        def restore_stream(
            self,
            frames: Iterable[Tensor],
            options: RestoreOptions | None = None,
            events: Events | None = None,
        ) -> Iterator[Tensor]:
            assert options is not None
            heard.append(options.prompt)
            return super().restore_stream(frames, options, events)

    heard: list[str] = []
    clips, texts = tmp_path / 'in', tmp_path / 'text'
    for folder in (clips, texts):
        folder.mkdir()
    for name in 'ab':
        write_clip(clips / f'{name}.mkv', 1)
    (texts / 'b.txt').write_text('a dog\n on grass\n')
    run = ('--prompt-file', texts)
    out = f'{tmp_path / "out"}/'
    result = restore(clips, out, *run, model=Listener())
    assert result.error == f'--prompt-file {texts} lacks a.txt'
    (texts / 'a.txt').write_text('a cat')
    assert restore(clips, out, *run, model=Listener()).code == 0
    assert heard == ['a cat', 'a dog on grass']
    heard.clear()
    run, out = ('--prompt-file', texts / 'a.txt'), f'{tmp_path / "all"}/'
    assert restore(clips, out, *run, model=Listener()).code == 0
    assert heard == ['a cat', 'a cat']
    result = restore(clips, out, *run, '--prompt', 'b', model=Listener())
    assert result.error == 'give --prompt or --prompt-file, not both'
