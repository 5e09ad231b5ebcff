import pytest
import torch

from star.models.editors.star_onestep.own_states import own_states
from star.models.editors.star_onestep.student_batch import student_batch
from star.models.losses.distances import squared
from star.registry import MODELS
from star.utils.origins import not_allowed
from tests.test_models.fakes import (
    SMALL_SIZES,
    GroupingAutoencoder,
    PixelBackbone,
    fake_model,
    latent,
    random_clip,
    small_model,
)
from tests.test_models.test_editors.test_star_onestep.students import (
    LATENT,
    STUDENT,
    compute,
    make_sample,
    student_options,
)

ADVERSARIAL = {
    'type': 'AdversarialLoss',
    'teacher': {
        'type': 'TeacherFeatures',
        'backbone': {},
        'controlnet': {},
        'layers': {'x': 1},
    },
}


def student(losses=LATENT, model=None, **options):
    """A model of fakes whose velocity depends on z_t, z_lq and t."""
    changes = {**STUDENT, **options}
    model = fake_model(PixelBackbone, **changes) if model is None else model
    model.objective = MODELS.build(losses)
    model.objective.check_options(model.restore_options)
    return model.train()


@pytest.mark.parametrize(
    'options',
    [
        {'strength': 0.33, 'noise': 'none'},
        {'strength': 0.33},
        {'steps': 4},
        {'steps': 2, 'noise': 'none'},
    ],
)
def test_the_last_step_of_training_is_that_of_use(options):
    """From the last state one evaluation gives what a restoration gives."""
    model = student(**options)
    sample = make_sample(model)
    lq = random_clip(3, 6, 8, seed=1)
    seed = sample.teacher.noise_seed
    wanted = latent(model, lq, seed=seed, **options)
    found = last_estimate(model, [sample])
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def last_estimate(model, samples):
    """x0 of the student at the last of its own states."""
    options = model.restore_options
    batch = student_batch(
        model.parts, model.data_preprocessor, options, samples, False
    )
    timesteps = model.schedule.list_timesteps(
        options.mode, options.steps, options.strength
    )
    *_, x_t = own_states(
        model.parts, timesteps, batch.start, batch.z_lq, batch.text
    )
    t = torch.tensor([round(timesteps[-1])] * len(samples))
    v = model.velocity(x_t, t, (batch.text, batch.text), batch.z_lq)
    return model.schedule.to_x0(x_t, v, t)


def test_latents_of_several_frames():
    model = student(
        model=fake_model(
            PixelBackbone,
            autoencoder=GroupingAutoencoder,
            **{**STUDENT, 'window': 5, 'overlap': 1},
        )
    )
    lq = random_clip(5, 6, 8, seed=1)
    sample = grouped_sample(model, lq)
    wanted = latent(model, lq, seed=sample.teacher.noise_seed)
    found = last_estimate(model, [sample])
    assert found.shape[2] == 2
    torch.testing.assert_close(found, wanted, rtol=1e-5, atol=1e-5)


def grouped_sample(model, lq):
    sample = make_sample(fake_model(PixelBackbone, **STUDENT))
    x = lq.float() / 127.5 - 1
    sample.z_lq = model.autoencoder.encode(x.transpose(0, 1)[None])[0]
    sample.z0 = sample.z_lq
    return sample


def test_latent_loss_is_the_distance_to_the_teacher():
    model = student(strength=0.33, noise='none')
    samples = [make_sample(model, number) for number in (0, 1)]
    found = compute(model, samples)
    x0 = last_estimate(model, samples)
    end = torch.stack([sample.teacher.z0 for sample in samples])
    assert found['loss_latent'] == pytest.approx(squared(x0, end).mean())
    assert found['loss_latent'] > 0.01


def test_on_the_path_of_a_teacher_that_is_the_student():
    """Its velocity is the teacher's, and the last state leads to the end."""
    path = {'type': 'TeacherPathLoss', 'velocity': 1.0, 'consistency': 1.0}
    losses = {'type': 'Distillation', 'path': path, 'path_share': 1.0}
    model = student(losses)
    ends = make_sample(model, points=4)
    for k in range(4):
        states = make_sample(model, points=4)
        states.teacher.t = states.teacher.t[k : k + 1]
        for name in ('x_t', 'v'):
            kept = getattr(states.teacher, name)[k : k + 1]
            setattr(states.teacher, name, kept)
        found = compute(model, [states])
        assert found['path_velocity'] < 1e-9
        assert (found['path_consistency'] < 1e-9) == (k == 3)
    assert ends.teacher.t[0] == 899


def test_share_of_the_path():
    path = {'type': 'TeacherPathLoss'}
    model = student({**LATENT, 'path': path, 'path_share': 0.5})
    batch = student_batch(
        model.parts,
        model.data_preprocessor,
        model.restore_options,
        [make_sample(model, number) for number in range(24)],
        False,
    )
    task = model.objective.choose(model.parts, model.restore_options, batch)
    on_path = task.on_path.bool()
    assert 6 <= on_path.sum() <= 18
    assert (task.t[~on_path] == 899).all()
    assert task.teacher_v[~on_path].abs().max() == 0
    assert len(task.t[on_path].unique()) == 2
    again = model.objective.choose(model.parts, model.restore_options, batch)
    assert not torch.equal(again.t, task.t)  # the clips' numbers go on


