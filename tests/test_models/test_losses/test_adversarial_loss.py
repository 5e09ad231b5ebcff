"""AdversarialLoss: its values, where its gradients go, and what they do."""

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import save_file
from torch import nn

from star.apis.inference.build import build_model
from star.diffusion.i2vgen_schedule import I2VGenSchedule
from star.models.losses.adversarial_heads import FeatureHeads, embed_level
from star.models.losses.adversarial_loss import (
    KINDS,
    AdversarialLoss,
    Condition,
    accuracy,
    mean_of,
)
from star.models.losses.adversarial_teacher import TeacherFeatures
from tests.test_models.networks import (
    small_backbone,
    small_controlnet,
    small_inputs,
    small_options,
)

SHAPE = (2, 1, 4, 4)  # of a clip's latents
SCHEDULE = I2VGenSchedule()
LAYERS = {'first': 16, 'second': 16}


class Teacher(nn.Module):
    """A denoiser of random numbers; channels of its features come last."""

    def __init__(self):
        super().__init__()
        self.first = nn.Linear(2, 16)
        self.second = nn.Linear(16, 16)

    def forward(self, x_t, t, text, control):
        x = (x_t + 0 * control).movedim(1, -1)
        return self.second(torch.relu(self.first(x)))


class Control(nn.Module):
    def forward(self, z_t, t, text, z_lq):
        return z_lq


def build(**options):
    torch.manual_seed(0)
    teacher = dict(
        type='TeacherFeatures',
        backbone=Teacher(),
        controlnet=Control(),
        layers=LAYERS,
    )
    return AdversarialLoss(teacher, width=16, **options)


def latents(count, mean=0.0, std=1.0, seed=1):
    generator = torch.Generator().manual_seed(seed)
    noise = torch.randn(count, *SHAPE, generator=generator)
    return mean + std * noise


class Draws:
    """One generator for all clips, which is faster than one for each."""

    def __init__(self, seed):
        self.source = torch.Generator().manual_seed(seed)

    def integer(self, below):
        return int(torch.randint(below, (), generator=self.source))

    def noise(self, shape):
        return torch.randn(shape, generator=self.source)


def terms(loss, fake, real, seed=0):
    condition = Condition(torch.zeros(len(fake), 1, 4), torch.zeros_like(fake))
    random = [Draws(seed)] * len(fake)
    return loss.terms(fake, real, condition, SCHEDULE, random)


def gradients(module):
    return [
        None if p.grad is None else p.grad.clone() for p in module.parameters()
    ]


def test_values_of_the_kinds():
    logits = torch.tensor([-2.0, 0.5, 3.0])
    real, fake, win = (f(logits) for f in KINDS['hinge'])
    assert real.tolist() == [3, 0.5, 0] and fake.tolist() == [0, 1.5, 4]
    assert win.tolist() == [2, -0.5, -3]
    real, fake, win = (f(logits) for f in KINDS['logistic'])
    expected = -torch.sigmoid(logits).log()
    torch.testing.assert_close(real, expected)
    torch.testing.assert_close(win, expected)
    torch.testing.assert_close(fake, -(1 - torch.sigmoid(logits)).log())


def test_layers_count_alike():
    few, many = torch.ones(2, 1), torch.zeros(2, 9)
    assert mean_of([few, many], torch.exp) == pytest.approx((torch.e + 1) / 2)
    right = [torch.tensor([[1.0]]), torch.tensor([[2.0, -1, 1, 1]])]
    wrong = [torch.tensor([[-1.0]]), torch.tensor([[-1.0, 1, 1, 1]])]
    # real: (1 + 3/4) / 2; fake: (1 + 1/4) / 2
    assert accuracy(right, wrong) == pytest.approx((0.875 + 0.625) / 2)


