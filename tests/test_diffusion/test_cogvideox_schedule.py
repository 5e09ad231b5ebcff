"""CogVideoXSchedule against diffusers' scheduler and by its identities."""

import math

import pytest
import torch
from diffusers import CogVideoXDDIMScheduler

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.samplers import SAMPLERS
from star.registry import MODELS


@pytest.fixture(scope='module')
def schedule():
    return CogVideoXSchedule()


@pytest.mark.parametrize('shift', [1.0, 3.0])
def test_table_is_diffusers(shift):
    scheduler = CogVideoXDDIMScheduler(
        beta_start=0.00085,
        beta_end=0.012,
        rescale_betas_zero_snr=True,
        snr_shift_scale=shift,
    )
    schedule = CogVideoXSchedule(shift=shift)
    want = scheduler.alphas_cumprod.sqrt()
    torch.testing.assert_close(schedule.alpha, want.float(), atol=2e-7, rtol=0)


def test_ends(schedule):
    assert schedule.alpha[-1] == 0
    assert schedule.sigma[-1] == 1
    # sqrt(1 - 0.00085), not moved by the rescale
    assert schedule.alpha[0].item() == pytest.approx(0.999575, abs=1e-6)
    total = schedule.alpha.double() ** 2 + schedule.sigma.double() ** 2
    assert (total - 1).abs().max() < 1e-7
    assert (schedule.sigma.diff() > 0).all()
    assert schedule.start_timestep == 999


def test_shift_divides_the_snr_before_the_rescale():
    """Undo the rescale of both tables: their SNRs then differ by 3."""

    def snr(schedule):
        square = schedule._plain.double() ** 2
        return square / (1 - square)

    ratio = snr(CogVideoXSchedule()) / snr(CogVideoXSchedule(shift=3.0))
    torch.testing.assert_close(
        ratio, torch.full_like(ratio, 3.0), atol=0, rtol=2e-4
    )


@pytest.mark.parametrize('t', [0, 1, 500, 998, 999])
def test_velocity_is_inverted(schedule, t):
    generator = torch.Generator().manual_seed(0)
    x0, noise = torch.randn(2, 3, 4, 2, 6, 8, generator=generator)
    t = torch.full((3,), t)
    x_t = schedule.add_noise(x0, noise, t)
    v = schedule.velocity(x0, noise, t)
    torch.testing.assert_close(
        schedule.to_x0(x_t, v, t), x0, atol=1e-5, rtol=0
    )


def test_a_sampler_from_the_last_timestep_rescales_its_own(schedule):
    """With 3 timesteps, written out: the first keeps its plain alpha."""
    levels, seen = schedule.for_timesteps([999.0, 500.0, 124.0])
    plain = schedule._plain.double()
    last, middle, first = (plain[t].item() for t in (999, 500, 124))
    want = (middle - last) * first / (first - last)
    assert levels[0] == (0, 1)
    assert levels[1][0] == pytest.approx(want, abs=1e-6)
    assert levels[2][0] == pytest.approx(first, abs=1e-6)
    for alpha, sigma in levels:
        assert math.hypot(alpha, sigma) == pytest.approx(1)
    for t, (alpha, _) in zip((500, 124), levels[1:], strict=True):
        nearest = (schedule.alpha - alpha).abs().argmin().item()
        assert 0 < abs(nearest - t) < 10
        assert seen.at(t) == schedule.at(nearest)
    assert seen.at(999) == (0, 1)


@pytest.mark.parametrize('timesteps', [[998, 500, 3], [700], [999]])
def test_other_samplers_use_the_table(schedule, timesteps):
    levels, seen = schedule.for_timesteps(timesteps)
    assert levels == [schedule.at(t) for t in timesteps]
    assert [seen.at(t) for t in timesteps] == levels


def test_refuses_timesteps(schedule):
    with pytest.raises(ValueError, match=r'whole numbers, got 499\.5'):
        schedule.for_timesteps([999, 499.5])
    with pytest.raises(ValueError, match=r'`t` must lie in \[0, 999\]'):
        schedule.for_timesteps([1000, 500])
    seen = schedule.for_timesteps([999, 500])[1]
    with pytest.raises(ValueError, match='timestep of the sampler, got 7'):
        seen.at(7)


@pytest.mark.parametrize('name', SAMPLERS)
@pytest.mark.parametrize('strength', [1.0, 0.6])
def test_every_sampler_recovers_a_gaussian(schedule, name, strength):
    """Data of deviation 0.5, denoised perfectly, keeps its deviation."""
    timesteps = schedule.list_timesteps('normal', 50, strength)
    levels = schedule.for_timesteps(timesteps)[1]
    if name != 'cogvideox_dpmpp_2m':
        levels = schedule

    def denoise(x, t):
        alpha, sigma = levels.at(t)
        return alpha * 0.25 / (alpha**2 * 0.25 + sigma**2) * x

    generator = torch.Generator().manual_seed(0)
    alpha, sigma = schedule.at(timesteps[0])
    x = torch.randn(1, 40_000, generator=generator)
    x *= math.hypot(alpha * 0.5, sigma)
    out = SAMPLERS[name](
        denoise,
        x,
        timesteps,
        schedule,
        lambda i: torch.randn(x.shape, generator=generator),
    )
    assert out.std().item() == pytest.approx(0.5, abs=0.04)


def test_timesteps_of_a_restoration(schedule):
    assert schedule.list_timesteps('normal', 8, 1.0) == [
        *(999, 874, 749, 624, 499, 374, 249, 124)
    ]
    assert schedule.list_timesteps('normal', 2, 0.5) == [500, 250]
    assert schedule.list_timesteps('normal', 50, 0.003) == [3, 2, 1]
    assert schedule.list_timesteps('normal', 50, 1e-4) == [0]
    with pytest.raises(ValueError, match=r"must be 'normal' .*, got 'fast'"):
        schedule.list_timesteps('fast', 8, 1.0)


def test_casting_and_the_meta_device(schedule):
    with torch.device('meta'):
        made = MODELS.build(dict(type='CogVideoXSchedule', shift=3.0))
    made = torch.nn.Sequential(made).bfloat16()[0]
    want = CogVideoXSchedule(shift=3.0)
    assert torch.equal(made.alpha, want.alpha)
    assert torch.equal(made.sigma, want.sigma)
    timesteps = [999, 700, 300]
    assert (
        made.for_timesteps(timesteps)[0] == (want.for_timesteps(timesteps)[0])
    )
    assert made.state_dict() == {}


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_timesteps=1), '`num_timesteps` must be at least 2, got 1'),
        (dict(beta_start=0), 'must increase .* got 0 and 0.012'),
        (dict(beta_end=0.0001), 'must increase .* got 0.00085 and 0.0001'),
        (dict(shift=0), '`shift` must be positive, got 0'),
    ],
)
def test_refuses_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        CogVideoXSchedule(**options)
