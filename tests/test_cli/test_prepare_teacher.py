"""From a teacher to a student that restores in one step, by commands."""

import shutil

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file, save_file

from star.apis.inference.build import build_model
from star.apis.train.teacher import TeacherEncoder
from star.datasets.latent_shards import shard_path
from star.models.editors.star.star_model import STARModel
from star.registry import DATASETS
from star.utils.paths import config_path
from tests.test_cli.test_cache_latents import shards
from tests.test_distributed import distance, run, weights
from tests.test_engine.configs import NETWORK, shrunk_config
from tests.test_models.networks import randomize

ITEMS = ('--num-items', 5, '--shard-size', 2, '--points', 3)
STEPS = {'sampler': 'ddim', 'mode': 'normal', 'steps': 4}
WORDS = ('--workers', 0, '--device', 'cpu')


def teacher_config(folder):
    """The small model with weights of random numbers, guided, four steps."""
    config = shrunk_config('tiny', folder)
    config.model.pop('losses')
    config.model.restore_options.update(
        STEPS, guidance_scale=2, prompt='a clip'
    )
    return config


def write_student(folder, name='tiny_onestep', **changes):
    """Write a student's config, shrunk as its teacher."""
    config = Config.fromfile(config_path(f'star/{name}.py'))
    config.teacher = str(folder / 'teacher.py')
    for network in (config.model.backbone, config.model.controlnet):
        network.update(NETWORK)
    config.train_dataloader.dataset.cache_root = str(folder / 'cache')
    config.train_dataloader.update(
        batch_size=2, num_workers=0, persistent_workers=False
    )
    config.train_cfg.max_iters = 2
    config.default_hooks.checkpoint.interval = 1
    config.visualizer.vis_backends = []
    config.log_level = 'ERROR'
    config.work_dir = str(folder / name)
    config.merge_from_dict(changes)
    path = folder / f'{name}.py'
    config.dump(path)
    return path


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with a teacher's config and weights, and two students'."""
    folder = tmp_path_factory.mktemp('teacher')
    config = teacher_config(folder)
    config.dump(folder / 'teacher.py')
    with torch.random.fork_rng():
        model = build_model(config)
    for seed, part in enumerate((model.backbone, model.controlnet)):
        randomize(part, seed)
    save_file(model.state_dict(), folder / 'teacher.safetensors')
    for name in ('tiny_onestep', 'tiny_onestep_pixel'):
        write_student(folder, name)
    return folder


@pytest.fixture
def prepare(star, place):
    """Run the command; gives exit code, output and errors."""

    def call(cache, *options, config='teacher.py'):
        weights = ('--weights', place / 'teacher.safetensors')
        words = ('prepare', 'teacher', place / config, cache, *WORDS)
        return star(*words, *weights, *ITEMS, *options)

    return call


@pytest.fixture
def cache(prepare, place):
    """The students' cache, of the first test that asks for it."""
    folder = place / 'cache'
    if not shard_path(folder, 1).is_file():
        assert prepare(folder, '--keep-gt', '--num-items', 3).code == 0
    return folder


def cached(cache, **options):
    return DATASETS.build(
        {'type': 'CachedLatents', 'cache_root': str(cache), **options}
    )


def test_cache_of_a_teacher(prepare, place, tmp_path):
    """The student's config names its teacher; files hold what it made."""
    cache = tmp_path / 'cache'
    done = prepare(cache, '--dtype', 'float32', config='tiny_onestep.py')
    assert done.code == 0, done.err
    assert done.out.startswith(f'{cache}: 5 items, 5 of them new')
    items = cached(cache)
    options = items.index.configs['teacher']['restore_options']
    assert (options['steps'], options['guidance_scale']) == (4, 2)
    sample = items[3]['data_samples']
    path = sample.teacher
    assert path.t == [899, 539, 359] and path.noise_seed == sample.seed
    assert path.x_t.shape == path.v.shape == (3, *sample.z_lq.shape)
    assert torch.equal(path.no_text, torch.zeros(1, 32))
    # the last state leads to the end
    model = build_model(Config.fromfile(place / 'teacher.py'))
    t = torch.tensor(path.t[-1:])
    x0 = model.schedule.to_x0(path.x_t[-1:], path.v[-1:], t)
    torch.testing.assert_close(x0[0], path.z0)
    assert (path.z0 - sample.z_lq).abs().mean() > 0.01
    again = items[3 + 5]['data_samples']  # of the second pass
    first = [items[i]['data_samples'] for i in range(5)]
    (same,) = (s for s in first if torch.equal(s.z_lq, again.z_lq))
    assert again.teacher.noise_seed == same.seed != again.seed


def test_interrupted_run_goes_on(prepare, tmp_path, monkeypatch):
    whole, cache = tmp_path / 'whole', tmp_path / 'cache'
    few = ('--num-items', 3)
    assert prepare(whole, *few).code == 0
    encode, calls = TeacherEncoder.encode, []

    def break_off(encoder, item):
        calls.append(item)
        if len(calls) == 3:
            raise KeyboardInterrupt
        return encode(encoder, item)

    with monkeypatch.context() as patch:
        patch.setattr(TeacherEncoder, 'encode', break_off)
        assert prepare(cache, *few).code == 130
    with pytest.raises(ValueError, match='1 of 2 shards: run star prepare te'):
        cached(cache)
    assert '3 items, 1 of them new' in prepare(cache, *few).out
    assert shards(cache, 2) == shards(whole, 2)
    assert '0 of them new' in prepare(cache, *few).out


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--points', 0], '`points` must be at least 1, got 0'),
        (['--cfg-options', 'model.restore_options.steps=0'], '`steps` must'),
        (['--weights', 'none.pt'], "'none.pt' does not exist"),
    ],
)
def test_what_goes_wrong_is_one_line(prepare, tmp_path, options, reason):
    done = prepare(tmp_path / 'cache', '--num-items', 1, *options)
    assert done.code == 2
    assert done.err.startswith('error: ') and done.err.count('\n') == 1
    assert reason in done.err


