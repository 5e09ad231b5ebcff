"""STAR on CogVideoX through the commands, with random weights."""

import os
from collections.abc import Callable
from pathlib import Path

import pytest
from safetensors.torch import load_file

from tests.paths import ROOT
from tests.test_apis.clips import read_clip, write_clip
from tests.test_cli.conftest import Result, Star

CONFIG = ROOT / 'configs' / 'star' / 'tiny_cogvideox.py'
Restore = Callable[..., Result]


@pytest.fixture
def restore(star: Star) -> Restore:
    """Run `star restore` with the config."""
    model = ('--config', CONFIG, '--device', 'cpu')
    return lambda *args: star('restore', *model, *args)


@pytest.mark.parametrize(
    'count, size',
    [(1, (6, 4)), (7, (5, 7)), (25, (6, 4)), (26, (4, 3)), (60, (4, 4))],
)
def test_as_many_frames_as_there_were(
    restore: Restore, tmp_path: Path, count: int, size: tuple[int, int]
) -> None:
    src, dst = write_clip(tmp_path / 'in.mkv', count, size), tmp_path / 'o.mkv'
    lossless = ('--codec', 'ffv1', '--pix-fmt', 'bgr0')
    result = restore(src, dst, *lossless, '--steps', 1)
    assert result.code == 0, result.err
    frames, times = read_clip(dst)
    assert frames.shape == (count, 4 * size[1], 4 * size[0], 3)
    assert times == read_clip(src)[1]
    assert frames.std() > 1
    assert 'random numbers' in result.err


@pytest.mark.parametrize(
    'options, words',
    [
        (['--window', 24], '`window` must be a multiple of 4 and 1 more'),
        (['--overlap', 8], '`overlap` must be 0 or a multiple of 4'),
        (['--tile', '8x64', '--tile-overlap', 4], '`tile` (8, 64) does not'),
        (['--blend', 'cut'], "`blend` must be 'smooth'"),
        (['--mode', 'fast'], "`mode` must be 'normal'"),
    ],
)
def test_options_that_do_not_fit(
    restore: Restore, tmp_path: Path, options: list, words: str
) -> None:
    src = write_clip(tmp_path / 'in.mkv', 2, (24, 20))
    result = restore(src, tmp_path / 'out.mkv', *options)
    assert result.code == (1 if '--tile' in options else 2)
    assert result.err.startswith('error: ') and words in result.err
    assert result.err.count('\n') == 1
    assert os.listdir(tmp_path) == ['in.mkv']


def test_other_windows_and_tiles(restore: Restore, tmp_path: Path) -> None:
    src = write_clip(tmp_path / 'in.mkv', 11, (20, 12))
    result = restore(
        *(src, tmp_path / 'out.mkv', '--window', 9, '--steps', 1),
        *('--tile', '32x48', '--codec', 'ffv1', '--pix-fmt', 'bgr0'),
    )
    assert result.code == 0, result.err
    assert read_clip(tmp_path / 'out.mkv')[0].shape == (11, 48, 80, 3)


def test_two_iterations_of_training(star: Star, tmp_path: Path) -> None:
    """LoRA, gates, patch embedding and the end learn; nothing else does."""
    clips = tmp_path / 'clips'
    for folder in ('gt', 'text'):
        (clips / folder).mkdir(parents=True)
    write_clip(clips / 'gt' / 'clip.mkv', 12, (56, 40))
    (clips / 'text' / 'clip.txt').write_text('a clip')
    work = tmp_path / 'work'
    changes = {
        'train_dataloader.dataset.data_root': clips,
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_cfg.max_iters': 2,
        'param_scheduler': '[]',
        'default_hooks.checkpoint.interval': 1,
        'default_hooks.logger.interval': 1,
    }
    pairs = [f'{key}={value}' for key, value in changes.items()]
    result = star('train', CONFIG, '--work-dir', work, '--cfg-options', *pairs)
    assert result.code == 0, result.err[-2000:]
    first, second = (
        load_file(work / f'iter_{i}' / 'weights.safetensors') for i in (1, 2)
    )
    assert first.keys() == second.keys()
    kinds = ('.lora.', '.local', '.patch_embed.proj.', '.norm_out.', '.proj_')
    changed = {n for n in first if not first[n].equal(second[n])}
    assert all(any(kind in name for kind in kinds) for name in changed)
    assert any('autoencoder.' in name for name in first)  # no file has it
    for kind in kinds:
        assert any(kind in name for name in changed), kind
    (log,) = work.rglob('*.log')
    text = log.read_text()
    assert 'loss_velocity' in text and 'loss_frequency' in text
