"""Weights that a checkpoint does not hold: recorded, found again, refused."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.apis import init_model
from star.apis.inference.build import load_config
from star.apis.inference.load import Source, load_model
from star.cli.main import main
from star.registry import MODELS
from star.utils.files import sha256_of
from tests.test_apis.folders import write_folder

NETWORK = """dict(
    dim=32, dim_mult=(1,), num_res_blocks=1, head_dim=16, num_heads=2,
    context_dim=32, norm_groups=8,
)"""
CONFIG = f"""
_base_ = 'star::star/tiny.py'
model = dict(
    autoencoder=dict(
        _delete_=True, type='TemporalVAE', block_out_channels=(32, 32),
        layers_per_block=1,
    ),
    backbone=dict(in_dim=4, out_dim=4, sizes={NETWORK}),
    controlnet=dict(in_dim=4, sizes={NETWORK}),
    residual_std=None,
    frozen=dict(autoencoder=(), backbone=('LIEM',)),
    restore_options=dict(steps=1, window=2, overlap=0, tile=0),
)
weights = dict(
    _delete_=True,
    star=dict(file='networks.pt'),
    vae=dict(file='vae.safetensors'),
)
train_dataloader = dict(
    batch_size=1,
    num_workers=0,
    persistent_workers=False,
    dataset=dict(
        data_root='CLIPS',
        num_frames=2,
        pipeline=[
            dict(type='RandomCropClip', height=28, width=48),
            dict(type='RealESRGANVideoDegradation', preset='star', scale=4),
            dict(type='PackVideoInputs'),
        ],
    ),
)
optim_wrapper = dict(optimizer=dict(lr=0.01))
train_cfg = dict(max_iters=2)
default_hooks = dict(checkpoint=dict(interval=1, max_keep=9, save_all=False))
custom_hooks = [dict(type='TrainedEMAHook', decay=0.5)]
visualizer = dict(vis_backends=[])
"""


@pytest.fixture(scope='module')
def world(tmp_path_factory):
    """Clips, a config, and a folder with the weights that it names."""
    folder = tmp_path_factory.mktemp('world')
    clips = write_folder(folder / 'clips', 'ab', frames=3)
    (clips / 'text').mkdir()
    for name in 'ab':
        (clips / 'text' / f'{name}.txt').write_text('')
    config = folder / 'own.py'
    config.write_text(CONFIG.replace('CLIPS', str(clips)))
    torch.manual_seed(3)
    state = MODELS.build(load_config(config).model).state_dict()
    for tensor in state.values():  # zeros let no gradient through
        tensor += 0.02 * torch.randn_like(tensor)
    (folder / 'weights' / 'vae').mkdir(parents=True)
    networks = {
        k: v.clone()
        for k, v in state.items()
        if k.startswith(('backbone.', 'controlnet.'))
    }
    save_file(networks, folder / 'weights' / 'networks.safetensors')
    vae = {
        k.removeprefix('autoencoder.vae.'): v.clone()
        for k, v in state.items()
        if k.startswith('autoencoder.vae.')
    }
    save_file(vae, folder / 'weights' / 'vae' / 'vae.safetensors')
    return folder


@pytest.fixture(scope='module')
def run(world):
    """A run that starts from the weights of the config."""
    work_dir = world / 'run'
    words = ['train', world / 'own.py', '--weights', world / 'weights']
    words += ['--work-dir', work_dir]
    assert main([str(word) for word in words]) == 0
    return work_dir


@pytest.fixture
def train(star, world, tmp_path):
    """Train, and return the command's result and the work folder."""

    def call(*options, work_dir=tmp_path / 'run'):
        done = star(
            'train', world / 'own.py', '--work-dir', work_dir, *options
        )
        return done, work_dir

    return call


@pytest.fixture
def score(star, world, tmp_path):
    """Test, and return the command's result, the PSNR and the results."""
    count = iter(range(99))

    def call(*words):
        work_dir = tmp_path / f'test_{next(count)}'
        done = star(
            'test',
            world / 'own.py',
            *words,
            '--set',
            f'mine={world / "clips"}',
            '--metrics',
            'PSNR',
            '--work-dir',
            work_dir,
        )
        path = work_dir / 'results.json'
        if not path.exists():
            return done, None, None
        results = json.loads(path.read_text())
        return done, results['sets']['mine']['scores']['PSNR'], results

    return call


def test_a_checkpoint_finds_what_it_lacks(run, score, star, world, tmp_path):
    held = load_file(run / 'iter_2' / 'weights.safetensors')
    assert not [name for name in held if name.startswith('autoencoder.')]
    log = next(run.glob('*/*.log')).read_text()
    assert 'autoencoder: vae.safetensors (SHA-256 ' in log
    given = ('--weights', world / 'weights')
    found = []
    for ema in ((), ('--ema',)):
        done, alone, results = score(run / 'iter_2', *ema)
        assert done.code == 0, done.err
        assert alone == score(run / 'iter_2', *ema, *given)[1]
        found.append(alone)
    assert found[0] != found[1]
    origins = results['method']['origins']
    assert {(o['part'], o['kind'], o['source']) for o in origins} >= {
        ('autoencoder', 'file', 'vae.safetensors'),
        ('backbone', 'file', 'networks.safetensors'),
        ('backbone', 'file', 'ema.safetensors'),
    }
    assert not results['method']['random_init']

    published = tmp_path / 'own.safetensors'
    done = star('convert', 'publish', run / 'iter_2', published, '--ema')
    assert done.code == 0, done.err
    assert str(world).encode() not in published.read_bytes()
    # other memory may be summed in another order
    assert score(published, *given)[1] == pytest.approx(alone, abs=1e-4)


