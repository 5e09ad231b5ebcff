"""The one way from a config and files to a model with its weights."""

import pytest
import torch
from mmengine.config import Config
from mmengine.model import BaseModule
from safetensors.torch import save_file
from torch import nn

from star.apis.inference.held import is_checkpoint
from star.apis.inference.load import Source, load_model
from star.registry import MODELS
from star.utils.files import sha256_of
from star.utils.origins import record_of


@MODELS.register_module()
class OwnPart(BaseModule):
    """A user's part that loads half of what it has, if `pretrained`."""

    def __init__(self, pretrained=None, init_cfg=None, half=False):
        super().__init__(init_cfg)
        self.one, self.two = nn.Linear(2, 2), nn.Linear(2, 2)
        if pretrained:
            state = torch.load(pretrained, weights_only=True)
            if half:
                state = {k: v for k, v in state.items() if 'two' not in k}
            self.load_state_dict(state, strict=not half)


@MODELS.register_module()
class OwnModel(nn.Module):
    """A frozen part and one that learns."""

    def __init__(self, frozen, head):
        super().__init__()
        self.frozen = MODELS.build(frozen).requires_grad_(False)
        self.head = MODELS.build(head)


def config(frozen, **weights):
    part = {'type': 'OwnPart'}
    model = {'type': 'OwnModel', 'frozen': {**part, **frozen}, 'head': part}
    return Config({'model': model, 'weights': weights})


@pytest.fixture
def file(tmp_path):
    torch.save(OwnPart().state_dict(), tmp_path / 'part.pt')
    return str(tmp_path / 'part.pt')


TRAINING = Source(training=True)


def test_frozen_random_numbers_are_refused():
    with pytest.raises(ValueError, match=r'frozen \(4 tensors\)') as info:
        load_model(config({}), TRAINING)
    assert '\n' not in str(info.value)
    record = record_of(load_model(config({'init': 'random'}), TRAINING))
    assert [o.kind for o in record.origins] == ['random', 'random']


def test_a_part_that_loads_its_own_file(file):
    model = load_model(config({'pretrained': file}), TRAINING)
    frozen, head = record_of(model).origins
    assert (frozen.kind, frozen.file.name) == ('file', 'part.pt')
    assert frozen.file.sha256 == sha256_of(file)
    assert (head.kind, head.file) == ('random', None)


def test_a_part_that_loads_half_of_its_file(file):
    half = {'pretrained': file, 'half': True}
    with pytest.raises(ValueError, match=r'frozen \(2 tensors\)'):
        load_model(config(half), TRAINING)


def test_initial_weights_of_a_config():
    constant = {'type': 'Constant', 'layer': 'Linear', 'val': 2.0, 'bias': 1}
    model = load_model(config({'init_cfg': constant}), TRAINING)
    assert model.frozen.one.weight.eq(2).all()
    kinds = [o.kind for o in record_of(model).origins]
    assert kinds == ['config', 'random']


def test_an_unknown_origin_by_name():
    with pytest.raises(ValueError, match="`init` must be 'random'"):
        load_model(config({'init': 'normal'}), TRAINING)


def test_half_a_checkpoint_is_refused(tmp_path, file):
    """What learns is in the file; where the rest was, nobody knows."""
    state = load_model(config({'pretrained': file}), TRAINING).state_dict()
    whole, path = tmp_path / 'all.safetensors', tmp_path / 'a.safetensors'
    save_file(state, whole)
    found = load_model(config({}), Source(whole))
    assert torch.equal(found.frozen.one.weight, state['frozen.one.weight'])
    save_file({k: v for k, v in state.items() if 'frozen' not in k}, path)
    with pytest.raises(ValueError, match=r'has no weights for frozen \(4'):
        load_model(config({}), Source(path))
    again = load_model(config({'pretrained': file}), Source(path))
    assert torch.equal(again.frozen.one.weight, state['frozen.one.weight'])


def test_random_numbers_by_name():
    for source in (Source('none'), Source(weights='random')):
        record = record_of(load_model(config({}), source))
        assert {o.kind for o in record.origins} == {'random'}
    record = record_of(load_model(config({}, random=True)))
    assert {o.kind for o in record.origins} == {'random'}


@MODELS.register_module()
class OwnNetwork(nn.Linear):
    """A model that loads a file whole."""

    def load_weights(self, *paths):
        (path,) = paths
        self.load_state_dict(torch.load(path, weights_only=True))


def test_named_weights_are_never_left_out(tmp_path):
    """Not even where the config says that it starts from random numbers."""
    path = tmp_path / 'own.pt'
    torch.save(nn.Linear(2, 2).state_dict(), path)
    model = {'type': 'OwnNetwork', 'in_features': 2, 'out_features': 2}
    for weights in ({}, {'random': True}):
        settings = Config({'model': model, 'weights': weights})
        for training in (True, False):
            source = Source(weights=path, training=training)
            record = record_of(load_model(settings, source))
            assert {o.kind for o in record.origins} == {'file'}
    with pytest.raises(ValueError, match='no weights for the model'):
        load_model(settings, Source(weights=tmp_path, training=True))


def test_weights_named_beside_a_whole_checkpoint_must_exist(tmp_path, file):
    whole = tmp_path / 'all.safetensors'
    model = load_model(config({'pretrained': file}), TRAINING)
    save_file(model.state_dict(), whole)
    for word in ('nothing', 'random'):
        with pytest.raises(ValueError, match=f'{word}. does not exist'):
            load_model(config({}), Source(whole, word))
    load_model(config({}), Source(whole, file))  # not needed
    # a word for a file that is not needed downloads nothing
    variants = {'light': {'file': 'light.pt'}}
    load_model(config({}, variants=variants), Source(whole, 'light'))


def test_a_training_that_starts_from_random_numbers_by_name(file):
    settings = config({'pretrained': file})
    settings.start_weights = {'asset': 'nothing.safetensors'}
    source = Source(weights='random', training=True)
    record = record_of(load_model(settings, source))
    assert [o.kind for o in record.origins] == ['file', 'random']
    settings = config({})  # frozen ones need more than that
    with pytest.raises(ValueError, match='training would freeze random'):
        load_model(settings, source)


@pytest.mark.parametrize('key', [None, 'state_dict'])
@pytest.mark.parametrize('module', ['', 'module.'])
def test_files_of_a_whole_model(tmp_path, key, module):
    state = {f'{module}autoencoder.a': torch.zeros(1)}
    torch.save({key: state} if key else state, tmp_path / 'a.pth')
    assert is_checkpoint(tmp_path / 'a.pth')
    state = {f'{module}backbone.a': torch.zeros(1)}
    torch.save({key: state} if key else state, tmp_path / 'b.pth')
    assert not is_checkpoint(tmp_path / 'b.pth')
