import math

import pytest

from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.diffusion.timesteps import fast_timesteps
from star.registry import MODELS


@pytest.fixture(scope='module')
def schedule():
    return I2VGenSchedule()


@pytest.mark.parametrize(
    't, sigma',
    [
        (0, 0.001106),
        (100, 0.322620),
        (250, 0.702541),
        (500, 0.943010),
        (899, 0.999094),
        (999, 1.0),
    ],
)
def test_sigma_has_the_official_values(schedule, t, sigma):
    assert schedule.sigma[t].item() == pytest.approx(sigma, abs=1e-6)


def test_alpha_has_the_official_values(schedule):
    assert schedule.alpha[899].item() == pytest.approx(0.042566, abs=1e-6)
    ratio = (schedule.sigma[899] / schedule.alpha[899]).item()
    assert ratio == pytest.approx(23.4717, abs=1e-3)


def test_terminal_snr_is_exactly_zero(schedule):
    assert schedule.alpha[-1] == 0
    assert schedule.sigma[-1] == 1


def test_matches_a_double_precision_evaluation(schedule):
    low, high = (math.atan(math.exp(s * 7.5)) for s in (-1, 1))
    for t in range(0, 900, 37):
        u = t / 999
        logsnr = -2 * math.log(math.tan(low + u * (high - low)))
        logsnr -= 2 * (u * math.log(4) + (1 - u) * math.log(2))
        sigma = 1 / math.sqrt(1 + math.exp(logsnr))
        assert schedule.sigma[t].item() == pytest.approx(sigma, abs=1e-6)


def test_is_built_from_a_config():
    schedule = MODELS.build(dict(type='I2VGenSchedule', num_timesteps=10))
    assert schedule.alpha.shape == schedule.sigma.shape == (10,)
    assert schedule.num_timesteps == 10


def test_at_fractions_is_log_linear_in_the_ratio(schedule):
    # Noise-to-signal ratios of the official solver.
    for t, want in ((500 - 501 / 11, 2.3784165), (842.75, 14.2903576)):
        alpha, sigma = schedule.at(t)
        assert sigma / alpha == pytest.approx(want, rel=1e-6)
        assert math.hypot(alpha, sigma) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize(
    'options, message',
    [
        (dict(num_timesteps=1), '`num_timesteps` must be at least 2, got 1'),
        (dict(scale_min=0), 'must be positive, got 0 and 4'),
        (dict(logsnr_min=15), '`logsnr_min` must be less than'),
    ],
)
def test_refuses_bad_arguments(options, message):
    with pytest.raises(ValueError, match=message):
        I2VGenSchedule(**options)


def test_timesteps_of_a_restoration():
    schedule = I2VGenSchedule()
    assert schedule.start_timestep == 899
    assert schedule.list_timesteps('fast', 3, 1) == fast_timesteps()
    assert schedule.list_timesteps('normal', 3, 0.5) == [450, 337.25, 224.5]
    # no more evaluations than timesteps
    assert schedule.list_timesteps('normal', 9, 0.001) == pytest.approx(
        [1, 1 / 3]
    )
