import math

import pytest
import torch

from star.diffusion.residual_shift import (
    KAPPA,
    input_scale,
    posterior,
    sample_residual_shift,
    shift_levels,
)

SCHEDULES = [(15, 0.04), (4, 0.2), (2, 0.5)]


@pytest.mark.parametrize(('steps', 'min_noise'), SCHEDULES)
def test_levels(steps: int, min_noise: float):
    etas = shift_levels(steps, min_noise)
    assert len(etas) == steps
    assert etas == sorted(etas)
    assert KAPPA * math.sqrt(etas[0]) == pytest.approx(min_noise)
    assert math.sqrt(etas[-1]) == pytest.approx(0.99)


@pytest.mark.parametrize(('steps', 'min_noise'), SCHEDULES)
def test_posterior_leads_from_each_level_to_the_one_before(
    steps: int, min_noise: float
):
    """Means and variances of x_t = x0 + eta (y - x0) + kappa sqrt(eta) n."""
    etas = shift_levels(steps, min_noise)
    x0, y = 0.3, -0.7
    for t in range(1, steps):
        of_x, of_x0, variance = posterior(etas, t)
        mean = of_x * (x0 + etas[t] * (y - x0)) + of_x0 * x0
        assert mean == pytest.approx(x0 + etas[t - 1] * (y - x0))
        total = of_x**2 * KAPPA**2 * etas[t] + variance
        assert total == pytest.approx(KAPPA**2 * etas[t - 1])
    assert posterior(etas, 0) == (0, 1, 0)


def test_samples_have_the_levels():
    """A denoiser that knows x0 sees its mean and spread at each step."""
    etas = shift_levels(4, 0.2)
    y = torch.full((100_000,), 1.0)
    generator = torch.Generator().manual_seed(0)
    drawn, seen = [], []

    def noise(number: int) -> torch.Tensor:
        drawn.append(number)
        return torch.randn(y.shape, generator=generator)

    def predict(x: torch.Tensor, t: int) -> torch.Tensor:
        x = x / input_scale(etas[t])
        seen.append((t, x.mean().item(), x.std().item()))
        return torch.zeros_like(x)

    out = sample_residual_shift(predict, y, etas, noise)
    assert not out.any()
    assert drawn == [0, 1, 2, 3]
    assert [t for t, _, _ in seen] == [3, 2, 1, 0]
    for t, mean, std in seen:
        assert mean == pytest.approx(etas[t], abs=0.02)
        assert std == pytest.approx(KAPPA * math.sqrt(etas[t]), rel=0.01)


@pytest.mark.parametrize(
    ('steps', 'min_noise', 'message'),
    [
        (1, 0.2, '`steps` must be at least 2, got 1'),
        (4, 0, '`min_noise` must lie between 0 and 0.99, got 0'),
        (4, 1, '`min_noise` must lie between 0 and 0.99, got 1'),
    ],
)
def test_refuses(steps: int, min_noise: float, message: str):
    with pytest.raises(ValueError, match=message):
        shift_levels(steps, min_noise)