@pytest.mark.parametrize('kind', KINDS)
def test_terms_are_what_the_heads_say(kind):
    """Against the formulas, written out for one clip."""
    loss = build(kind=kind, weight=0.5, r1=3, r1_noise=0.2)
    fake, real = latents(1), latents(1, 1)
    found = terms(loss, fake, real)
    random, schedule = Draws(0), SCHEDULE
    t = torch.tensor([random.integer(801)])
    noise, shift = (random.noise(fake.shape[1:])[None] for _ in range(2))
    logits = []
    for x0 in (fake, real, real + 0.2 * shift):
        x = schedule.add_noise(x0, noise, t).movedim(1, -1)
        first = loss.teacher.backbone.first(x)
        second = loss.teacher.backbone.second(first.relu())
        logits.append(loss.heads([first, second], t / 999))
    to_real, to_fake, to_win = KINDS[kind]
    each = [torch.stack([x.mean() for x in logit]) for logit in logits]
    assert each[0].shape == (2,)
    r1 = mean_of(
        [a - b for a, b in zip(logits[1], logits[2], strict=True)],
        torch.square,
    )
    expected = mean_of(logits[1], to_real) + mean_of(logits[0], to_fake)
    torch.testing.assert_close(found['loss_discriminator'], expected + 3 * r1)
    torch.testing.assert_close(
        found['loss_adversarial'], 0.5 * mean_of(logits[0], to_win)
    )
    torch.testing.assert_close(found['adversarial_r1'], r1.detach())


def test_gradients_go_where_they_belong():
    """The student gets its own, the heads theirs, the teacher none."""
    found = {}
    for names in (
        ('loss_adversarial',),
        ('loss_discriminator',),
        ('loss_adversarial', 'loss_discriminator'),
    ):
        loss = build(kind='logistic')
        fake = latents(2).requires_grad_()
        real = latents(2, 1).requires_grad_()
        values = terms(loss, fake, real)
        sum(values[name] for name in names).backward()
        teacher = loss.teacher.networks(fake.device)
        assert not any(
            p.requires_grad or p.grad is not None
            for network in teacher
            for p in network.parameters()
        )
        assert real.grad is None
        found[names] = fake.grad, gradients(loss)
    student, heads, both = found.values()
    assert student[0].abs().max() > 0
    assert all(gradient is None for gradient in student[1])
    assert heads[0] is None and all(g is not None for g in heads[1])
    torch.testing.assert_close(both[0], student[0])
    torch.testing.assert_close(both[1], heads[1])


def test_heads_are_all_that_learns():
    loss = build()
    names = {name for name, _ in loss.named_parameters()}
    assert names and all(name.startswith('heads.') for name in names)
    assert loss.state_dict().keys() == names


def test_heads_tell_two_distributions_apart():
    loss = build(t_range=(0, 300), r1=1)
    optimizer = torch.optim.Adam(loss.parameters(), 1e-2)
    for step in range(40):
        fake, real = (
            latents(8, mean, seed=2 * step + i)
            for i, mean in enumerate((-1, 1))
        )
        found = terms(loss, fake, real, step)
        optimizer.zero_grad()
        found['loss_discriminator'].backward()
        optimizer.step()
    real = latents(64, 1, seed=999)
    shares = [
        terms(loss, latents(64, mean, seed=998), real, 1000)
        for mean in (-1, 1)
    ]
    apart, alike = (share['adversarial_accuracy'] for share in shares)
    assert apart > 0.8 and 0.45 < alike < 0.55


@pytest.mark.parametrize('kind', KINDS)
def test_student_moves_to_where_the_teacher_is(kind):
    """One optimiser, one step for both: mean and deviation are learnt."""
    loss = build(kind=kind, weight=1.0, t_range=(0, 300), r1=10)
    mean = nn.Parameter(torch.zeros(2, 1, 1, 1))
    std = nn.Parameter(torch.ones(2, 1, 1, 1))
    wanted = torch.tensor([1.0, -0.5]).view(2, 1, 1, 1)
    optimizer = torch.optim.Adam(
        [
            {'params': [mean, std], 'lr': 2e-2},
            {'params': loss.parameters(), 'lr': 1e-2},
        ],
        betas=(0.0, 0.99),
    )
    for step in range(120):
        fake = mean + std * latents(8, seed=2 * step)
        real = wanted + latents(8, 0, 0.4, 2 * step + 1)
        found = terms(loss, fake, real, step)
        optimizer.zero_grad()
        (found['loss_adversarial'] + found['loss_discriminator']).backward()
        optimizer.step()
    assert (mean - wanted).abs().max() < 0.15  # at first 1
    assert (std - 0.4).abs().max() < 0.2  # at first 0.6


