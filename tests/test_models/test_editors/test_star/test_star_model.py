from dataclasses import fields

import pytest
import torch

from star.models.editors.star.random_state import ClipRandom
from star.models.editors.star.star_model import STARModel
from star.models.restoration.options import RestoreOptions
from star.registry import MODELS
from star.structures import VideoSample
from tests.test_models.fakes import (
    CountingTextEncoder,
    FoldingAutoencoder,
    OracleBackbone,
    PassingControlNet,
    fake_model,
    random_clip,
    small_model,
)


def build(**changes):
    parts = {
        'autoencoder': {'type': FoldingAutoencoder},
        'text_encoder': {'type': CountingTextEncoder},
        'backbone': {'type': OracleBackbone},
        'controlnet': {'type': PassingControlNet},
        'schedule': {'type': 'I2VGenSchedule'},
    }
    return MODELS.build({'type': 'STARModel', **parts, **changes})


def training_batch(model, num_clips=2):
    """Two clips of 3 frames, prepared as the Runner does."""
    data = {
        'inputs': [random_clip(3, 4, 6, i) for i in range(num_clips)],
        'data_samples': [
            VideoSample(
                gt=random_clip(3, 4, 6, 9 - i), prompt='a' * i, seed=100 + i
            )
            for i in range(num_clips)
        ],
    }
    return model.data_preprocessor(data, True)


def test_frozen_parts_stay_as_they_are():
    model = small_model().train()
    frozen = {'autoencoder', 'text_encoder'}
    for name, part in model.named_children():
        parameters = list(part.parameters())
        if parameters:
            assert part.training == (name not in frozen), name
            assert all(
                p.requires_grad == (name not in frozen) for p in parameters
            ), name
    assert not model.eval().backbone.training
    assert model.train(False).training is False


def test_any_part_can_be_frozen():
    model = build(frozen={'backbone': (), 'autoencoder': ()}).train()
    assert not model.backbone.unused.weight.requires_grad
    assert not model.backbone.training
    assert model.text_encoder.unused.weight.requires_grad
    assert model.text_encoder.training


@pytest.mark.parametrize(
    'changes, message',
    [
        ({'restore_options': {'guidance': 3}}, '`restore_options`.*guidance'),
        ({'restore_options': {'window': 0}}, '`restore_options`.*`window`'),
        ({'losses': {'velocty': {}}}, '`losses` has unknown keys: velocty'),
        ({'losses': {'window': {'size': 3}}}, '`window` of `losses`.*size'),
        ({'losses': {'t_range': (5, 1000)}}, '`t_range` .* 999, got'),
        ({'frozen': {'backbone': ['liem']}}, '`frozen` .* none of: liem'),
        ({'frozen': {'autoencodr': ()}}, '`frozen` .*autoencodr'),
        ({'frozen': 'backbone'}, "`frozen` must map .* got 'backbone'"),
        ({'residual_std': [1.0, 1.0]}, '`residual_std` must be 3 positive'),
        ({'residual_std': [1.0, 1.0, 0.0]}, '`residual_std` must be 3'),
    ],
)
def test_misspelt_options(changes, message):
    with pytest.raises(ValueError, match=message):
        build(**changes)


def test_unknown_part_is_refused():
    with pytest.raises(TypeError, match='autoencodr'):
        STARModel(**{'autoencodr': {}})


def test_options():
    assert build().restore_options == RestoreOptions()
    changes = {'scale': 2, 'negative_prompt': 'blurred'}
    model = build(restore_options=changes)
    assert model.restore_options == RestoreOptions(**changes)
    known = {field.name for field in fields(RestoreOptions)}
    assert model.options_used == known - {'cache'}  # fakes keep nothing


def test_unknown_mode():
    model = fake_model()
    with pytest.raises(ValueError, match=r"`mode` .* 'tensor'"):
        model(random_clip(1)[None], [VideoSample()], mode='tensor')


@pytest.mark.parametrize(
    'lq',
    [
        random_clip(1)[0],
        random_clip(1)[None],
        random_clip(1).float(),
        random_clip(1).to(torch.int16),
        random_clip(1)[:0],
    ],
)
def test_wrong_clip(lq):
    with pytest.raises(ValueError, match=r'`lq` must be \(T, 3, h, w\)'):
        fake_model().restore(lq)


@pytest.mark.parametrize('channels', [1, 4])
def test_wrong_channels(channels):
    lq = torch.zeros(2, channels, 4, 4, dtype=torch.uint8)
    with pytest.raises(ValueError, match=rf'\(3, h, w\) .*\({channels}, 4'):
        fake_model().restore(lq)


