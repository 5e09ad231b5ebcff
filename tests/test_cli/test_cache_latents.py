"""`star prepare cache-latents`, and training from the cache."""

import pytest
import torch
from mmengine.config import Config
from torch import nn

from star.apis.train.latent_cache import LatentEncoder, load_encoder
from star.datasets.latent_shards import read_index, shard_path
from star.registry import DATASETS
from tests.test_engine.configs import shrunk_config, train

AUTOENCODER = {
    'type': 'TemporalVAE',
    'latent_channels': 4,
    'block_out_channels': (32,) * 4,
    'layers_per_block': 1,
    'norm_groups': 1,
}


def small_config(folder):
    """The small model's config, shrunk, with an autoencoder of weights."""
    config = shrunk_config('tiny', folder, max_iters=3)
    config.train_dataloader.dataset.pipeline = [
        {'type': 'RandomFlipClip'},
        {'type': 'RandomCropClip', 'height': 16, 'width': 24},
        {'type': 'RealESRGANVideoDegradation', 'preset': 'light', 'scale': 4},
        {'type': 'PackVideoInputs'},
    ]
    config.model.autoencoder = AUTOENCODER
    config.model.backbone.update(in_dim=4, out_dim=4)
    config.model.controlnet.update(in_dim=4)
    config.model.residual_std = None
    return config


@pytest.fixture
def config_path(tmp_path):
    path = tmp_path / 'config.py'
    small_config(tmp_path).dump(path)
    return path


@pytest.fixture
def run(star, config_path):
    """Run the command; gives exit code, output and errors."""

    def call(cache, *options):
        words = ['--weights', 'random', '--workers', 0, '--device', 'cpu']
        done = star(
            *('prepare', 'cache-latents', config_path, cache),
            *(*words, *options),
        )
        return done.code, done.out, done.err

    return call


ITEMS = ('--num-items', 5, '--shard-size', 2)


def shards(cache, count=3):
    return [shard_path(cache, i).read_bytes() for i in range(count)]


def test_cache_of_a_config(run, config_path, tmp_path):
    cache = tmp_path / 'cache'
    code, out, err = run(cache, *ITEMS, '--dtype', 'float32', '--keep-gt')
    assert code == 0, err
    assert out.startswith(f'{cache}: 5 items, ')
    assert err.splitlines()[-1].startswith('5/5 items, ')
    config = Config.fromfile(config_path)
    source = DATASETS.build(config.train_dataloader.dataset)
    cached = DATASETS.build(
        {
            'type': 'CachedLatents',
            'cache_root': str(cache),
            'expect': {
                'dataset': config.train_dataloader.dataset,
                'autoencoder': config.model.autoencoder,
            },
        }
    )
    encoder = load_encoder(config, 'random', 'cpu')
    model = nn.Module()
    model.autoencoder = encoder.autoencoder
    model.text_encoder = encoder.text_encoder
    cached.check_model(model)
    assert len(cached) == 5
    for draw in range(5):
        sample = cached[draw]['data_samples']
        wanted = encoder.encode(source[draw])
        assert torch.equal(sample.z0, wanted.z0)
        assert torch.equal(sample.z_lq, wanted.z_lq)
        assert torch.equal(sample.gt, wanted.gt)
        assert (sample.name, sample.seed) == (wanted.name, wanted.seed)
        assert torch.equal(sample.text, torch.zeros(1, 32))


def test_interrupted_run_goes_on(run, tmp_path, monkeypatch):
    whole, cache = tmp_path / 'whole', tmp_path / 'cache'
    assert run(whole, *ITEMS)[0] == 0
    encode, calls = LatentEncoder.encode, []

    def break_off(encoder, item):
        calls.append(item)
        if len(calls) == 4:
            raise KeyboardInterrupt
        return encode(encoder, item)

    with monkeypatch.context() as patch:
        patch.setattr(LatentEncoder, 'encode', break_off)
        code, _, err = run(cache, *ITEMS)
    assert (code, err.splitlines()[-1][:12]) == (130, 'interrupted;')
    with pytest.raises(ValueError, match=r'has 1 of 3 shards'):
        DATASETS.build({'type': 'CachedLatents', 'cache_root': str(cache)})
    code, out, err = run(cache, *ITEMS)
    assert '5 items, 3 of them new' in out
    assert shards(cache) == shards(whole)
    assert '0 of them new' in run(cache, *ITEMS)[1]


