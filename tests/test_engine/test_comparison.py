from fractions import Fraction

import numpy as np
import pytest
import torch.nn.functional as F

from star.engine.comparison import (
    compare_frames,
    file_name,
    write_comparison,
)
from star.video.io import VideoReader
from tests.test_models.fakes import random_clip


def test_frames_stand_side_by_side():
    lq, pred, gt = (
        random_clip(2, *size, 0) for size in [(3, 4)] + [(6, 8)] * 2
    )
    frames = list(compare_frames(lq, pred, gt))
    assert len(frames) == 2
    for i, frame in enumerate(frames):
        assert frame.shape == (6, 24, 3) and frame.dtype == np.uint8
        large = F.interpolate(lq.double(), size=(6, 8), mode='bicubic')
        difference = frame[:, :8] - large[i].clamp(0, 255).numpy().transpose(
            1, 2, 0
        )
        assert np.abs(difference).max() <= 0.501
        assert (frame[:, 8:16] == pred[i].permute(1, 2, 0).numpy()).all()
        assert (frame[:, 16:] == gt[i].permute(1, 2, 0).numpy()).all()


def test_ground_truth_may_be_missing_and_sizes_equal():
    lq, pred = random_clip(1, 6, 8, 0), random_clip(1, 6, 8, 1)
    (frame,) = compare_frames(lq, pred, None)
    assert frame.shape == (6, 16, 3)
    assert (frame[:, :8] == lq[0].permute(1, 2, 0).numpy()).all()


@pytest.mark.parametrize(
    ('frames', 'gt', 'message'),
    [
        (3, (2, 6, 8), '`pred` must have the 3 frames of `lq`, got 2'),
        (2, (2, 6, 10), r'`gt` must have the shape .* got \(2, 3, 6, 10\)'),
    ],
)
def test_clips_that_do_not_fit(frames, gt, message):
    lq, pred = random_clip(frames, 3, 4, 0), random_clip(2, 6, 8, 0)
    with pytest.raises(ValueError, match=message):
        next(compare_frames(lq, pred, random_clip(*gt, 0)))


@pytest.mark.parametrize(
    ('fps', 'rate'), [(8, 8), (29.97, Fraction(2997, 100)), (None, 25)]
)
def test_files(tmp_path, fps, rate):
    frames = [np.full((16, 48, 3), 50 * i, np.uint8) for i in range(4)]
    for _ in range(2):  # what is there is replaced
        image = write_comparison(tmp_path / 'a.b', iter(frames), fps, 2)
        assert (image == frames[2]).all()
    assert {p.name for p in tmp_path.iterdir()} == {'a.b.mp4', 'a.b.png'}
    with VideoReader(tmp_path / 'a.b.png') as reader:
        (still,) = reader
    assert (still.image == frames[2]).all()
    with VideoReader(tmp_path / 'a.b.mp4') as reader:
        found = list(reader)
    assert len(found) == 4
    for i, (frame, expected) in enumerate(zip(found, frames, strict=True)):
        assert frame.image.shape == (16, 48, 3)
        assert np.abs(frame.image.astype(int) - expected).max() <= 2
        assert float(frame.time) == pytest.approx(i / rate, abs=1e-3)


@pytest.mark.parametrize(
    ('name', 'expected'),
    [
        ('clip@3', '07_clip@3'),
        ('../a b/c:d', '07_.._a_b_c_d'),
        ('', '07_'),
        ('x' * 300, '07_' + 'x' * 97),
    ],
)
def test_file_names_are_harmless(name, expected):
    assert file_name(7, name) == expected
