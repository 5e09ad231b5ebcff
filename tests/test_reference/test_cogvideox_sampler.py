"""CogVideoX's schedule, guidance and sampler against the official code."""

import numpy as np
import torch

from star.diffusion.cogvideox_schedule import CogVideoXSchedule
from star.diffusion.guidance import dynamic_guidance, guide
from star.diffusion.samplers import sample_cogvideox, sample_dpmpp_2m_sde
from star.diffusion.timesteps import truncated_timesteps
from tests.test_reference.vectors import each_vector, find_vectors

SCHEDULE = CogVideoXSchedule()
each_file = each_vector('cogvideox/sampler_*.npz')


def load(path):
    data = dict(np.load(path))
    return data, data['num_steps'].item(), data['timesteps'].tolist()


class ToyDenoiser:
    """The vectors' velocity network with dynamic guidance.

    Latents are (N, T, C, h, w) here, as in the vectors: nothing in the
    sampler looks at the axes.
    """

    def __init__(self, data, levels, num_steps):
        self.lq = torch.from_numpy(data['lq'])
        self.text = torch.from_numpy(data['text']).mean()
        self.levels = levels
        self.num_steps = num_steps
        self.inputs, self.outputs, self.called = [], [], []

    def __call__(self, x, t):
        velocity = torch.tanh(0.6 * x + 0.4 * self.lq) * (0.2 + t / 1000)
        scale = dynamic_guidance(t, self.num_steps)
        v = guide(velocity + self.text, velocity, scale, 0)
        alpha, sigma = self.levels.at(t)
        x0 = alpha * x - sigma * v
        self.called.append(t)
        self.inputs.append(x)
        self.outputs.append(x0)
        return x0


def run(data, num_steps, timesteps, sample=sample_cogvideox):
    levels = SCHEDULE.for_timesteps(timesteps)[1]
    if sample is sample_dpmpp_2m_sde:
        levels = SCHEDULE
    denoise = ToyDenoiser(data, levels, num_steps)
    noise = torch.from_numpy(data['noise_used'])
    x = torch.from_numpy(data['x_T'])
    out = sample(denoise, x, timesteps, SCHEDULE, noise.__getitem__)
    return denoise, out


def test_there_are_files():
    assert find_vectors('cogvideox/sampler_*.npz')


@each_file
def test_timesteps(path):
    _, num_steps, timesteps = load(path)
    assert truncated_timesteps(num_steps) == timesteps
    assert SCHEDULE.list_timesteps('normal', num_steps, 1.0) == timesteps


@each_file
def test_tables_of_alpha(path):
    data, _, timesteps = load(path)
    want = data['alpha_cumprod_sqrt_1000']
    np.testing.assert_array_equal(SCHEDULE.alpha.numpy(), want)
    levels, seen = SCHEDULE.for_timesteps(timesteps)
    np.testing.assert_array_equal(
        np.float32([alpha for alpha, _ in levels]), data['sampler_alpha']
    )
    seen = [seen.at(t) for t in timesteps]
    np.testing.assert_array_equal(
        np.float32([alpha for alpha, _ in seen]), data['denoiser_alpha']
    )
    np.testing.assert_allclose(
        [-sigma for _, sigma in seen], data['c_out'], rtol=0, atol=1e-7
    )


@each_file
def test_guidance(path):
    data, num_steps, timesteps = load(path)
    got = [dynamic_guidance(t, num_steps) for t in timesteps]
    np.testing.assert_allclose(got, data['guidance'], rtol=0, atol=1e-9)


@each_file
def test_sampler(path):
    data, num_steps, timesteps = load(path)
    denoise, out = run(data, num_steps, timesteps)
    assert denoise.called == timesteps
    for name, got in (('x_in', denoise.inputs), ('denoised', denoise.outputs)):
        np.testing.assert_allclose(
            torch.stack(got), data[name], rtol=0, atol=2e-5
        )
    np.testing.assert_allclose(out, data['out'], rtol=0, atol=2e-5)


@each_file
def test_one_table_for_all_is_another_sampler(path):
    """The tests above notice a sampler without the official two tables."""
    data, num_steps, timesteps = load(path)
    _, out = run(data, num_steps, timesteps, sample_dpmpp_2m_sde)
    error = np.abs(out.numpy() - data['out']).max()
    assert 1e-2 < error < 5e-2


@each_file
def test_noise_is_the_official_one(path):
    """`noise_used` is every second draw after the first two."""
    data, num_steps, _ = load(path)
    torch.manual_seed(data['seed'].item())
    shape = data['x_T'].shape
    draws = [torch.randn(shape) for _ in range(1 + data['n_draws'].item())]
    used = [draws[1], *draws[3::2]]
    assert len(used) == num_steps - 1
    np.testing.assert_array_equal(draws[0], data['x_T'])
    np.testing.assert_array_equal(torch.stack(used), data['noise_used'])