def test_cache_that_grows(run, tmp_path):
    cache, whole = tmp_path / 'cache', tmp_path / 'whole'
    run(cache, '--num-items', 3, '--shard-size', 2)
    out = run(cache, *ITEMS)[1]
    assert '5 items, 3 of them new' in out  # of 3 the last shard had one
    run(whole, *ITEMS)
    assert shards(cache) == shards(whole)
    assert read_index(cache).num_items == 5


def test_workers_change_nothing(run, tmp_path):
    run(tmp_path / 'a', *ITEMS)
    run(tmp_path / 'b', *ITEMS, '--workers', 2)
    assert shards(tmp_path / 'a') == shards(tmp_path / 'b')


def crop(height):
    return f'train_dataloader.dataset.pipeline.1.height={height}'


@pytest.mark.parametrize(
    ('options', 'reason'),
    [
        (['--shard-size', 3], 'shard_size is 2 there and 3 here'),
        (['--cfg-options', crop(8)], 'configs.dataset.pipeline.1.height'),
        (['--cfg-options', 'model.data_preprocessor.scale=2'], 'enlarged'),
        (['--num-items', 0], '`num_items` must be at least 1, got 0'),
        (['--num-items', 2], 'holds 5 items'),
        (['--weights', 'none.pt'], "'none.pt' does not exist"),
        (['--cfg-options', crop(999)], 'the crop is 24x999'),
        (['--cfg-options', crop(999), '--workers', 1], 'the crop is 24x999'),
    ],
)
def test_what_goes_wrong_is_one_line(run, tmp_path, options, reason):
    cache = tmp_path / 'cache'
    new = '999' in str(options) or 'scale' in str(options)
    if not new:
        run(cache, *ITEMS)
    code, _, err = run(cache, *ITEMS, *options)
    assert code == 2
    last = err.splitlines()[-1]
    assert last.startswith('error: ') and reason in last
    if new:
        assert err.count('\n') == 1


def cached_config(config_path, cache):
    config = Config.fromfile(config_path)
    source = config.train_dataloader.dataset
    config.train_dataloader.dataset = {
        'type': 'CachedLatents',
        'cache_root': str(cache),
        'expect': {
            'dataset': source,
            'autoencoder': config.model.autoencoder,
        },
    }
    return config


def losses(runner):
    history, _ = runner.message_hub.get_scalar('train/loss_velocity').data
    return history.tolist()


def test_training_from_the_cache(run, config_path, tmp_path):
    """The Runner's losses are those of training from the clips."""
    config = Config.fromfile(config_path)
    weights = tmp_path / 'start.safetensors'
    save_autoencoder(config, weights)
    code, _, err = run(
        *(tmp_path / 'cache', '--num-items', 6, '--dtype', 'float32'),
        *('--weights', weights),
    )
    assert code == 0, err
    config.model.autoencoder.pretrained = str(
        weights.with_name('vae.safetensors')
    )
    expected = losses(train(config))
    config = cached_config(config_path, tmp_path / 'cache')
    config.model.autoencoder.pretrained = str(
        weights.with_name('vae.safetensors')
    )
    config.default_hooks.latent_cache = {'type': 'CheckLatentCacheHook'}
    config.experiment_name += '_cached'
    config.work_dir += '_cached'
    found = losses(train(config))
    assert len(found) == 3
    assert found == pytest.approx(expected, rel=1e-5)


@pytest.mark.slow
def test_training_with_another_autoencoder_is_refused(
    run, config_path, tmp_path
):
    cache = tmp_path / 'cache'
    run(cache, *ITEMS)
    config = cached_config(config_path, cache)
    config.default_hooks.latent_cache = {'type': 'CheckLatentCacheHook'}
    config.experiment_name += '_refused'
    with pytest.raises(ValueError, match=r'other weights of the autoencoder'):
        train(config)


def save_autoencoder(config, path):
    """Write random weights twice: as a whole model's, as the part's."""
    from safetensors.torch import save_file

    from star.apis.inference.build import build_part, fill_random

    part = build_part(config, 'autoencoder')
    fill_random(part, seed=3)
    state = part.state_dict()
    save_file({f'autoencoder.{k}': v for k, v in state.items()}, path)
    own = {k.removeprefix('vae.'): v for k, v in state.items()}
    save_file(own, path.with_name('vae.safetensors'))
