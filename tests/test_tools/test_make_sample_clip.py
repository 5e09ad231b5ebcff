"""The sample clip is what its script makes, and small."""

import subprocess
import sys
from pathlib import Path

import av
import numpy as np
import pytest
import torch
from torch import Tensor

from star.apis import init_model
from star.evaluation.functional.psnr import psnr
from star.models.editors import Bicubic
from tests.paths import ROOT

SAMPLE = ROOT / 'data' / 'samples' / 'cat.mp4'
SCRIPT = ROOT / 'tools' / 'dataset_converters' / 'make_sample_clip.py'


def read(path: Path) -> np.ndarray:
    """Decode a clip, (T, H, W, 3) uint8 RGB."""
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        return np.stack([f.to_ndarray(format='rgb24') for f in frames])


@pytest.fixture(scope='module')
def made(tmp_path_factory) -> Path:
    """Run the script; the folder with the poor and the sharp clip."""
    folder = tmp_path_factory.mktemp('clip')
    command = [sys.executable, SCRIPT, folder / 'poor.mp4']
    command += ['--ground-truth', folder / 'sharp.mp4']
    subprocess.run(command, check=True, timeout=120)
    return folder


def test_sample_is_small_and_has_sound():
    assert SAMPLE.stat().st_size < 100_000
    with av.open(str(SAMPLE)) as container:
        assert [s.type for s in container.streams] == ['video', 'audio']
    assert read(SAMPLE).shape == (24, 96, 128, 3)


def test_script_makes_the_sample(made: Path):
    # equal with the pinned packages; another x264 may round differently
    again = read(made / 'poor.mp4').astype(float)
    assert np.abs(again - read(SAMPLE)).mean() < 1


def test_poor_clip_is_the_sharp_one_made_small(made: Path):
    sharp = read(made / 'sharp.mp4').astype(float)
    poor = read(made / 'poor.mp4').astype(float)
    small = sharp.reshape(24, 96, 4, 128, 4, 3).mean((2, 4))
    mse = ((small - poor) ** 2).mean((1, 2, 3))
    assert (10 * np.log10(255**2 / mse)).min() > 28


def test_the_camera_moves_smoothly(made: Path):
    sharp = read(made / 'sharp.mp4').astype(float)
    change = np.abs(np.diff(sharp, axis=0)).mean((1, 2, 3))
    assert change.min() > 0.1  # every frame differs from the last
    assert change.max() < 20  # and there is no cut


def test_the_shipped_model_sharpens_it(made: Path):
    lq, gt = clip(SAMPLE), clip(made / 'sharp.mp4')
    pred, plain = init_model().restore(lq), Bicubic().restore(lq)
    assert psnr(pred, gt) > psnr(plain, gt) - 1.5
    found = sharpness(pred) / sharpness(gt)
    assert 3 * sharpness(plain) / sharpness(gt) < found < 1


def clip(path: Path) -> Tensor:
    """Decode two frames, (T, 3, H, W) uint8 RGB."""
    return torch.from_numpy(read(path)[:2]).permute(0, 3, 1, 2).contiguous()


def sharpness(frames: Tensor) -> float:
    """Average the absolute Laplacian of the mean of the channels."""
    x = frames.double().mean(1)
    inner = 4 * x[:, 1:-1, 1:-1] - x[:, 2:, 1:-1] - x[:, :-2, 1:-1]
    return float((inner - x[:, 1:-1, 2:] - x[:, 1:-1, :-2]).abs().mean())
