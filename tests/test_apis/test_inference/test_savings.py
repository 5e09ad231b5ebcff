"""Networks placed so that they save memory and time."""

import shutil
from dataclasses import replace

import pytest
import torch

from star.apis import init_model
from star.apis.inference import savings
from star.apis.inference.fingerprint import describe_method
from star.apis.inference.savings import Savings, describe_savings, place_with
from star.models.editors import Bicubic
from star.models.layers.attention import AttentionLayer
from star.models.layers.offloading import device_of
from tests.test_models.fakes import fake_model, random_clip, small_model

CPU = torch.device('cpu')


def place(model, device=CPU, dtype=torch.float32, **chosen):
    place_with(model, device, dtype, Savings(**chosen))
    return model


def plain(clip, **options):
    return place(small_model(**options)).restore(clip)


@pytest.mark.parametrize('name', ['offload', 'quantize', 'attention'])
def test_unknown_words(name):
    with pytest.raises(ValueError, match=rf"^`{name}` must be .* 'fast'$"):
        Savings(**{name: 'fast'})


@pytest.mark.parametrize('way', ['model', 'block'])
def test_offloading_keeps_every_byte(way, monkeypatch):
    """The path of a GPU, with the CPU in its place."""
    monkeypatch.setattr(savings, '_check', lambda *_: None)
    clip = random_clip(3)
    model = place(small_model(), offload=way)
    assert device_of(model) == CPU
    assert torch.equal(model.restore(clip), plain(clip))
    assert torch.equal(model.restore(clip), plain(clip))
    assert describe_savings(model) == {}


def test_offloading_needs_another_device():
    with pytest.raises(ValueError, match=r"^`offload` 'block' needs a GPU"):
        place(small_model(), offload='block')


@pytest.mark.parametrize('form', ['int8', 'fp8', 'nf4'])
def test_small_weights_change_little_and_are_told(form):
    clip = random_clip(3)
    model = place(small_model(), quantize=form)
    off = plain(clip)
    out = model.restore(clip)
    assert not torch.equal(out, off)
    change = (out.float() - off.float()).square().mean().sqrt()
    assert change < {'int8': 3, 'fp8': 8, 'nf4': 25}[form]  # of 255
    method = describe_method(model, model.restore_options)
    assert method['quantize'] == form and method['dtype'] == 'float32'
    before = describe_method(place(small_model()), model.restore_options)
    assert 'quantize' not in before
    assert method['weights'] != before['weights']


def test_small_weights_in_bfloat16():
    model = place(small_model(), dtype=torch.bfloat16, quantize='int8')
    layer = model.backbone.output_blocks[0].res.conv1
    assert layer.weight.dtype == torch.bfloat16
    assert layer.codes.dtype == torch.int8
    assert model.restore(random_clip(1)).float().std() > 1


def test_attention_is_chosen_and_told():
    model = place(small_model(), attention='math')
    kernels = {
        m.kernel for m in model.modules() if isinstance(m, AttentionLayer)
    }
    assert kernels == {'math'}
    assert describe_savings(model) == {'attention': 'math'}


@pytest.mark.parametrize(
    'model, chosen',
    [
        (Bicubic(), {'quantize': 'int8'}),
        (Bicubic(), {'compile': True}),
        (Bicubic(), {'offload': 'model'}),
        (fake_model(), {'attention': 'math'}),
        (fake_model(), {'quantize': 'nf4'}),  # its layers are too small
    ],
)
def test_what_has_no_such_layers_refuses(model, chosen):
    (name,) = chosen
    with pytest.raises(ValueError, match=f'^`{name}` means nothing to '):
        place(model, **chosen)


def test_compiling_needs_a_compiler(monkeypatch):
    monkeypatch.setattr(shutil, 'which', lambda name: None)
    with pytest.raises(ValueError, match=r'^`compile` needs a C\+\+ compiler'):
        place(small_model(), compile=True)


@pytest.mark.slow  # compiles for a minute
@pytest.mark.skipif(not shutil.which('g++'), reason='there is no g++')
def test_compiled_networks_restore_the_same():
    clip = random_clip(2)
    model = place(small_model(steps=1), compile=True)
    out = model.restore(clip).int() - plain(clip, steps=1).int()
    assert out.abs().max() <= 1
    assert describe_savings(model) == {'compile': True}


def test_the_shipped_model_with_small_weights():
    clip = random_clip(2, 16, 16)
    off = init_model(device='cpu').restore(clip)
    model = init_model(device='cpu', savings=Savings(quantize='int8'))
    change = (model.restore(clip).float() - off.float()).abs()
    assert 0 < change.mean() < 15  # noise, on which it reacts most
    options = replace(model.restore_options, seed=1)
    assert describe_method(model, options)['quantize'] == 'int8'
