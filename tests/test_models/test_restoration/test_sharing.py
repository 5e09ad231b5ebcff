"""One clip in two processes: the same bytes as in one."""

import os
from dataclasses import replace

import pytest
import torch

from star.apis.inference.build import build_model, load_config, take_random
from star.models.autoencoders.temporal_vae import TemporalVAE
from star.models.editors.real_esrgan.real_esrgan import RealESRGAN
from star.utils import distributed
from star.utils.distributed import Team
from tests.ranks import run_ranks
from tests.test_models.fakes import random_clip, small_model
from tests.test_models.networks import randomize


def restore_twice(model, lq, options):
    """Restore in two processes; return the result and the other's calls."""
    read, write = os.pipe()

    def work():
        torch.set_num_threads(1)
        distributed.connect()
        try:
            if int(os.environ['RANK']):
                helper, names = model.make_helper(), []

                def call(name, args):
                    names.append(name)
                    return helper(name, args)

                distributed.serve(call)
                os.write(write, ' '.join(names).encode())
                return
            model.team = Team(2)
            model.team.check()
            found = model.restore(lq, options)
            model.team.close()
            assert torch.equal(found, expected)
        finally:
            distributed.disconnect()

    expected = model.restore(lq, options)
    assert run_ranks(work) == 0
    return os.read(read, 4096).decode().split()


def test_windows_and_tiles_of_star_are_shared():
    model = small_model(
        scale=1, window=3, overlap=1, tile=(12, 8), tile_overlap=4
    )
    calls = restore_twice(model, random_clip(5, 12, 10), None)
    # half of: five frames; two steps of two windows of two tiles
    assert calls == ['begin', *['encode'] * 2, *['velocity'] * 4]


def test_decoding_is_shared():
    model = small_model(window=4, overlap=1)
    model.autoencoder = TemporalVAE(
        latent_channels=3,
        block_out_channels=(32, 32),
        layers_per_block=1,
        norm_groups=4,
        decode_window=2,
    ).eval()
    randomize(model.autoencoder, seed=3)
    calls = restore_twice(model, random_clip(5, 3, 4), None)
    assert calls.count('decode') == 1  # of three windows
    assert calls.count('encode') == 2


def test_tiles_of_latents_of_several_frames_are_shared():
    model = build_model(load_config('tiny_cogvideox')).eval()
    take_random(model)
    options = replace(
        model.restore_options,
        window=5,
        overlap=1,
        steps=1,
        guidance_scale=1,
        tile=(32, 32),
        tile_overlap=16,
    )
    calls = restore_twice(model, random_clip(5, 8, 12), options)
    assert calls == ['begin', 'velocity', 'decode']  # of two tiles


@pytest.mark.parametrize('name', ['network', 'diffusion'])
def test_windows_of_baselines_are_shared(name):
    if name == 'network':
        model = RealESRGAN(num_blocks=1).eval()
    else:
        model = build_model(load_config('tiny_resshift')).eval()
    take_random(model)
    options = replace(model.restore_options, window=1)
    calls = restore_twice(model, random_clip(3, 8, 8), options)
    assert calls == ['restore_window']  # the second window of three
