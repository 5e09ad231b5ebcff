"""From clips to a decoder that restores: train, resume, publish, restore."""

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.apis.inference.build import load_config
from star.apis.inference.held import read_held
from star.apis.inference.load import init_model
from star.registry import MODELS
from star.utils.origins import record_of
from tests.test_engine.configs import NETWORK, write_clips
from tests.test_models.fakes import random_clip

VAE = 'tiny_vae.safetensors'
DECODER = 'tiny_decoder.safetensors'


@pytest.fixture
def weights(tmp_path):
    """A folder with the weights of an autoencoder."""
    torch.manual_seed(0)
    settings = load_config('tiny_decoder_distillation')
    vae = MODELS.build(settings.model.autoencoder).vae
    folder = tmp_path / 'weights'
    folder.mkdir()
    save_file(vae.state_dict(), folder / VAE)
    return folder


def training_words(tmp_path, weights, iterations):
    changes = {
        'train_dataloader.num_workers': 0,
        'train_dataloader.persistent_workers': False,
        'train_dataloader.dataset.data_root': tmp_path / 'clips',
        'train_dataloader.dataset.num_frames': 2,
        'train_dataloader.dataset.pipeline.1.height': 16,
        'train_dataloader.dataset.pipeline.1.width': 24,
        'train_cfg.max_iters': iterations,
        'default_hooks.checkpoint.interval': 1,
        'model.loss.lpips': 0,
        'log_level': 'ERROR',
    }
    return [
        *('train', 'tiny_decoder_distillation', '--weights', weights),
        *('--work-dir', tmp_path / 'work', '--cfg-options'),
        *(f'{key}={value}' for key, value in changes.items()),
    ]


def restoring_config(weights):
    """The tiny STAR on the latents of the autoencoder; its file is made."""
    config = load_config('tiny')
    teacher = load_config('tiny_decoder_distillation').model
    config.model.autoencoder = dict(
        type='SmallDecoderVAE',
        autoencoder=teacher.autoencoder,
        decoder=teacher.decoder,
    )
    config.model.backbone.update(NETWORK, in_dim=4, out_dim=4)
    config.model.controlnet.update(NETWORK, in_dim=4)
    config.model.residual_std = None
    config.weights = dict(
        star=dict(file='star.safetensors'),
        vae=dict(file=VAE),
        decoder=dict(file=DECODER),
    )
    state = {
        f'{part}.{name}': tensor.clone()
        for part in ('backbone', 'controlnet')
        for name, tensor in MODELS.build(config.model[part])
        .state_dict()
        .items()
    }
    save_file(state, weights / 'star.safetensors')
    return config


@pytest.mark.slow
def test_a_decoder_is_distilled_published_and_used(star, tmp_path, weights):
    write_clips(tmp_path / 'clips')
    done = star(*training_words(tmp_path, weights, 1))
    assert done.code == 0, done.err
    work = tmp_path / 'work'
    first = read_held(work)
    # the frozen autoencoder stays in its file
    assert all(name.startswith('decoder.') for name in first.state)
    done = star(*training_words(tmp_path, weights, 2), '--resume')
    assert done.code == 0, done.err
    held = read_held(work)
    assert held.name.endswith('iter_2')
    name = 'decoder.enter.weight'
    assert not torch.equal(held.state[name], first.state[name])
    published = weights / DECODER
    words = ('convert', 'publish', work, published, '--prefix', 'decoder.')
    assert star(*words).code == 0
    state = load_file(published)
    assert {f'decoder.{name}' for name in state} == held.state.keys()

    path = tmp_path / 'restoring.py'
    restoring_config(weights).dump(path)
    model = init_model(path, weights, 'cpu')
    own = model.autoencoder.decoder.state_dict()
    assert all(torch.equal(own[name], state[name]) for name in own)
    origins = {
        each.file.name: each.tensors
        for each in record_of(model).origins
        if each.file
    }
    assert origins[DECODER] == len(state)
    assert origins[VAE] < len(load_file(weights / VAE))
    lq = random_clip(5, 6, 8)
    whole = model.restore(lq)
    assert whole.shape == (5, 3, 24, 32)
    pieces = list(model.restore_stream(iter(lq)))
    assert torch.equal(torch.cat(pieces), whole)
