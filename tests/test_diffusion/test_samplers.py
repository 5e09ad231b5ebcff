import math
from itertools import pairwise

import pytest
import torch

from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.diffusion.samplers import (
    SAMPLERS,
    official_start,
    sample_dpmpp_2m_sde,
)
from star.diffusion.timesteps import fast_timesteps, normal_timesteps

SCHEDULE = I2VGenSchedule()
DATA_STD = 0.5
STOCHASTIC = ('dpmpp_2m_sde', 'cogvideox_dpmpp_2m')


def gaussian_denoise(x, t):
    """Return E[x0 | x_t] for data that is normal with DATA_STD."""
    alpha, sigma = SCHEDULE.at(t)
    gain = alpha * DATA_STD**2 / (alpha**2 * DATA_STD**2 + sigma**2)
    return gain * x


def spread(t):
    """Standard deviation of x_t, along which the exact ODE scales x."""
    alpha, sigma = SCHEDULE.at(t)
    return math.hypot(alpha * DATA_STD, sigma)


def unit_noise(shape, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return lambda i: torch.randn(
        shape, generator=generator, dtype=torch.float64
    )


@pytest.mark.parametrize('name', SAMPLERS)
@pytest.mark.parametrize('start', [899, 300])
def test_one_step_is_one_evaluation(name, start):
    x = torch.randn(1, 4, 2, 3, 3)
    out = SAMPLERS[name](gaussian_denoise, x, [start], SCHEDULE, None)
    assert torch.equal(out, gaussian_denoise(x, start))


@pytest.mark.parametrize(
    'name, calls', [('dpmpp_2m_sde', 14), ('ddim', 14), ('heun', 27)]
)
def test_timesteps_that_the_network_sees(name, calls):
    seen = []

    def denoise(x, t):
        seen.append(t)
        return x * 0

    x = torch.randn(1, 2)
    SAMPLERS[name](denoise, x, fast_timesteps(), SCHEDULE, unit_noise((1, 2)))
    assert len(seen) == calls
    assert all(type(t) is int for t in seen)
    called = seen[:: 2 if name == 'heun' else 1]
    assert called == [round(t) for t in fast_timesteps()]


@pytest.mark.parametrize('name', SAMPLERS)
def test_a_known_clean_sample_is_returned(name):
    x0 = torch.linspace(-2, 2, 24).reshape(1, 4, 1, 2, 3)
    x = torch.randn_like(x0)
    noise = unit_noise(x0.shape)
    out = SAMPLERS[name](lambda x, t: x0, x, fast_timesteps(), SCHEDULE, noise)
    assert torch.equal(out, x0)


@pytest.mark.parametrize('name', SAMPLERS)
def test_noise_level_follows_the_schedule(name):
    # With a perfect denoiser x_t stays alpha x0 + sigma noise, in law for
    # the SDE and sample by sample for the ODE.
    shape = (1, 50_000)
    x0 = torch.full(shape, 0.7, dtype=torch.float64)
    first = torch.randn(shape, dtype=torch.float64)
    seen = {}

    def denoise(x, t):
        seen[t] = x
        return x0

    timesteps = normal_timesteps(6)
    alpha, sigma = SCHEDULE.at(899)
    x = alpha * x0 + sigma * first
    SAMPLERS[name](denoise, x, timesteps, SCHEDULE, unit_noise(shape))
    for t in timesteps[1:]:
        alpha, sigma = SCHEDULE.at(t)
        x_t = seen[round(t)]
        if name in STOCHASTIC:
            assert x_t.mean().item() == pytest.approx(0.7 * alpha, abs=0.02)
            assert x_t.std().item() == pytest.approx(sigma, rel=0.02)
        else:
            want = alpha * x0 + sigma * first
            torch.testing.assert_close(x_t, want, atol=1e-6, rtol=0)


def _error(name, steps, start):
    """Relative error at t = 131 on Gaussian data, where the ODE is exact."""
    timesteps = range(start, 130, -(start - 131) // steps)
    x = torch.full((1, 1), spread(start), dtype=torch.float64)
    out = SAMPLERS[name](gaussian_denoise, x, timesteps, SCHEDULE, None)
    want = gaussian_denoise(torch.full_like(x, spread(131)), 131)
    return (out / want - 1).abs().item()


@pytest.mark.parametrize('name, order', [('ddim', 1), ('heun', 2)])
def test_convergence_order(name, order):
    coarse, fine = (_error(name, steps, 899) for steps in (96, 192))
    assert math.log2(coarse / fine) == pytest.approx(order, abs=0.2)


def test_heun_is_closer_than_ddim_at_equal_cost():
    assert _error('heun', 24, 899) < 0.2 * _error('ddim', 48, 899)


def _sde_std(start, step):
    """Exact deviation of the SDE's samples over that of the denoised data.

    The denoiser is linear, so a sample is a sum of the start and of each
    step's noise: carry the coefficients, one per normal variable.
    """
    timesteps = range(start, 10, -step)
    normals = torch.eye(len(timesteps), dtype=torch.float64)[:, None]
    out = sample_dpmpp_2m_sde(
        gaussian_denoise,
        spread(start) * normals[0],
        timesteps,
        SCHEDULE,
        lambda i: normals[i + 1],
    )
    last = timesteps[-1]
    want = gaussian_denoise(torch.tensor(spread(last)), last).item()
    return out.norm().item() / want


@pytest.mark.parametrize('start', [899, 500, 999])
def test_sde_samples_have_the_datas_variance(start):
    errors = [abs(_sde_std(start, step) - 1) for step in (16, 8, 4, 2)]
    assert errors[-1] < 1e-3
    assert all(b < a / 2 for a, b in pairwise(errors))


@pytest.mark.parametrize('name', SAMPLERS)
@pytest.mark.parametrize('steps', [1, 2, 20, 1500])
def test_start_at_zero_snr_is_finite(name, steps):
    x = torch.randn(1, 64)
    out = SAMPLERS[name](
        gaussian_denoise,
        x,
        normal_timesteps(steps, start=999),
        SCHEDULE,
        lambda i: torch.randn(1, 64),
    )
    assert out.isfinite().all()
    if steps == 20:
        assert 0.2 < out.std().item() < 0.8


def test_step_from_zero_snr_forgets_x_in_the_sde():
    noise = unit_noise((1, 8))
    seen = []

    def denoise(x, t):
        seen.append(x)
        return torch.ones(1, 8, dtype=torch.float64)

    for scale in (1, 100):
        x = scale * torch.ones(1, 8, dtype=torch.float64)
        fixed = noise(0)
        sample_dpmpp_2m_sde(
            denoise, x, [999, 500], SCHEDULE, lambda i, n=fixed: n
        )
        alpha, sigma = SCHEDULE.at(500)
        torch.testing.assert_close(seen[-1], alpha + sigma * fixed)


def test_strength_zero_returns_nearly_the_input():
    x0 = torch.linspace(-1, 1, 12)[None]
    x = SCHEDULE.add_noise(x0, torch.randn(1, 12), torch.tensor([0]))
    for name in SAMPLERS:
        out = SAMPLERS[name](
            lambda x, t: x, x, fast_timesteps(0), SCHEDULE, None
        )
        assert (out - x0).abs().max() < 0.01


@pytest.mark.parametrize('name', SAMPLERS)
def test_noise_is_asked_for_in_order_and_not_for_the_last_step(name):
    asked = []

    def noise(i):
        asked.append(i)
        return torch.zeros(1, 2)

    x = torch.randn(1, 2)
    SAMPLERS[name](gaussian_denoise, x, [900, 500, 100], SCHEDULE, noise)
    assert asked == ([0, 1] if name in STOCHASTIC else [])


def test_cogvideox_sampler_is_dpmpp_where_there_is_one_table():
    x = torch.randn(1, 8, dtype=torch.float64)
    first, second = (
        SAMPLERS[name](
            gaussian_denoise,
            x,
            normal_timesteps(9),
            SCHEDULE,
            unit_noise((1, 8)),
        )
        for name in STOCHASTIC
    )
    assert torch.equal(first, second)


def test_samplers_do_not_change_their_input():
    x = torch.randn(1, 8)
    before = x.clone()
    for name in SAMPLERS:
        SAMPLERS[name](
            gaussian_denoise, x, [900, 500, 100], SCHEDULE, torch.tensor
        )
    assert torch.equal(x, before)


def test_official_start():
    x = torch.ones(2)
    out = official_start(x, SCHEDULE, 899)
    assert out[0].item() == pytest.approx(0.999094, abs=1e-6)


@pytest.mark.parametrize('name', SAMPLERS)
@pytest.mark.parametrize(
    'timesteps, message',
    [
        ([], 'at least one'),
        ([500, 500], 'must decrease'),
        ([100, 500], 'must decrease'),
        ([1000, 500], r'`t` must lie in \[0, 999\], got 1000'),
    ],
)
def test_refuses_bad_timesteps(name, timesteps, message):
    x = torch.zeros(1, 1)
    with pytest.raises(ValueError, match=message):
        SAMPLERS[name](gaussian_denoise, x, timesteps, SCHEDULE, None)