def test_published_with_its_autoencoder(run, star, world, tmp_path):
    """The file needs no other, or finds it in its own folder."""
    vae = world / 'weights' / 'vae' / 'vae.safetensors'
    found = []
    for name, option in (('alone', ()), ('whole', ('--vae', vae))):
        path = tmp_path / name / 'own.safetensors'
        path.parent.mkdir()
        done = star('convert', 'publish', run, path, *option)
        assert done.code == 0, done.err
        config = load_config(world / 'own.py')
        if not option:
            with pytest.raises(ValueError, match=r'put it into .*alone'):
                load_model(config, Source(path))
            shutil.copy(vae, path.parent)
        found.append(load_model(config, Source(path)).state_dict())
    assert all(torch.equal(found[0][k], found[1][k]) for k in found[1])
    other = tmp_path / 'other.safetensors'
    save_file({k: v + 1 for k, v in load_file(vae).items()}, other)
    path = tmp_path / 'own.safetensors'
    error = star('convert', 'publish', run, path, '--vae', other).error
    assert 'other.safetensors is not the file that' in error


def test_published_as_a_folder(run, star, world, tmp_path):
    """It names its autoencoder, or holds it; nothing of this machine."""
    vae = world / 'weights' / 'vae' / 'vae.safetensors'
    found = []
    for name, option in (('alone', ()), ('whole', ('--vae', vae))):
        folder = tmp_path / name
        done = star('convert', 'publish', run, f'{folder}/', '--ema', *option)
        assert done.code == 0, done.err
        texts = [path.read_bytes() for path in folder.iterdir()]
        assert len(texts) == 3 and not any(
            str(world).encode() in text for text in texts
        )
        wanted = json.loads((folder / 'config.json').read_text())['weights']
        if not option:
            digest = sha256_of(vae)
            assert wanted == {'vae': {'file': vae.name, 'sha256': digest}}
            with pytest.raises(ValueError, match=r'put it into .*alone'):
                init_model(folder)
            shutil.copy(vae, folder)
        else:
            assert wanted == {}
        card = (folder / 'README.md').read_text()
        assert '| iterations | 2 |' in card and 'CaptionedFolder' in card
        assert '- backbone: networks.safetensors (SHA-256' in card
        found.append(init_model(folder, None, 'cpu').state_dict())
    source = Source(run, averaged=True)
    own = load_model(load_config(world / 'own.py'), source).state_dict()
    for state in found:
        assert all(torch.equal(state[name], own[name]) for name in state)


def test_what_is_gone_or_another_is_refused(train, score, world, tmp_path):
    weights = tmp_path / 'weights'
    shutil.copytree(world / 'weights', weights)
    vae = weights / 'vae' / 'vae.safetensors'
    done, run = train('--weights', weights)
    assert done.code == 0, done.err
    vae.rename(tmp_path / 'vae.safetensors')
    assert 'does not hold what it took from' in score(run)[0].error
    assert str(vae) in score(run / 'iter_1')[0].error
    other = {
        name: tensor + 1
        for name, tensor in load_file(tmp_path / 'vae.safetensors').items()
    }
    save_file(other, vae)  # another file of the same name
    assert str(vae) in score(run)[0].error
    error = score(run, '--weights', weights)[0].error
    assert 'vae.safetensors is not the file that' in error
    error = train('--resume', work_dir=run)[0].error
    assert str(vae) in error
    (tmp_path / 'vae.safetensors').rename(vae)
    done, _ = train(
        '--resume', '--cfg-options', 'train_cfg.max_iters=3', work_dir=run
    )
    assert done.code == 0 and (run / 'iter_3').is_dir(), done.err


def test_frozen_random_numbers_are_trained_by_name_only(
    train, score, world, tmp_path
):
    error = train()[0].error
    assert error.startswith('training would freeze random numbers: autoenc')
    assert "model.autoencoder.init='random'" in error
    assert not (tmp_path / 'run').exists()
    error = train('--dry-run')[0].error
    assert error.startswith('training would freeze random numbers: autoenc')
    names = [
        f'model.{part}.init=random' for part in ('autoencoder', 'backbone')
    ]
    done, run = train('--cfg-options', *names)
    assert done.code == 0, done.err
    held = load_file(run / 'iter_2' / 'weights.safetensors')
    assert [name for name in held if name.startswith('autoencoder.')]
    done, psnr, results = score(run)
    assert done.code == 0 and psnr == score(run)[1], done.err
    kinds = {each['kind'] for each in results['method']['origins']}
    assert kinds == {'file', 'config'}  # the run's own checkpoint