def test_the_penalty_is_the_slope_of_the_logits():
    """For little noise: its variance times the squared gradient."""
    torch.manual_seed(0)
    heads = FeatureHeads({'a': 3}, 8)
    level, x = torch.tensor([0.5]), torch.randn(1, 1, 3, requires_grad=True)
    logits = heads([x], level)[0]
    (slope,) = torch.autograd.grad(logits.sum(), x)
    noise = torch.randn(4000, 1, 3)
    near = heads([x + 1e-2 * noise], level.repeat(4000))[0]
    penalty = (near - logits).square().mean() / 1e-4
    assert penalty.item() == pytest.approx(
        slope.square().sum().item(), rel=0.1
    )


def test_frozen_heads_say_the_same():
    heads = FeatureHeads({'a': 3, 'b': 5}, 8)
    features = [torch.randn(4, 2, 3), torch.randn(2, 6, 5)]
    level = torch.tensor([0.0, 1.0])
    free, fixed = heads(features, level), heads.frozen(features, level)
    assert [x.shape for x in free] == [(2, 4), (2, 6)]
    for a, b in zip(free, fixed, strict=True):
        assert torch.equal(a, b) and a.requires_grad and not b.requires_grad
    waves = embed_level(level)
    assert torch.equal(waves[0], torch.tensor([1.0] * 8 + [0.0] * 8))


def test_heads_see_the_timestep():
    heads = FeatureHeads({'a': 3}, 8)
    features = [torch.randn(1, 2, 3)]
    early, late = (
        heads(features, torch.tensor([level])) for level in (0.1, 0.9)
    )
    assert (early[0] - late[0]).abs().min() > 1e-4


@pytest.mark.parametrize(
    ('layers', 'message'),
    [
        ({}, '`layers` must name modules'),
        ({'third': 16}, "no layer 'third'"),
        ({'first': 8}, "'first' of the teacher has 16 channels"),
    ],
)
def test_refuses_layers(layers, message):
    with pytest.raises(ValueError, match=message):
        teacher = TeacherFeatures(Teacher(), Control(), layers)
        x = latents(1)
        teacher(x, torch.zeros(1, dtype=torch.int64), None, x)


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (dict(kind='wgan'), '`kind` must be one of hinge, logistic'),
        (dict(weight=-1), '`weight` must not be negative'),
        (dict(r1=-1), '`r1` must not be negative'),
        (dict(t_range=(5, 1000)), '`t_range` must be'),
        (dict(t_range=(5, 4)), '`t_range` must be'),
    ],
)
def test_refuses(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)


def test_layers_of_the_real_denoiser(tmp_path):
    """From a file; the gradient of the latents passes."""
    networks = small_backbone(), small_controlnet()
    state = {
        f'{part}.{name}': tensor.clone()
        for part, network in zip(
            ('backbone', 'controlnet'), networks, strict=True
        )
        for name, tensor in network.state_dict().items()
    }
    path = tmp_path / 'star.safetensors'
    save_file(state, path)
    options = small_options()
    teacher = TeacherFeatures(
        dict(type='I2VGenUNet', out_dim=5, **options),
        dict(type='UNetControlNet', **options),
        {'encoder.middle_block': 64, 'output_blocks.3': 32},
        str(path),
    )
    z_t, t, text, z_lq = small_inputs()
    z_t.requires_grad_()
    middle, last = teacher(z_t, t, text, z_lq)
    assert middle.shape == (2, 3, 4, 4, 64) and last.shape[-1] == 32
    control = networks[1](z_t, t, text, z_lq)
    with torch.no_grad():
        v = networks[0](z_t, t, text, control)
        frames = networks[0].norm_out(last.flatten(0, 1).movedim(-1, 1))
        again = networks[0].conv_out(torch.nn.functional.silu(frames))
    torch.testing.assert_close(again, v.transpose(1, 2).flatten(0, 1))
    middle.sum().backward()
    assert z_t.grad.abs().max() > 0
    assert all(
        p.grad is None and not p.requires_grad
        for network in teacher.networks(z_t.device)
        for p in network.parameters()
    )


def test_heads_are_filled_where_nothing_is_initialised():
    """As in a model whose other parts come from files."""
    config = Config({'model': {'type': 'AdversarialLoss', 'width': 64}})
    config.model.teacher = dict(
        type='TeacherFeatures', backbone={}, controlnet={}, layers={'a': 48}
    )
    head = build_model(config).heads.heads[0]
    for layer in (head.enter, head.level, head.middle, head.leave):
        wanted = (3 * layer.in_features) ** -0.5
        assert layer.weight.std().item() == pytest.approx(wanted, rel=0.3)
        assert not layer.bias.any()
