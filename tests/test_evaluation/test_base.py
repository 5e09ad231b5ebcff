"""The base class of metrics: measurement, selection, description."""

import json
import math

import pytest
import torch
from torch import Tensor

from star.evaluation import PSNR, SSIM, Measurement, VideoMetric
from star.evaluation.base import mean_of
from star.evaluation.functional.psnr import psnr_frames
from tests.test_evaluation.test_functional.test_psnr import clips


class Brightness(VideoMetric):
    """The smallest metric: a mean for each frame, without a constructor."""

    higher_is_better = True
    needs_gt = False

    def score_frames(self, pred: Tensor, gt: Tensor | None) -> Tensor:
        return pred.double().mean((1, 2, 3))


def test_one_method_makes_a_metric():
    pred, gt = clips()
    means = pred.double().mean((1, 2, 3)).tolist()
    metric = Brightness(frames=[2, 0])
    assert metric.name == 'Brightness'
    for truth in (None, gt):
        found = metric.measure(pred, truth)
        assert (found.parts, found.frames) == ([means[2], means[0]], [2, 0])
        assert found.score == pytest.approx((means[0] + means[2]) / 2)
    about = metric.describe()
    assert (about['name'], about['type']) == ('Brightness', 'Brightness')
    assert about['options'] == {'frames': [2, 0], 'every': 1}


def test_parts_belong_to_frames():
    found = PSNR().measure(*clips())
    parts = psnr_frames(*clips()).tolist()
    assert found == Measurement(sum(parts) / 3, parts, [0, 1, 2], {})


@pytest.mark.parametrize(
    ('options', 'frames'),
    [
        ({'frames': [2, 0]}, [2, 0]),
        ({'frames': (1,)}, [1]),
        ({'every': 2}, [0, 2]),
        ({'every': 5}, [0]),
        ({'frames': [0, 1, 2], 'every': 2}, [0, 2]),
    ],
)
def test_measures_some_frames(options: dict, frames: list[int]):
    whole = psnr_frames(*clips()).tolist()
    found = PSNR(**options).measure(*clips())
    assert found.frames == frames
    assert found.parts == [whole[i] for i in frames]
    assert found.score == pytest.approx(sum(found.parts) / len(frames))


def test_refuses_a_missing_frame():
    with pytest.raises(ValueError, match=r'below 3 for this clip, got 3'):
        PSNR(frames=[0, 3]).measure(*clips())


def test_refuses_clips_that_cannot_be_compared():
    pred, gt = clips()
    with pytest.raises(ValueError, match='PSNR needs a ground truth'):
        PSNR().measure(pred)
    with pytest.raises(ValueError, match='`pred` and `gt` must have one'):
        PSNR().measure(pred, gt[:1])
    with pytest.raises(ValueError, match='`pred` must be'):
        Brightness().measure(pred.float())


@pytest.mark.parametrize('frames', [[], [-1], [0, 0], [0.5], [True]])
def test_refuses_frames(frames: list):
    with pytest.raises(ValueError, match='`frames` must be different'):
        PSNR(frames=frames)


def test_refuses_every():
    with pytest.raises(ValueError, match='`every` must be at least 1, got 0'):
        SSIM(every=0)


def test_describes_itself():
    metric = SSIM('y', border=4, frames=(0, 2))
    assert json.loads(json.dumps(metric.describe())) == {
        'name': 'SSIM_Y',
        'type': 'SSIM',
        'unit': 'frame',
        'higher_is_better': True,
        'options': {
            'channel': 'y',
            'border': 4,
            'frames': [0, 2],
            'every': 1,
        },
        'weights': {},
    }


def test_mean_of_counts_parts():
    parts = psnr_frames(*clips())
    with pytest.raises(AssertionError):
        mean_of(parts, [0, 1])
    assert mean_of(parts, [4, 5, 6], {'x': 1.0}).extras == {'x': 1.0}


def test_frames_without_a_score():
    parts = torch.tensor([3.0, math.nan, 5.0], dtype=torch.float64)
    found = mean_of(parts, [0, 2, 4], {'flow': 1.0})
    assert (found.score, found.frames) == (4.0, [0, 2, 4])
    assert found.extras == {'flow': 1.0, 'unmeasured': 1.0}
    with pytest.raises(ValueError, match='no frame has a score'):
        mean_of(parts[1:2], [0])
