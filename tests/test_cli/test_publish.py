"""`star convert publish` on checkpoints of a training."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.cli.main import main
from star.engine.checkpointing import save_checkpoint
from star.utils.paths import asset_path
from tests.test_apis.clips import write_clip

ASSET = asset_path('star_tiny_compact.safetensors')
WEIGHTS = {'star.a': torch.ones(2), 'star.steps': torch.zeros(1)}
AVERAGES = {'star.a': torch.full((2,), 0.5)}


@pytest.fixture
def publish(star, tmp_path):
    """Run the command; return its code, its errors, and the file written."""

    def call(src, *options):
        dst = tmp_path / 'out.safetensors'
        done = star('convert', 'publish', src, dst, '--overwrite', *options)
        written = load_file(dst) if dst.exists() else {}
        return done.code, done.err, written

    return call


@pytest.fixture
def run(tmp_path):
    """A run's folder with two checkpoints, the last without averages."""
    folder = tmp_path / 'run'
    save_checkpoint(folder, 1, WEIGHTS, {}, AVERAGES)
    save_checkpoint(folder, 2, {'star.a': torch.zeros(2)}, {})
    return folder


def test_a_checkpoint_or_the_last_one(run, publish):
    code, _, written = publish(run / 'iter_1')
    assert code == 0 and written['star.a'].tolist() == [1, 1]
    assert publish(run)[2]['star.a'].tolist() == [0, 0]


def test_averaged_weights(run, publish):
    code, _, written = publish(run / 'iter_1', '--ema', '--prefix', 'star.')
    assert code == 0
    assert written['a'].tolist() == [0.5, 0.5]  # what has no average stays
    assert written['steps'].tolist() == [0]
    code, error, _ = publish(run, '--ema')
    assert code == 2 and 'iter_2 has no averaged weights' in error


def test_frozen_weights_come_from_a_file(run, publish, tmp_path):
    base = {'star.a': torch.full((2,), 9.0), 'star.frozen': torch.ones(1)}
    save_file(base, tmp_path / 'base.safetensors')
    _, _, written = publish(
        run / 'iter_1', '--base', tmp_path / 'base.safetensors', '--half'
    )
    assert written.keys() == {'star.a', 'star.steps', 'star.frozen'}
    assert written['star.a'].tolist() == [1, 1]
    assert all(tensor.dtype == torch.float16 for tensor in written.values())


def test_files_still_do(publish, tmp_path):
    torch.save({'state_dict': WEIGHTS}, tmp_path / 'old.pth')
    code, _, written = publish(tmp_path / 'old.pth')
    assert code == 0 and written.keys() == WEIGHTS.keys()
    code, error, _ = publish(tmp_path / 'old.pth', '--ema')
    assert code == 2 and 'old.pth: has no averaged weights' in error


def test_nothing_there(publish, tmp_path):
    code, error, _ = publish(tmp_path)
    assert code == 2 and 'is no checkpoint' in error
    assert error.count('\n') == 1


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """The model that ships with the package, published as a folder."""
    path = tmp_path_factory.mktemp('published') / 'tiny'
    words = ['convert', 'publish', ASSET, f'{path}/', '--config']
    assert main([*map(str, words), 'tiny_compact']) == 0
    return path


def test_a_folder_restores_to_the_same_bytes(star, folder, tmp_path):
    src = write_clip(tmp_path / 'in.mkv', 2)
    results = []
    for name, option in (('a', ()), ('b', ('--config', folder))):
        done = star('restore', src, tmp_path / f'{name}.mp4', *option)
        assert done.code == 0, done.err
        results.append((tmp_path / f'{name}.mp4').read_bytes())
    assert results[0] == results[1]


def test_mistakes_with_a_folder(star, folder, tmp_path):
    publish = ('convert', 'publish', ASSET, folder, '--config', 'tiny_compact')
    assert 'config.json: exists (use --overwrite)' in star(*publish).error
    error = star(*publish, '--repo', 'tiny').error
    assert error == "`repo` must be OWNER/NAME, got 'tiny'"
    error = star(*publish, '--overwrite', '--results', folder / 'x').error
    assert error.startswith(f'{folder / "x"} cannot be read')
    src = write_clip(tmp_path / 'in.mkv', 1)
    restore = ('restore', src, tmp_path / 'out.mkv', '--config')
    done = star(*restore, 'hf://tiny')
    assert done.code == 2 and 'must be hf://owner/name' in done.err
    done = star(*restore, tmp_path)
    assert done.code == 2 and 'the folder has no config.json' in done.err
    assert not (tmp_path / 'out.mkv').exists()
