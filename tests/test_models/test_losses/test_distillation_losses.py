"""The losses of a student: latents, the teacher's path, flicker."""

import numpy as np
import pytest
import torch

from star.models.losses.distances import DISTANCES
from star.registry import MODELS

SHAPE = (3, 2, 4, 5, 6)  # clips, channels, frames, height, width


def clips(count, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return [torch.randn(SHAPE, generator=generator) for _ in range(count)]


def square(a, b):
    return ((a - b).numpy() ** 2).reshape(len(a), -1).mean(1)


def test_distances_of_each_clip():
    a, b = clips(2)
    apart = (a - b).numpy().reshape(3, -1)
    wanted = {
        'l1': np.abs(apart).mean(1),
        'l2': (apart**2).mean(1),
    }
    d = apart.shape[1]
    c = 0.00054 * d**0.5
    norm = (apart**2).sum(1)
    wanted['huber'] = (np.sqrt(norm + c**2) - c) / d**0.5
    assert DISTANCES.keys() == wanted.keys()
    for name, values in wanted.items():
        found = DISTANCES[name](a, b)
        np.testing.assert_allclose(found.numpy(), values, rtol=1e-5)
        assert DISTANCES[name](a, a).abs().max() < 1e-9


@pytest.mark.parametrize('gt', [0.0, 0.25, 1.0])
def test_latent_loss(gt):
    pred, teacher, truth = clips(3)
    loss = MODELS.build({'type': 'LatentLoss', 'gt': gt, 'weight': 0.5})
    counts = torch.tensor([1.0, 0.0, 1.0])
    each = (1 - gt) * square(pred, teacher) + gt * square(pred, truth)
    found = loss(pred, teacher, truth, counts)
    assert found.item() == pytest.approx(0.5 * (each[0] + each[2]) / 3)
    assert loss.terms(pred, teacher, truth, counts).keys() == {'loss_latent'}


def test_latent_loss_ignores_what_has_no_share():
    pred, teacher, _ = clips(3)
    nothing = torch.full(SHAPE, torch.nan)
    loss = MODELS.build({'type': 'LatentLoss'})
    assert loss(pred, teacher, nothing, torch.ones(3)).isfinite()


def test_teacher_path_loss():
    v, teacher_v, x0, end = clips(4)
    config = {'velocity': 2.0, 'consistency': 0.5, 'weight': 0.1}
    loss = MODELS.build({'type': 'TeacherPathLoss', **config})
    counts = torch.tensor([0.0, 1.0, 0.0])
    found = loss.terms(v, teacher_v, x0, end, counts)
    apart, off = square(v, teacher_v)[1] / 3, square(x0, end)[1] / 3
    assert found['path_velocity'].item() == pytest.approx(apart)
    assert found['path_consistency'].item() == pytest.approx(off)
    wanted = 0.1 * (2 * apart + 0.5 * off)
    assert found['loss_path'].item() == pytest.approx(wanted)
    assert loss(v, teacher_v, x0, end, counts) == found['loss_path']


def test_frame_difference_loss():
    pred, gt = clips(2)
    loss = MODELS.build({'type': 'FrameDifferenceLoss', 'weight': 3.0})
    changes = np.diff(pred.numpy(), axis=2) - np.diff(gt.numpy(), axis=2)
    found = loss(pred, gt, torch.zeros(3))
    assert found.item() == pytest.approx(3 * np.abs(changes).mean(), rel=1e-5)
    still = gt + torch.randn(3, 2, 1, 5, 6)  # another picture, the same motion
    assert loss(still, gt, torch.zeros(3)).item() < 1e-5


def test_one_frame_does_not_flicker():
    pred = torch.randn(2, 3, 1, 4, 4, requires_grad=True)
    loss = MODELS.build({'type': 'FrameDifferenceLoss'})
    found = loss(pred, torch.zeros_like(pred), torch.zeros(2))
    found.backward()
    assert found.item() == 0
    assert pred.grad.abs().max() == 0


@pytest.mark.parametrize(
    ('config', 'reason'),
    [
        ({'type': 'LatentLoss', 'gt': 1.5}, r'`gt` must lie in \[0, 1\]'),
        ({'type': 'LatentLoss', 'norm': 'l3'}, '`norm` must be one of l1, l2'),
        ({'type': 'LatentLoss', 'weight': -1}, '`weight` must not be neg'),
        ({'type': 'TeacherPathLoss', 'velocity': -1}, '`velocity` must not'),
        ({'type': 'FrameDifferenceLoss', 'norm': ''}, "got ''"),
    ],
)
def test_wrong_arguments(config, reason):
    with pytest.raises(ValueError, match=reason):
        MODELS.build(config)
