import json

import numpy as np
import torch

from star.diffusion.guidance import guide
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.diffusion.samplers import official_start, sample_dpmpp_2m_sde
from star.diffusion.timesteps import fast_timesteps, normal_timesteps
from star.video.padding import official_padding
from star.video.windows import blend_weights, official_windows
from tests.test_reference.vectors import each_vector, find_vector

SCHEDULE = I2VGenSchedule()
each_sample = each_vector('diffusion/[!s]*.npz')  # not schedule.npz


class ToyDenoiser:
    """The vectors' velocity network with official guidance and windows."""

    def __init__(self, data):
        self.data = data
        self.called = []
        length = data['z_lq'].shape[2]
        chunks = data.get('chunks')
        self.windows = (
            official_windows(length, 32)
            if chunks is None
            else [tuple(w) for w in chunks.tolist()]
        )
        self.weights = blend_weights(length, self.windows, 'cut')

    def __call__(self, x, t):
        out = torch.zeros_like(x)
        for (start, end), weight in zip(
            self.windows, self.weights, strict=True
        ):
            x0 = self._window(x[:, :, start:end], t, slice(start, end))
            out[:, :, start:end] += x0 * weight[:, None, None]
        return out

    def _window(self, x, t, frames):
        z_lq = self.data['z_lq'][:, :, frames]
        scale = self.data['guidance_scale'].item()
        v = self._velocity(x, t, z_lq, 'text')
        if scale != 1:
            negative = self._velocity(x, t, z_lq, 'text_negative')
            v = guide(v, negative, scale, self.data['guidance_rescale'].item())
        return SCHEDULE.to_x0(x, v, torch.tensor([t]))

    def _velocity(self, x, t, z_lq, text):
        self.called.append(t)
        text = self.data[text].mean((1, 2))[:, None, None, None, None]
        return torch.tanh(0.6 * x + 0.4 * z_lq) * (0.2 + t / 1000) + text


def test_schedule():
    data = np.load(find_vector('diffusion/schedule.npz'))
    for name in ('sigma', 'alpha'):
        np.testing.assert_allclose(
            getattr(SCHEDULE, name), data[name], rtol=0, atol=1e-6
        )


@each_sample
def test_sampler(path):
    data = {k: torch.from_numpy(v) for k, v in np.load(path).items()}
    x = SCHEDULE.add_noise(data['z_lq'], data['eps'], torch.tensor([899]))
    torch.testing.assert_close(x, data['x_T'], atol=1e-6, rtol=0)

    steps = len(data['noise']) + 1
    timesteps = (
        fast_timesteps()
        if path.stem.startswith('fast')
        else normal_timesteps(steps)
    )
    denoise = ToyDenoiser(data)
    x = official_start(x, SCHEDULE, 899)
    noise = data['noise'].__getitem__
    out = sample_dpmpp_2m_sde(denoise, x, timesteps, SCHEDULE, noise)

    assert sorted(denoise.called) == sorted(data['timesteps_called'].tolist())
    assert denoise.called == data['timesteps_called'].tolist()
    torch.testing.assert_close(out, data['out'], atol=1e-5, rtol=0)


@each_sample
def test_noise_levels(path):
    data = np.load(path)
    timesteps = (
        fast_timesteps()
        if path.stem.startswith('fast')
        else normal_timesteps(len(data['noise']) + 1)
    )
    levels = [SCHEDULE.at(t) for t in timesteps]
    ratios = [sigma / alpha for alpha, sigma in levels]
    np.testing.assert_allclose(ratios[:-1], data['sigmas'][:, 0], rtol=1e-6)
    np.testing.assert_allclose(ratios[1:], data['sigmas'][:, 1], rtol=1e-6)


def _official(name):
    path = find_vector('diffusion/official_padding_and_chunks.json')
    return json.loads(path.read_text())[name]


def test_official_windows():
    entries = _official('chunks_start_end')
    assert entries
    for key, windows in entries.items():
        length, size = map(int, key.split('/'))
        assert [list(w) for w in official_windows(length, size)] == windows


def test_official_padding():
    entries = _official('padding_left_right_top_bottom')
    assert entries
    for key, padding in entries.items():
        assert list(official_padding(*map(int, key.split('x')))) == padding
