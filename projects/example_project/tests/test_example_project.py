"""The example is trained, tested, restored with and reported, as it says."""

import json
from pathlib import Path

import pytest
import torch
from torch import Tensor

from projects.example_project.conv3d_denoiser import (
    Conv3dControl,
    Conv3dDenoiser,
)
from projects.example_project.gradient_error import (
    GradientError,
    gradient_error,
)
from projects.example_project.moving_squares import MovingSquares
from projects.example_project.unsharp_mask import UnsharpMask
from star.cli.main import main
from star.models import Bicubic
from star.testing import check_backbone, check_metric, check_restorer
from star.video.io import VideoReader
from tests.paths import ROOT

CONFIGS = ROOT / 'projects' / 'example_project' / 'configs'
SAMPLE = ROOT / 'data' / 'samples' / 'cat.mp4'


@pytest.fixture(scope='module')
def runs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Train the denoiser; test it, and the method beside it."""
    folder = tmp_path_factory.mktemp('runs')
    config, work = str(CONFIGS / 'conv3d.py'), str(folder / 'train')
    assert main(['train', config, '--work-dir', work]) == 0
    for name, words in (
        ('conv3d', [config, f'{work}/iter_20']),
        ('unsharp_mask', [str(CONFIGS / 'unsharp_mask.py')]),
    ):
        words += ['--work-dir', str(folder / name)]
        assert main(['test', *words]) == 0
    return folder


def read_results(folder: Path) -> dict:
    return json.loads((folder / 'results.json').read_text())


def test_checks_of_the_package_hold():
    check_metric(GradientError())
    check_backbone(
        Conv3dDenoiser(4, 8), Conv3dControl(4, 8), latent_channels=4
    )
    check_restorer(UnsharpMask())


def test_metric_of_a_step():
    gt = torch.zeros(2, 3, 4, 5, dtype=torch.uint8)
    pred = gt.clone()
    pred[1, :, :, 3:] = 12  # one of four differences of columns
    assert gradient_error(pred, gt).tolist() == [0, 12 / 4 / 2]


def test_clips_depend_on_their_number_alone():
    pipeline = [{'type': 'PackVideoInputs'}]

    def clip(index: int) -> Tensor:
        items = MovingSquares(2, 3, 24, 24, pipeline)
        return items[index]['data_samples'].gt

    assert torch.equal(clip(5), clip(5))
    assert not torch.equal(clip(5), clip(7))


def test_mask_of_no_weight_is_bicubic():
    lq = torch.randint(0, 256, (2, 3, 12, 16), dtype=torch.uint8)
    plain, sharp = (UnsharpMask(amount=a).restore(lq) for a in (0, 0.5))
    error = plain.int() - Bicubic().restore(lq).int()
    assert error.abs().max() <= 1
    assert sharp.float().std() > plain.float().std()


def test_training_learns(runs: Path):
    path = next((runs / 'train').rglob('scalars.json'))
    logs = [json.loads(line) for line in path.read_text().splitlines()]
    losses = [each['loss'] for each in logs]
    assert losses[-1] < losses[0]


@pytest.mark.parametrize('name', ['conv3d', 'unsharp_mask'])
def test_results_have_the_new_metric_and_set(runs: Path, name: str):
    results = read_results(runs / name)
    squares = results['sets']['squares']
    assert squares['clips'] == 4 and squares['frames'] == 20
    assert set(squares['scores']) == {'PSNR', 'GradientError'}
    assert squares['scores']['GradientError'] > 0
    assert results['problems'] == []


def test_report_puts_them_side_by_side(runs: Path, tmp_path: Path):
    words = [str(runs / 'conv3d'), str(runs / 'unsharp_mask')]
    assert main(['benchmark', *words, '--out', str(tmp_path / 'report')]) == 0
    text = (tmp_path / 'report' / 'report.md').read_text()
    assert 'GradientError' in text and 'squares' in text


def test_restores_a_video_from_the_command_line(tmp_path: Path):
    dst = tmp_path / 'sharp.mkv'
    config = str(CONFIGS / 'unsharp_mask.py')
    words = [str(SAMPLE), str(dst), '--config', config, '--frames', '3']
    assert main(['restore', *words, '--codec', 'ffv1']) == 0
    with VideoReader(dst) as reader:
        frames = list(reader)
    assert [f.image.shape for f in frames] == [(384, 512, 3)] * 3


def test_restores_with_the_trained_denoiser(runs: Path, tmp_path: Path):
    dst = tmp_path / 'restored.mkv'
    weights = str(runs / 'train' / 'iter_20' / 'weights.safetensors')
    config = str(CONFIGS / 'conv3d.py')
    words = ['--config', config, '--weights', weights, '--frames', '3']
    assert main(['restore', str(SAMPLE), str(dst), *words]) == 0
    with VideoReader(dst) as reader:
        assert reader.count() == 3


def test_a_missing_file_of_weights_is_one_line(
    tmp_path: Path, capsys: pytest.CaptureFixture
):
    config = str(CONFIGS / 'conv3d.py')
    words = [str(SAMPLE), str(tmp_path / 'x.mkv'), '--config', config]
    assert main(['restore', *words]) == 2
    error = capsys.readouterr().err.strip()
    assert 'names no weights' in error and len(error.splitlines()) == 1
    assert list(tmp_path.iterdir()) == []
