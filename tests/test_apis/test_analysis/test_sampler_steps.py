"""Each evaluation gives an estimate; the last is the restored clip."""

from dataclasses import replace

import pytest
import torch

from star.apis.analysis.sampler_steps import restore_steps
from tests.test_models.fakes import (
    GroupingAutoencoder,
    PixelBackbone,
    fake_model,
    random_clip,
    small_model,
)


@pytest.mark.parametrize(
    ('sampler', 'evaluations'), [('ddim', 3), ('dpmpp_2m_sde', 3), ('heun', 5)]
)
def test_last_estimate_is_the_restored_clip(sampler: str, evaluations: int):
    model, lq = small_model(sampler=sampler, steps=3), random_clip(5, 6, 7)
    options = model.restore_options
    found = list(restore_steps(model, lq, options))
    assert torch.equal(found[-1].clip, model.restore(lq))
    assert len(found) == evaluations
    steps = model.schedule.list_timesteps('normal', 3, 1.0)
    assert {e.t for e in found} == {round(t) for t in steps}
    assert not torch.equal(found[0].clip, found[-1].clip)


def test_first_estimate_is_that_of_one_step():
    """Both start from the same noise at the same timestep."""
    model, lq = small_model(sampler='ddim', steps=4), random_clip(3)
    options = model.restore_options
    first = next(restore_steps(model, lq, options))
    one = model.restore(lq, replace(options, steps=1))
    assert torch.equal(first.clip, one)


def test_the_colour_fix_is_left_out():
    model, lq = fake_model(PixelBackbone, color_fix='adain'), random_clip(3)
    options = model.restore_options
    last = list(restore_steps(model, lq, options))[-1]
    plain = model.restore(lq, replace(options, color_fix='none'))
    assert torch.equal(last.clip, plain)
    assert not torch.equal(last.clip, model.restore(lq, options))


def test_latents_of_several_frames():
    """The last latent reaches beyond the clip; that is cut off."""
    model = fake_model(
        PixelBackbone, autoencoder=GroupingAutoencoder, window=9, overlap=5
    )
    lq = random_clip(7)
    last = list(restore_steps(model, lq, model.restore_options))[-1]
    assert last.clip.shape[0] == 7
    assert torch.equal(last.clip, model.restore(lq))


def test_a_clip_in_segments_is_refused():
    model = fake_model(
        PixelBackbone, autoencoder=GroupingAutoencoder, window=5, overlap=1
    )
    with pytest.raises(ValueError, match='one segment, 2 latents long'):
        list(restore_steps(model, random_clip(9), model.restore_options))
