import math

import numpy as np
import pytest
import torch

from star.diffusion.guidance import dynamic_guidance, guide


@pytest.fixture
def pair():
    g = torch.Generator().manual_seed(1)
    v_cond = torch.randn(2, 4, 3, 5, 6, generator=g)
    return v_cond, 2 * torch.randn(2, 4, 3, 5, 6, generator=g) + 1


def test_scale_1_is_the_conditional_velocity(pair):
    assert torch.equal(guide(*pair, 1.0, 0.2), pair[0])


def test_scale_0_is_the_unconditional_velocity(pair):
    assert torch.equal(guide(*pair, 0.0, 0.0), pair[1])


def test_matches_numpy(pair):
    cond, uncond = (v.numpy().astype(np.float64) for v in pair)
    out = guide(*pair, 7.5, 0.2)
    for i in range(2):
        v = uncond[i] + 7.5 * (cond[i] - uncond[i])
        want = v * (0.2 * cond[i].std(ddof=1) / v.std(ddof=1) + 0.8)
        np.testing.assert_allclose(out[i], want, atol=1e-5)


def test_full_rescale_restores_each_samples_deviation(pair):
    out = guide(*pair, 7.5, 1.0)
    torch.testing.assert_close(
        out.flatten(1).std(1), pair[0].flatten(1).std(1)
    )


def test_batched_is_one_by_one(pair):
    out = guide(*pair, 5.0, 0.7)
    for i in range(2):
        one = guide(pair[0][i : i + 1], pair[1][i : i + 1], 5.0, 0.7)
        torch.testing.assert_close(out[i : i + 1], one)


def test_half_precision_keeps_its_type_and_range(pair):
    # The sum of squares overflows float16.
    big = [(v * 1000).half() for v in pair]
    out = guide(*big, 7.5, 0.2)
    assert out.dtype == torch.float16
    want = guide(*(v.float() for v in big), 7.5, 0.2)
    torch.testing.assert_close(out.float(), want, rtol=5e-3, atol=20)


def test_a_network_at_zero_gives_zero():
    v = torch.zeros(1, 4, 2, 3, 3)
    assert torch.equal(guide(v, v, 7.5, 0.2), v)


@pytest.mark.parametrize('rescale', [-0.1, 1.1])
def test_refuses_a_rescale_out_of_range(pair, rescale):
    with pytest.raises(ValueError, match=f'`rescale` .* got {rescale}'):
        guide(*pair, 7.5, rescale)


@pytest.mark.parametrize(
    't, steps, want',
    [
        (999, 50, 2.29148717),  # the official code's own numbers
        (979, 50, 2.54350287),
        (959, 50, 6.97435183),
        (999, 8, 1.37638849),
        (624, 8, 7.0),
    ],
)
def test_dynamic_guidance_has_the_official_values(t, steps, want):
    assert dynamic_guidance(t, steps) == pytest.approx(want, abs=1e-7)


def test_dynamic_guidance_within_the_steps_is_a_half_cosine():
    values = [dynamic_guidance(t, 50, 4.0, 1) for t in range(51)]
    want = [3 + 2 * math.cos(math.pi * t / 50) for t in range(51)]
    assert values == pytest.approx(want)
    assert dynamic_guidance(0, 50, 4.0, 3) == 5
    assert dynamic_guidance(50, 50) == 1


@pytest.mark.parametrize(
    'steps, exponent, message',
    [
        (0, 5, '`num_steps` must be at least 1, got 0'),
        (50, 0, '`exponent` must be a whole number >= 1, got 0'),
        (50, 2.5, '`exponent` must be a whole number >= 1, got 2.5'),
    ],
)
def test_dynamic_guidance_refuses(steps, exponent, message):
    with pytest.raises(ValueError, match=message):
        dynamic_guidance(999, steps, 6.0, exponent)
