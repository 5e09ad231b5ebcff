import pytest
import torch

from star.models.editors.star_onestep.teacher import spread_indices, teach
from star.models.restoration.options import build_options
from tests.test_models.fakes import (
    Listener,
    PixelBackbone,
    fake_model,
    latent,
    random_clip,
    small_model,
)
from tests.test_models.test_editors.test_star_onestep.students import (
    TEACHER,
    encode,
)


@pytest.mark.parametrize('sampler', ['ddim', 'heun', 'dpmpp_2m_sde'])
def test_result_is_that_of_a_restoration(sampler):
    """Of the whole clip, though the options have windows of two frames."""
    model = fake_model(PixelBackbone, **{**TEACHER, 'sampler': sampler})
    lq = random_clip(3, 6, 8)
    wanted = latent(model, lq, seed=7)
    options = build_options(
        {**TEACHER, 'sampler': sampler, 'seed': 7, 'window': 2, 'overlap': 1}
    )
    found = teach(model.parts, options, encode(model, lq), 3, Listener())
    torch.testing.assert_close(found.z0, wanted[0], rtol=1e-5, atol=1e-5)
    assert found.noise_seed == 7
    assert found.x_t.shape == found.v.shape == (3, *wanted[0].shape)


def test_states_hold_guided_velocities():
    """From a state the guided velocity leads to the next, as in DDIM."""
    model = small_model()
    options = build_options(
        {
            **TEACHER,
            'guidance_scale': 3,
            'guidance_rescale': 0,
            'prompt': 'a cat',
            'negative_prompt': 'blur',
        }
    )
    z_lq = encode(model, random_clip(2, 8, 8))
    path = teach(model.parts, options, z_lq, 9, Listener())
    assert path.t == [899, 719, 539, 359]
    for k, t in enumerate(path.t[:-1]):
        alpha, sigma = model.schedule.at(t)
        alpha_next, sigma_next = model.schedule.at(path.t[k + 1])
        x0 = alpha * path.x_t[k] - sigma * path.v[k]
        noise = sigma * path.x_t[k] + alpha * path.v[k]
        moved = alpha_next * x0 + sigma_next * noise
        torch.testing.assert_close(
            path.x_t[k + 1], moved, rtol=1e-4, atol=1e-4
        )
    cond, uncond = (velocity(model, path, z_lq, p) for p in ('a cat', 'blur'))
    guided = uncond + 3 * (cond - uncond)
    torch.testing.assert_close(path.v[0], guided[0], rtol=1e-3, atol=1e-4)
    assert (cond - uncond).abs().max() > 1e-3


def velocity(model, path, z_lq, prompt):
    text = model.text_encoder([prompt])
    with torch.no_grad():
        return model.velocity(
            path.x_t[:1], torch.tensor(path.t[:1]), (text, text), z_lq[None]
        )


@pytest.mark.parametrize(
    ('length', 'count', 'wanted'),
    [
        (4, 4, [0, 1, 2, 3]),
        (14, 4, [0, 4, 9, 13]),
        (3, 9, [0, 1, 2]),
        (9, 1, [4]),
        (1, 3, [0]),
        (5, 2, [0, 4]),
    ],
)
def test_spread(length, count, wanted):
    assert spread_indices(length, count) == wanted