def test_losses_on_pixels():
    """A FoldingAutoencoder's pixels are its latents."""
    pixels = [
        {'type': 'FrameDifferenceLoss'},
        {'type': 'DynamicFrequencyLoss', 'b': 'constant'},
    ]
    losses = {'type': 'Distillation', 'pixels': pixels}
    model = student(losses, noise='none')
    sample = make_sample(model)
    found = compute(model, [sample])
    x0 = last_estimate(model, [sample])
    gt = sample.gt.transpose(0, 1)[None] / 127.5 - 1
    wanted = (x0.diff(dim=2) - gt.diff(dim=2)).abs().mean()
    assert found['loss_frame_difference'] == pytest.approx(wanted)
    assert found['loss_frequency'] > 0
    assert 'loss_latent' not in found
    sample.gt = None
    with pytest.raises(ValueError, match="'clip0' has none: make the cache"):
        compute(model, [sample])


def test_text_is_that_of_use():
    model = student(prompt='a cat')
    sample = make_sample(model)
    parts = model.parts, model.data_preprocessor
    with_text = student_batch(*parts, model.restore_options, [sample], False)
    assert torch.equal(with_text.text[0], sample.text)
    without = student_batch(*parts, student_options(), [sample], False)
    assert torch.equal(without.text[0], model.text_encoder([''])[0])


def test_states_without_gradient_leave_the_gradient_alone():
    """Autocast must not use weights again that it cast without gradient."""
    model = small_model(**{**STUDENT, 'steps': 2, 'scale': 2})
    student(LATENT, model)
    sample = make_sample(model)
    with torch.autocast('cpu', torch.bfloat16):
        losses = model.loss(None, [sample])
    losses['loss_latent'].backward()
    without = {
        name
        for name, p in model.backbone.named_parameters()
        if p.grad is None or not p.grad.abs().max()
    }
    assert len(without) < 10, sorted(without)


@pytest.mark.parametrize(
    ('name', 'value'),
    [('sampler', 'heun'), ('guidance_scale', 2), ('guidance_exponent', 5)],
)
def test_options_that_are_not_trained_for(name, value):
    with pytest.raises(ValueError, match=rf'`restore_options.{name}` of a di'):
        student(**{name: value})


@pytest.mark.parametrize(
    ('losses', 'reason'),
    [
        ({}, 'must have `latent`, `path` or `pixels`'),
        ({'path_share': 1.5}, r'`path_share` must lie in \[0, 1\], got 1.5'),
        ({'path_share': 0.5}, 'belong together, got None and 0.5'),
        ({'path': {}}, 'belong together'),
        ({**LATENT, 'real': 'x'}, "`real` must be 'teacher' or 'gt'"),
        ({**LATENT, 'window': {'margin': -1}}, '`margin` must not be'),
    ],
)
def test_wrong_arguments(losses, reason):
    with pytest.raises(ValueError, match=reason):
        MODELS.build({**losses, 'type': 'Distillation'})


def test_what_an_item_lacks():
    model = student()
    sample = make_sample(model)
    sample.z0 = None
    with pytest.raises(ValueError, match='needs cached latents'):
        compute(model, [sample])
    sample.teacher = None
    with pytest.raises(ValueError, match="a teacher made of 'clip0'"):
        compute(model, [sample])


@pytest.mark.parametrize('real', ['teacher', 'gt'])
def test_adversarial_loss_compares_with_real_latents(real):
    """The heads see the student's latents and those that are real."""
    judged = {}

    def terms(fake, real, condition, schedule, random):
        judged.update(fake=fake, real=real, z_lq=condition.z_lq)
        return {'loss_adversarial': fake.mean()}

    model = student({**LATENT, 'adversarial': ADVERSARIAL, 'real': real})
    model.objective.adversarial.terms = terms
    sample = make_sample(model)
    losses = compute(model, [sample])
    assert losses.keys() == {'loss_latent', 'loss_adversarial'}
    wanted = sample.teacher.z0 if real == 'teacher' else sample.z0
    assert torch.equal(judged['real'][0], wanted)
    assert torch.equal(judged['z_lq'][0], sample.z_lq)
    found = last_estimate(model, [sample])
    torch.testing.assert_close(judged['fake'], found)


def test_adversarial_loss_of_small_networks():
    """One backward pass gives gradients to the student and to the heads."""
    model = small_model(**STUDENT)
    network = {'in_dim': 3, 'sizes': SMALL_SIZES, 'dropout': 0.0}
    teacher = {
        'type': 'TeacherFeatures',
        'backbone': {'type': 'I2VGenUNet', 'out_dim': 3, **network},
        'controlnet': {'type': 'UNetControlNet', **network},
        'layers': {'encoder.middle_block.res2': 32},
    }
    adversarial = {'type': 'AdversarialLoss', 'teacher': teacher, 'width': 8}
    student({**LATENT, 'adversarial': adversarial}, model)
    losses = model.loss(None, [make_sample(model)])
    total, _ = model.parse_losses(losses)
    total.backward()
    for part in (model.backbone, model.objective.adversarial):
        assert any(p.grad.abs().max() > 0 for p in part.parameters())
    assert not_allowed(model, {'objective.adversarial.heads.x'}) == set()
