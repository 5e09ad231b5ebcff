"""The restore path's text, guidance and reports."""

from dataclasses import replace

import pytest
import torch

from star.diffusion.guidance import guide
from star.models.data_preprocessor import to_float, upsample_clip
from star.models.restoration import restoration
from tests.test_models.fakes import (
    Listener,
    fake_model,
    latent,
    random_clip,
    restore,
    small_model,
)


def test_batched_guidance_equals_two_passes():
    model = small_model(guidance_scale=7.5)
    lq = random_clip(3)
    batched = latent(model, lq)
    calls = []

    def run_out_of_memory(module, inputs):
        calls.append(len(inputs[0]))
        if len(inputs[0]) == 2:
            raise torch.OutOfMemoryError('too much')

    hook = model.backbone.register_forward_pre_hook(run_out_of_memory)
    two = latent(model, lq)
    hook.remove()
    assert calls == [2, 1, 1, 1, 1]  # not tried again in the second step
    torch.testing.assert_close(two, batched, rtol=1e-4, atol=1e-4)
    alone = latent(model, lq, guidance_scale=1)
    assert (alone - batched).abs().max() > 0.01


@torch.no_grad()
def test_guidance_is_what_the_equation_says():
    model = small_model(guidance_scale=7.5, guidance_rescale=0.2, steps=1)
    lq = random_clip(3)
    seen = []
    hook = model.backbone.register_forward_pre_hook(
        lambda module, inputs: seen.append(inputs)
    )
    z = latent(model, lq)
    hook.remove()
    ((z_t, t, _, _),) = seen
    assert torch.equal(z_t[0], z_t[1]) and t.tolist() == [899, 899]
    x = upsample_clip(to_float(lq), (12, 14))  # nothing to pad
    z_lq = x.transpose(0, 1)[None]
    v = []
    for text in model.text_encoder(['a, good', 'bad']).split(1):
        control = model.controlnet(z_t[:1], t[:1], text, z_lq)
        v.append(model.backbone(z_t[:1], t[:1], text, control))
    expected = model.schedule.to_x0(z_t[:1], guide(*v, 7.5, 0.2), t[:1])
    torch.testing.assert_close(z, expected, rtol=1e-4, atol=1e-4)


def test_text_is_encoded_and_projected_once(monkeypatch):
    monkeypatch.setattr(restoration, 'SEGMENT_BYTES', 1)  # two segments
    monkeypatch.setattr(restoration, 'WEIGHT_SHARE', 0)
    model = small_model(window=3, overlap=1, guidance_scale=7.5)
    projected = []
    for name in ('backbone', 'controlnet'):
        part = getattr(model, name)

        def project(text, name=name, method=part.project_text):
            projected.append((name, len(text)))
            return method(text)

        monkeypatch.setattr(part, 'project_text', project)
    model.restore(random_clip(5, 3, 4))
    assert model.text_encoder.asked == [['a, good', 'bad']]
    assert sorted(projected) == [('backbone', 2), ('controlnet', 2)]


@pytest.mark.parametrize(
    'options, asked',
    [
        ({}, ['a, good', 'bad']),
        ({'prompt': 'cat'}, ['cat, good', 'bad']),
        ({'prompt': ''}, ['good', 'bad']),
        ({'negative_prompt': ''}, ['a, good', '']),
        ({'negative_prompt': 'dog'}, ['a, good', 'dog']),
    ],
)
def test_prompts(options, asked):
    model = small_model(steps=1)
    restore(model, random_clip(1, 1, 1), **options)
    assert model.text_encoder.asked == [asked]


def test_a_prompt_that_is_too_long_is_told():
    model = fake_model()
    model.text_encoder.limit = 3
    listener = Listener()
    options = replace(model.restore_options, prompt='abcde')
    list(model.restore_stream(random_clip(1), options, listener))
    assert listener.notes == ['2 tokens too many in: abcde']


def test_progress():
    model = fake_model(window=4, overlap=1)
    listener = Listener()
    model.restore(random_clip(7), events=listener)
    assert {total for *_, total in listener.told} == {7}
    for stage in ('encode', 'denoise', 'decode'):
        done = [d for s, d, _ in listener.told if s == stage]
        assert done == sorted(done) and done[-1] == 7, stage
