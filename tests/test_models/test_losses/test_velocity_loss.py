import numpy as np
import pytest
import torch

from star.registry import MODELS


@pytest.mark.parametrize('weight', [1.0, 0.3])
def test_weighted_mean_square(weight):
    pred, target = torch.randn(2, 2, 3, 4, 5, 6)
    loss = MODELS.build({'type': 'VelocityLoss', 'weight': weight})
    expected = weight * np.mean((pred.numpy() - target.numpy()) ** 2)
    assert loss(pred, target).item() == pytest.approx(expected, rel=1e-5)
    assert loss(pred, pred).item() == 0


def test_half_precision_is_summed_in_float32():
    pred = torch.full((1, 4, 8, 16, 16), 200.0, dtype=torch.float16)
    loss = MODELS.build({'type': 'VelocityLoss'})(pred, -pred)
    assert loss.dtype == torch.float32
    assert loss.item() == 400**2  # not even one square fits float16


def test_gradient():
    pred = torch.randn(1, 2, 3, requires_grad=True)
    target = torch.randn(1, 2, 3)
    MODELS.build({'type': 'VelocityLoss'})(pred, target).backward()
    expected = 2 * (pred.detach() - target) / 6
    torch.testing.assert_close(pred.grad, expected)
