import numpy as np
import pytest
import torch

from star.diffusion.respaced import (
    respace,
    sample_ancestral,
    spaced_timesteps,
)


@pytest.mark.parametrize('steps', [1, 2, 3, 50, 999, 1000])
def test_timesteps_are_even_and_end_with_the_last(steps: int):
    found = spaced_timesteps(steps)
    assert len(found) == steps and found[-1] == 999
    assert found[0] == (0 if steps > 1 else 999)
    gaps = np.diff(found)
    assert not len(gaps) or (gaps.min() > 0 and np.ptp(gaps) <= 1)


@pytest.mark.parametrize('steps', [0, 1001])
def test_refuses_impossible_steps(steps: int):
    with pytest.raises(ValueError, match=r'`steps` must lie in \[1, 1000\]'):
        respace(steps)


def test_a_perfect_denoiser_finds_the_start_again():
    schedule = respace(7)
    clean = torch.randn(2, 3, generator=torch.Generator().manual_seed(0))
    levels = dict(zip(schedule.timesteps, schedule.products, strict=True))
    asked, adjusted = [], []

    def predict(x: torch.Tensor, t: int) -> torch.Tensor:
        asked.append(t)
        product = float(levels[t])
        return (x - product**0.5 * clean) / (1 - product) ** 0.5

    def adjust(x: torch.Tensor, i: int) -> torch.Tensor:
        adjusted.append(i)
        return x

    x = schedule.start(clean, torch.ones(2, 3))
    steps: list[int] = []

    def noise(k: int) -> torch.Tensor:
        steps.append(k)
        return torch.full((2, 3), float(k))

    out = sample_ancestral(predict, x, schedule, noise, adjust)
    torch.testing.assert_close(out, clean, rtol=0, atol=1e-5)
    assert asked == sorted(schedule.timesteps, reverse=True)
    assert adjusted == [6, 5, 4, 3, 2, 1, 0]
    assert steps == [0, 1, 2, 3, 4, 5]  # none at the last


def test_steps_keep_to_the_levels_of_noise():
    """Knowing x0, each step ends at what noising x0 would give."""
    schedule, x0 = respace(20), 0.5
    draw = torch.Generator().manual_seed(0)
    x = schedule.start(torch.tensor(x0), torch.randn(100_000, generator=draw))
    for i in reversed(range(1, 20)):
        noise = torch.randn(x.shape, generator=draw)
        x = schedule.step(x, torch.tensor(x0), i, noise)
        product = float(schedule.products[i - 1])
        assert x.mean() == pytest.approx(product**0.5 * x0, abs=0.02)
        assert x.std() == pytest.approx((1 - product) ** 0.5, rel=0.02)


def test_one_step_jumps_to_x0():
    schedule = respace(1)
    x = torch.ones(3)
    out = sample_ancestral(lambda x, t: 0 * x, x, schedule, lambda k: x)
    torch.testing.assert_close(out, x / schedule.last**0.5)
