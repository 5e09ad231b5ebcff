import pytest
import torch
from torch import nn

from star.diffusion.i2vgen_schedule import I2VGenSchedule


@pytest.fixture(scope='module')
def schedule():
    return I2VGenSchedule()


@pytest.fixture
def pair():
    g = torch.Generator().manual_seed(0)
    x0 = torch.randn(3, 4, 2, 6, 8, generator=g)
    return x0, torch.randn(3, 4, 2, 6, 8, generator=g)


def test_variance_is_preserved_and_noise_grows(schedule):
    total = schedule.alpha.double() ** 2 + schedule.sigma.double() ** 2
    assert (total - 1).abs().max() < 1e-6
    assert (schedule.sigma.diff() > 0).all()


@pytest.mark.parametrize('t', [0, 1, 500, 998, 999])
def test_velocity_is_inverted(schedule, pair, t):
    x0, noise = pair
    t = torch.full((3,), t)
    x_t = schedule.add_noise(x0, noise, t)
    v = schedule.velocity(x0, noise, t)
    torch.testing.assert_close(
        schedule.to_x0(x_t, v, t), x0, atol=1e-5, rtol=0
    )


def test_zero_terminal_snr_is_pure_noise(schedule, pair):
    x0, noise = pair
    t = torch.full((3,), 999)
    assert torch.equal(schedule.add_noise(x0, noise, t), noise)
    assert torch.equal(schedule.velocity(x0, noise, t), -x0)


def test_each_sample_has_its_own_timestep(schedule, pair):
    x0, noise = pair
    t = torch.tensor([3, 400, 999])
    batch = schedule.add_noise(x0, noise, t)
    for i in range(3):
        one = schedule.add_noise(x0[i : i + 1], noise[i : i + 1], t[i : i + 1])
        assert torch.equal(batch[i : i + 1], one)


def test_half_precision_is_computed_in_float32(schedule, pair):
    x0, noise = (x.bfloat16() for x in pair)
    t = torch.tensor([0, 500, 899])
    out = schedule.add_noise(x0, noise, t)
    want = schedule.add_noise(x0.float(), noise.float(), t)
    assert out.dtype == torch.bfloat16
    assert torch.equal(out, want.bfloat16())


def test_double_precision_is_kept(schedule, pair):
    x0, noise = (x.double() for x in pair)
    t = torch.tensor([0, 500, 899])
    v = schedule.velocity(x0, noise, t)
    back = schedule.to_x0(schedule.add_noise(x0, noise, t), v, t)
    assert back.dtype == torch.float64
    assert (back - x0).abs().max() < 1e-6  # alpha, sigma are float32


@pytest.mark.parametrize('dtype', [torch.float16, torch.bfloat16])
def test_casting_a_model_keeps_the_buffers(schedule, dtype):
    model = nn.ModuleDict(dict(schedule=I2VGenSchedule(), net=nn.Linear(2, 2)))
    model.to(dtype)
    assert model['net'].weight.dtype == dtype
    assert torch.equal(model['schedule'].alpha, schedule.alpha)
    assert torch.equal(model['schedule'].sigma, schedule.sigma)
    assert model['schedule'].alpha.dtype == torch.float32


def test_survives_construction_on_the_meta_device(schedule):
    with torch.device('meta'):
        model = nn.ModuleDict(
            dict(schedule=I2VGenSchedule(), net=nn.Linear(2, 2))
        )
    model.to_empty(device='cpu')
    assert torch.equal(model['schedule'].alpha, schedule.alpha)


def test_adds_nothing_to_the_state_dict(schedule):
    assert schedule.state_dict() == {}
    assert list(schedule.parameters()) == []


def test_at_whole_timesteps_is_the_buffer(schedule):
    for t in (0, 500.0, 899, 999):
        alpha, sigma = schedule.at(t)
        assert alpha == schedule.alpha[int(t)].item()
        assert sigma == schedule.sigma[int(t)].item()


def test_at_next_to_zero_snr_is_finite_and_decreasing(schedule):
    alphas = [schedule.at(t)[0] for t in (998, 998.3, 998.9, 999)]
    assert alphas == sorted(alphas, reverse=True)
    assert len(set(alphas)) == 4


@pytest.mark.parametrize('t', [-1, -0.1, 999.5, 1000])
def test_at_refuses_other_timesteps(schedule, t):
    with pytest.raises(ValueError, match=r'`t` must lie in \[0, 999\]'):
        schedule.at(t)


def test_a_sampler_and_its_denoiser_share_the_table():
    schedule = I2VGenSchedule()
    levels, seen = schedule.for_timesteps([899, 450.5, 0])
    assert levels == [schedule.at(t) for t in (899, 450.5, 0)]
    assert [seen.at(t) for t in (899, 450.5, 0)] == levels