def test_another_teacher_needs_another_cache(prepare, place, tmp_path):
    """Other options, or other weights; a sampler with noise is noted."""
    cache, other = tmp_path / 'cache', tmp_path / 'other.safetensors'
    words = ('--num-items', 1, '--cfg-options')
    noisy = 'model.restore_options.sampler=dpmpp_2m_sde'
    done = prepare(cache, *words, noisy)
    assert done.code == 0
    assert 'note: dpmpp_2m_sde adds noise at every step' in done.err
    assert "restore_options.sampler is 'dpmpp_2m_sde'" in prepare(cache).err
    state = load_file(place / 'teacher.safetensors')
    name = next(n for n in state if n.startswith('backbone.'))
    save_file({**state, name: state[name] + 1}, other)
    done = prepare(cache, *words, noisy, '--weights', other)
    assert 'configs.teacher.weights.backbone' in done.err


@pytest.mark.usefixtures('cache')
def test_two_stages_and_a_restoration(star, place, monkeypatch):
    """One evaluation of the published student restores a clip."""
    teacher = place / 'teacher.safetensors'
    latent, pixel = place / 'tiny_onestep', place / 'tiny_onestep_pixel'
    words = ('train', f'{latent}.py', '--weights', teacher)
    done = star(*words)
    assert done.code == 0, done.err
    done = star('train', f'{pixel}.py', '--weights', latent)
    assert done.code == 0, done.err
    first, second = weights(latent, 2), weights(pixel, 2)
    moved = {n for n in first if not torch.equal(first[n], second[n])}
    assert any('.lora.b' in n for n in moved)
    assert any(n.startswith('controlnet.') for n in moved)
    start = load_file(teacher)
    stay = 'backbone.encoder.input_blocks.0.conv.weight'
    assert torch.equal(second[stay], start[stay])
    file = place / 'student.safetensors'
    done = star('convert', 'publish', pixel, file)
    assert done.code == 0, done.err
    clip = place / 'clips' / 'gt' / 'clip'
    calls, velocity = [], STARModel.velocity

    def count(model, z_t, *args):
        if z_t.data_ptr():  # not a plan of the memory, without content
            calls.append((len(z_t), z_t.shape[2], args[0].tolist()))
        return velocity(model, z_t, *args)

    monkeypatch.setattr(STARModel, 'velocity', count)
    out = place / 'restored'
    words = ('--config', f'{pixel}.py', '--weights', file, '--device', 'cpu')
    done = star('restore', clip, out, *words)
    assert done.code == 0, done.err
    assert calls == [(1, 6, [297])]
    assert len(list(out.glob('*.png'))) == 6


@pytest.mark.usefixtures('cache')
def test_a_resumed_training_is_the_uninterrupted_one(star, place):
    config = write_student(place, 'tiny_fourstep')
    words = ('--weights', place / 'teacher.safetensors')
    whole, parts = place / 'whole', place / 'parts'
    done = star('train', config, *words, '--work-dir', whole)
    assert done.code == 0, done.err
    shutil.copytree(whole, parts)
    shutil.rmtree(parts / 'iter_2')
    (parts / 'last_checkpoint').write_text('iter_1')
    done = star('train', config, '--work-dir', parts, '--resume')
    assert done.code == 0, done.err
    assert distance(weights(whole, 2), weights(parts, 2)) == 0
    assert distance(weights(whole, 1), weights(whole, 2)) > 0


@pytest.mark.slow
@pytest.mark.parametrize('sharded', [False, True])
@pytest.mark.usefixtures('cache')
def test_two_ranks_equal_one_with_the_doubled_batch(star, place, sharded):
    # rounding must not decide a step's direction
    large = {'lr': 1, 'eps': 1}
    changes = {'optim_wrapper.optimizer.' + k: v for k, v in large.items()}
    config = write_student(place, 'tiny_fourstep_pixel', **changes)
    words = ('--weights', place / 'teacher.safetensors', '--work-dir')
    one, two = place / 'one', place / f'two_{sharded}'
    if not one.is_dir():
        assert star('train', config, *words, one).code == 0
    name = shard(config) if sharded else config
    size = ('--cfg-options', 'train_dataloader.batch_size=1')
    done = run(['tools/dist_train.sh', name, 2], *words, two, *size)
    assert done.returncode == 0, done.stderr[-4000:]
    learnt = distance(weights(one, 2), weights(one, 1))
    assert learnt > 1e-5
    assert distance(weights(one, 2), weights(two, 2)) < 1e-3 * learnt


def shard(config):
    """Write a config that shares the networks out over ranks."""
    fsdp = Config.fromfile(config_path('star/i2vgen_onestep_fsdp.py'))
    settings = Config.fromfile(config)
    settings.runner_type = fsdp.runner_type
    settings.strategy = fsdp.strategy
    path = config.with_name('sharded.py')
    settings.dump(path)
    return path
