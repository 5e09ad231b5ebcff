"""Steps against diffusers' scheduler, windows against their description."""

import pytest
import torch
from torch import Tensor

from star.models.editors.upscale_a_video.sampling import (
    SCHEDULER,
    add_noise,
    blend_running,
    call_windows,
    plan_steps,
    sample,
    signal_shares,
    window_starts,
)


def toy(x: Tensor, t: int) -> Tensor:
    return torch.tanh(x) + t / 1000


def noise(frames: int) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    return torch.randn(1, 4, frames, 3, 5, generator=generator)


@pytest.mark.parametrize('to_one', [False, True])
@pytest.mark.parametrize('steps', [1, 7, 30, 999])
def test_samples_as_diffusers_does(steps: int, to_one: bool):
    from diffusers.schedulers import DDIMScheduler

    settings = {**SCHEDULER, 'set_alpha_to_one': to_one}
    scheduler = DDIMScheduler.from_config(settings)
    scheduler.set_timesteps(steps)
    expected = x = noise(2)
    for t in scheduler.timesteps:
        v = toy(expected, int(t))
        expected = scheduler.step(v, t, expected).prev_sample
    found = sample(x, plan_steps(steps, settings), toy)
    torch.testing.assert_close(found, expected, atol=1e-4, rtol=0)
    assert (found - x).abs().max() > 1e-3


def test_noise_is_that_of_diffusers():
    from diffusers.schedulers import DDPMScheduler

    x, t = noise(2), torch.tensor([120])
    scheduler = DDPMScheduler.from_config(SCHEDULER)
    expected = scheduler.add_noise(x, x.flip(2), t)
    found = add_noise(x, x.flip(2), signal_shares()[120])
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=0)


def test_changes_of_x0_leave_the_noise_alone():
    x, steps = noise(2), plan_steps(2)
    seen = []
    zero = {1: torch.zeros_like}
    sample(x, steps, toy, zero, lambda i, x0, x: seen.append((i, x0, x)))
    (_, _, before), (i, x0, after) = seen
    assert i == 1 and not x0.any()
    step = steps[1]
    v = toy(before, step.t)
    eps = step.signal**0.5 * v + (1 - step.signal) ** 0.5 * before
    expected = (1 - step.next_signal) ** 0.5 * eps
    torch.testing.assert_close(after, expected)


@pytest.mark.parametrize(
    ('name', 'value'),
    [
        ('prediction_type', 'epsilon'),
        ('clip_sample', True),
        ('beta_schedule', 'linear'),
    ],
)
def test_refuses_other_schedulers(name: str, value: object):
    with pytest.raises(ValueError, match=f'the scheduler: `{name}` must be'):
        plan_steps(5, {**SCHEDULER, name: value})


@pytest.mark.parametrize('steps', [0, 1000])
def test_refuses_a_number_of_steps(steps: int):
    with pytest.raises(ValueError, match=r'`steps` must lie in \[1, 999\]'):
        plan_steps(steps)


@pytest.mark.parametrize('length', [1, 8, 9, 20, 23])
def test_windows_of_what_is_known_are_it(length: int):
    x, calls = noise(length), []

    def call(here: slice) -> Tensor:
        calls.append(here)
        return x[:, :, here] * 2

    found = call_windows(call, x, 8, 2)
    torch.testing.assert_close(found, 2 * x)
    starts = sorted(set(window_starts(length, 8, 2)))
    assert [here.start for here in calls] == starts


def test_later_windows_count_half():
    like = torch.zeros(1, 1, 5, 1, 1)
    pieces = [
        (start, torch.full((1, 1, 3, 1, 1), value))
        for start, value in ((0, 8.0), (1, 4.0), (2, 0.0), (2, 0.0))
    ]
    found = blend_running(iter(pieces), like).flatten().tolist()
    assert found == [8, 6, 1.5, 1, 0]
