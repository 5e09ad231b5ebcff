import hashlib
from dataclasses import replace

import pytest
import torch
from mmengine.config import Config
from safetensors.torch import load_file, save_file

from star.apis.test.method import load_method
from star.models.editors import RealESRGANCompact
from star.models.editors.weight_files import FILES
from star.registry import MODELS


@MODELS.register_module()
class Scales(torch.nn.Module):
    """One number that is trained and one that is not."""

    def __init__(self):
        super().__init__()
        self.a = torch.nn.Parameter(torch.zeros(2))
        self.b = torch.nn.Parameter(torch.ones(2), requires_grad=False)

    def load_weights(self, *paths):
        for path in paths:
            self.load_state_dict(load_file(path))


@pytest.fixture
def config():
    return Config({'model': {'type': 'Scales'}, 'weights': {}})


def checkpoint(folder, **tensors):
    folder.mkdir(exist_ok=True)
    save_file(tensors, folder / 'weights.safetensors')
    return folder


def digest(path):
    return hashlib.sha256(path.read_bytes()).hexdigest()


def test_trained_tensors_suffice(config, tmp_path):
    folder = checkpoint(tmp_path / 'iter_7', a=torch.tensor([2.0, 3.0]))
    file = folder / 'weights.safetensors'
    for path in (folder, file):
        method = load_method(config, path)
        assert method.model.a.tolist() == [2, 3]
        assert method.model.b.tolist() == [1, 1]
        assert not method.model.a.requires_grad
        assert method.files == {file.name: digest(file)}
        assert method.checkpoint == str(path)
        assert not method.random_init


def test_averaged_weights(config, tmp_path):
    folder = checkpoint(tmp_path / 'iter_7', a=torch.zeros(2))
    save_file({'a': torch.ones(2)}, folder / 'ema.safetensors')
    assert load_method(config, folder).model.a.tolist() == [0, 0]
    averaged = load_method(config, folder, averaged=True)
    assert averaged.model.a.tolist() == [1, 1]
    assert list(averaged.files) == ['weights.safetensors', 'ema.safetensors']


def test_random_numbers_are_always_the_same(config):
    method, again = (load_method(config, 'none') for _ in range(2))
    assert method.random_init and method.files == {}
    assert method.model.a.abs().min() > 0
    assert torch.equal(method.model.a, again.model.a)


def test_what_has_no_weights_is_not_random():
    config = Config({'model': {'type': 'Bicubic'}})
    for word in (None, 'none'):
        method = load_method(config, word)
        assert not method.random_init and method.files == {}
        assert method.checkpoint == word


COMPACT = {'type': 'RealESRGANCompact', 'num_conv': 1}


def compact_file(path):
    torch.manual_seed(0)
    source = RealESRGANCompact(num_conv=1)
    torch.save({'params': source.network.state_dict()}, path)
    return source.network.state_dict()


def test_without_weights_a_method_runs_only_when_told_to():
    config = Config({'model': COMPACT})
    with pytest.raises(ValueError, match='RealESRGANCompact has no weights'):
        load_method(config)
    method = load_method(config, 'none')
    assert method.random_init
    clip = torch.full((1, 3, 4, 4), 99, dtype=torch.uint8)
    assert method.model.restore(clip).shape == (1, 3, 16, 16)


def test_a_baselines_file(tmp_path):
    path = tmp_path / 'net.pth'
    state = compact_file(path)
    method = load_method(Config({'model': COMPACT}), path)
    assert method.files == {'net.pth': digest(path)}
    assert method.checkpoint == str(path) and not method.random_init
    own = {**COMPACT, 'weights': str(path)}
    assert load_method(Config({'model': own})).files == method.files
    for name, tensor in state.items():
        assert torch.equal(method.model.network.state_dict()[name], tensor)
    with pytest.raises(ValueError, match=r'net\.pth does not fit'):
        load_method(Config({'model': {**COMPACT, 'num_conv': 2}}), path)


def test_a_baselines_published_file(tmp_path, monkeypatch):
    name = 'realesr-animevideov3.pth'
    compact_file(tmp_path / name)
    entry = replace(FILES[name], sha256=digest(tmp_path / name), url='')
    monkeypatch.setitem(FILES, name, entry)
    monkeypatch.setattr('torch.hub.get_dir', lambda: str(tmp_path / 'hub'))
    config = Config({'model': {**COMPACT, 'weights': name}})
    expected = {name: digest(tmp_path / name)}
    for arguments in (
        {'weights_dir': tmp_path},
        {'weights': tmp_path},
        {'checkpoint': name, 'weights': tmp_path},
        {'checkpoint': tmp_path / name},
    ):
        method = load_method(config, **arguments)
        assert method.files == expected and method.model.loaded
    with pytest.raises(ValueError, match=f'{name} is not in the cache'):
        load_method(config)


def test_the_weights_a_config_names(tmp_path, monkeypatch):
    save_file(
        {'a': torch.ones(2), 'b': torch.zeros(2)}, tmp_path / 'own.safetensors'
    )
    monkeypatch.setattr(
        'star.utils.weight_files.asset_folder', lambda: tmp_path
    )
    config = Config(
        {'model': {'type': 'Scales'}, 'weights': {'asset': 'own.safetensors'}}
    )
    method = load_method(config)
    assert method.model.a.tolist() == [1, 1]
    assert method.model.b.tolist() == [0, 0]
    assert method.checkpoint is None
    assert method.files == {
        'own.safetensors': digest(tmp_path / 'own.safetensors')
    }


@pytest.mark.parametrize(
    ('tensors', 'line'),
    [
        ({'b': torch.ones(2)}, r'1 missing \(a\)'),
        ({'a': torch.ones(3)}, 'of another shape'),
        ({'a': torch.ones(2), 'c': torch.ones(2)}, '1 unknown'),
    ],
)
def test_weights_that_do_not_fit(tmp_path, tensors, line):
    folder = checkpoint(tmp_path / 'iter_7', **tensors)
    config = Config({'model': {'type': 'Scales'}})
    with pytest.raises(ValueError, match=line) as caught:
        load_method(config, folder / 'weights.safetensors')
    assert len(str(caught.value).splitlines()) == 1


def test_no_checkpoint(config, tmp_path):
    with pytest.raises(ValueError, match='there is no checkpoint'):
        load_method(config, tmp_path / 'iter_7')
    (tmp_path / 'iter_7').mkdir()
    with pytest.raises(ValueError, match=r'weights\.safetensors'):
        load_method(config, tmp_path / 'iter_7')
    with pytest.raises(ValueError, match='names no weights for the model'):
        load_method(config)
