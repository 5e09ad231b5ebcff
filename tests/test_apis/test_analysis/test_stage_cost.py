"""The operations of each stage, against those of real calls."""

import copy

import pytest
import torch

from star.apis.analysis.stage_cost import one_step, stage_cost
from star.apis.inference.build import build_model, load_config, take_random
from star.apis.inference.memory_plan import count_memory
from star.models.autoencoders import SmallDecoder
from star.models.restoration.options import RestoreOptions
from star.utils.operation_counter import OperationCounter

DECODER = dict(latent_channels=4, widths=(8, 6, 4), blocks=(1, 1, 1), frames=4)


def with_small_decoder(config):
    config = copy.deepcopy(config)
    config.model.autoencoder = dict(
        type='SmallDecoderVAE',
        autoencoder=config.model.autoencoder,
        decoder=dict(type='SmallDecoder', **DECODER),
    )
    return config


def count(call):
    with torch.no_grad(), OperationCounter() as counter:
        call()
    return counter.tflop


def test_one_step_is_not_guided():
    options = one_step(RestoreOptions(steps=9, guidance_exponent=5))
    assert (options.mode, options.steps, options.sampler) == (
        'normal',
        1,
        'ddim',
    )
    assert (options.guidance_scale, options.guidance_exponent) == (1, 0)


def test_agrees_with_a_real_restoration():
    """But for the text's projection, and convolutions that only oneDNN has."""
    config = load_config('tiny')
    found = stage_cost(config, (1, 6, 8))
    model = build_model(config).eval()
    take_random(model)
    lq = torch.zeros(1, 3, 6, 8, dtype=torch.uint8)
    options = one_step(model.restore_options)
    assert found.total == pytest.approx(
        count(lambda: model.restore(lq, options)), rel=5e-3
    )
    assert found.denoise > found.encode > 0 and found.decode > 0
    assert found.frames == 1


def test_a_small_decoder_changes_the_decoder_alone():
    """Of a clip of one window: nothing is decoded twice."""
    config, clip = load_config('tiny_cogvideox'), (9, 8, 12)
    own, small = (
        stage_cost(each, clip) for each in (config, with_small_decoder(config))
    )
    assert (small.encode, small.denoise) == (own.encode, own.denoise)
    decoder, z = SmallDecoder(**DECODER), torch.zeros(1, 4, 3, 4, 6)
    assert small.decode == pytest.approx(count(lambda: decoder(z)), rel=1e-6)
    assert small.decode < own.decode


def test_memory_is_planned_with_a_small_decoder():
    config = with_small_decoder(load_config('tiny_cogvideox'))
    with torch.device('meta'):
        model = build_model(config).eval()
    run = count_memory(model, model.restore_options, (9, 8, 12), True)
    assert run.peak > 9 * 3 * 32 * 48


def test_refuses_other_methods():
    with pytest.raises(ValueError, match='is no STARModel'):
        stage_cost(load_config('bicubic'), (1, 8, 8))
