import pytest
import torch

from star.diffusion.precondition import lq_velocity


def draw(std, alpha, count=200_000):
    """Noised samples around low-quality ones, and their true velocity."""
    generator = torch.Generator().manual_seed(0)
    sigma = (1 - alpha**2) ** 0.5
    x_lq, spread, noise = torch.randn(
        3, 1, 1, count, generator=generator, dtype=torch.float64
    )
    x0 = 0.8 * x_lq + 0.3 + std * spread
    x_t = alpha * x0 + sigma * noise
    levels = torch.tensor([alpha, sigma], dtype=torch.float64)
    return x_t, 0.8 * x_lq + 0.3, alpha * noise - sigma * x0, levels


@pytest.mark.parametrize('std', [0.1, 1.0, 2.5])
@pytest.mark.parametrize('alpha', [0.0, 0.05, 0.5, 0.95, 1.0])
def test_is_the_best_linear_estimate(std, alpha):
    """The error is uncorrelated with the inputs and has unit deviation."""
    x_t, x_lq, v, (alpha, sigma) = draw(std, alpha)
    deviation = torch.tensor([std], dtype=torch.float64)
    base, scale = lq_velocity(x_t, x_lq, deviation, alpha, sigma)
    left = (v - base) / scale
    assert left.mean().abs() < 0.01
    assert left.std().item() == pytest.approx(1, abs=0.01)
    for known in (x_t - alpha * x_lq, x_lq):
        correlation = (left * known).mean() / known.std()
        assert correlation.abs() < 0.01


def test_limits():
    x_t, x_lq = torch.randn(2, 1, 3, 2, 4, 4)
    zero, one = torch.zeros(()), torch.ones(())
    std = torch.tensor([0.1, 1.0, 2.0]).view(3, 1, 1, 1)
    base, scale = lq_velocity(x_t, x_lq, std, zero, one)  # pure noise
    assert torch.equal(base, -x_lq)
    assert torch.equal(scale.flatten(), std.flatten())
    base, scale = lq_velocity(x_t, x_lq, std, one, zero)  # no noise
    assert not base.any()
    assert torch.allclose(scale, one)