def test_wrong_options_are_refused_before_any_frame_is_read():
    model = fake_model()

    def frames():
        raise AssertionError('read')
        yield

    with pytest.raises(ValueError, match='`window`'):
        model.restore_stream(frames(), RestoreOptions(window=0))


def test_predict():
    model = small_model(steps=1)
    clips = [random_clip(2, seed=1), random_clip(3, 4, 4, seed=2)]
    samples = [VideoSample(name='a', prompt='cat'), VideoSample(name='b')]
    data = {'inputs': clips, 'data_samples': samples}
    result = model.test_step(data)
    assert model.text_encoder.asked == [
        ['cat, good', 'bad'],
        ['a, good', 'bad'],
    ]
    assert [s.name for s in result] == ['a', 'b']
    assert torch.equal(result[1].pred, model.restore(clips[1]))
    options = RestoreOptions(
        **{**model.restore_options.__dict__, 'prompt': 'cat'}
    )
    assert torch.equal(result[0].pred, model.restore(clips[0], options))
    with pytest.raises(ValueError, match='zip'):
        model(clips, samples[:1])


def draw(model, sample, device='cpu'):
    """A sample's timestep and noise, from its seed."""
    draws = ClipRandom(sample.seed, torch.device(device))
    t = model.objective.draw_timesteps([draws])
    return t, draws.noise(sample.gt.transpose(0, 1).shape)


def test_loss_is_what_the_equation_says():
    model = small_model()
    batch = training_batch(model)
    losses = model(**batch, mode='loss')
    assert list(losses) == ['loss_velocity']

    samples = batch['data_samples']
    z0 = torch.stack([s.gt for s in samples]) / 127.5 - 1
    z0 = z0.transpose(1, 2)
    pairs = [draw(model, sample) for sample in samples]
    t = torch.cat([pair[0] for pair in pairs])
    noise = torch.stack([pair[1] for pair in pairs])
    alpha = model.schedule.alpha[t].reshape(2, 1, 1, 1, 1)
    sigma = (1 - alpha**2).sqrt()
    z_t = alpha * z0 + sigma * noise
    text = model.text_encoder(['', 'a'])
    with torch.no_grad():
        control = model.controlnet(z_t, t, text, batch['inputs'])
        v = model.backbone(z_t, t, text, control)
    expected = ((alpha * noise - sigma * z0 - v) ** 2).mean().item()
    assert losses['loss_velocity'].item() == pytest.approx(expected, rel=1e-4)


@torch.no_grad()
def test_residual_velocity():
    """What the networks give is scaled and added, channel by channel."""
    model = small_model()
    z_t, z_lq = torch.randn(2, 2, 3, 2, 4, 4)
    t = torch.tensor([999, 300])
    text = model.text_encoder(['a', 'b'])
    raw = model.velocity(z_t, t, (text, text), z_lq)
    control = model.controlnet(z_t, t, text, z_lq)
    assert torch.equal(raw, model.backbone(z_t, t, text, control))
    model.residual_std = [0.2, 1.0, 3.0]
    full = model.velocity(z_t, t, (text, text), z_lq)
    for n, step in enumerate(t.tolist()):
        alpha, sigma = model.schedule.at(step)
        for c, std in enumerate(model.residual_std):
            variance = (alpha * std) ** 2 + sigma**2
            away = z_t[n, c] - alpha * z_lq[n, c]
            x0 = z_lq[n, c] + alpha * std**2 / variance * away
            noise = sigma / variance * away
            expected = alpha * noise - sigma * x0
            expected = expected + std / variance**0.5 * raw[n, c]
            torch.testing.assert_close(full[n, c], expected)


def test_gradients_reach_what_learns():
    model = small_model().train()
    model(**training_batch(model), mode='loss')['loss_velocity'].backward()
    for name in ('backbone', 'controlnet'):
        part = getattr(model, name)
        without = [n for n, p in part.named_parameters() if p.grad is None]
        assert not without, name
        assert part.encoder.input_blocks[0].conv.weight.grad.any()
    for name in ('autoencoder', 'text_encoder'):
        assert all(p.grad is None for p in getattr(model, name).parameters())


def test_learns_one_batch():
    torch.manual_seed(0)
    model = small_model(random=False).train()
    batch = training_batch(model, 1)
    parts = [*model.backbone.parameters(), *model.controlnet.parameters()]
    optimizer = torch.optim.Adam(parts, lr=3e-3)
    history = []
    for _ in range(20):
        loss = model(**batch, mode='loss')['loss_velocity']
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        history.append(loss.item())
    assert history[-1] < 0.5 * history[0], history
    assert model.controlnet.middle_out.weight.any()  # it took part
