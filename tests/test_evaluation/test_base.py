"""What all metrics share: measurements, selection, records, description."""

import json
import math

import pytest
import torch

from star.evaluation import PSNR, SSIM, Measurement
from star.evaluation.base import mean_of
from star.evaluation.functional.psnr import psnr_frames
from tests.test_evaluation.test_functional.test_psnr import clips
from tests.test_evaluation.test_metrics import sample


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


def test_refuses_a_frame_that_is_not_there():
    metric = PSNR(frames=[0, 3])
    with pytest.raises(ValueError, match=r'below 3 for this clip, got 3'):
        metric.measure(*clips())
    with pytest.raises(ValueError, match='PSNR of A/clip0: `frames` must'):
        metric.process(None, [sample(0)])


@pytest.mark.parametrize('frames', [[], [-1], [0, 0], [0.5], [True]])
def test_refuses_frames(frames: list):
    with pytest.raises(ValueError, match='`frames` must be different'):
        PSNR(frames=frames)


def test_refuses_every():
    with pytest.raises(ValueError, match='`every` must be at least 1, got 0'):
        SSIM(every=0)


def test_only_some_data_sets():
    metric = PSNR(datasets=['B'])
    metric.process(None, [sample(0, 'A'), sample(1, 'B')])
    assert [r['name'] for r in metric.results] == ['clip0', 'clip1']
    assert metric.results[0]['score'] is None
    assert metric.evaluate(2).keys() == {'B/PSNR'}


def test_records():
    metric = PSNR(every=2)
    metric.process(None, [sample(0), sample(1, gt=False)])
    found = metric.measure(*clips(0))
    assert metric.results == [
        {
            'dataset': 'A',
            'name': 'clip0',
            'score': found.score,
            'parts': found.parts,
            'frames': [0, 2],
            'extras': {},
        },
        {
            'dataset': 'A',
            'name': 'clip1',
            'score': None,
            'parts': [],
            'frames': [],
            'extras': {},
        },
    ]


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


def test_frames_without_a_number():
    parts = torch.tensor([3.0, math.nan, 5.0], dtype=torch.float64)
    found = mean_of(parts, [0, 2, 4], {'flow': 1.0})
    assert (found.score, found.frames) == (4.0, [0, 2, 4])
    assert found.extras == {'flow': 1.0, 'unmeasured': 1.0}
    with pytest.raises(ValueError, match='no frame has a number'):
        mean_of(parts[1:2], [0])
