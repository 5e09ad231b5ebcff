"""Published models: found in a folder or on the hub, verified, refused."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.apis import PublishOptions, init_model, publish_model
from star.apis.inference.build import load_config
from star.apis.inference.published_data import check_model, plain_model
from star.utils.files import sha256_of
from star.utils.paths import asset_path, config_root
from tests.test_apis.hub_server import COMMIT, serve

ASSET = asset_path('star_tiny_compact.safetensors')


@pytest.fixture(scope='module')
def published(tmp_path_factory):
    """The model that ships with the package, as a folder."""
    folder = tmp_path_factory.mktemp('published') / 'tiny'
    publish_model(ASSET, folder, PublishOptions(config='tiny_compact'))
    return folder


@pytest.fixture
def folder(published, tmp_path):
    """A copy of it that a test may damage."""
    return shutil.copytree(published, tmp_path / 'copy')


@pytest.fixture
def hub(published, tmp_path, monkeypatch):
    """The hub with the published model and a file that nobody needs."""
    with serve(monkeypatch, str(tmp_path / 'cache')) as server:
        for path in published.iterdir():
            server.files[path.name] = path.read_bytes()
        server.files['pytorch_model.bin'] = b'a pickle'
        yield server


def change(folder, **entries):
    """Change entries of a folder's config.json."""
    path = folder / 'config.json'
    content = {**json.loads(path.read_text()), **entries}
    path.write_text(json.dumps(content))


def refusal(source):
    with pytest.raises(ValueError) as info:
        init_model(source)
    message = str(info.value)
    assert '\n' not in message
    return message


def state_of(model):
    return {name: t.clone() for name, t in model.state_dict().items()}


def test_a_folder_gives_the_same_parameters_and_pixels(published):
    ours, theirs = init_model(device='cpu'), init_model(published, None, 'cpu')
    own, other = state_of(ours), state_of(theirs)
    assert own.keys() == other.keys()
    assert all(torch.equal(own[name], other[name]) for name in own)
    assert theirs.config_name == 'tiny_compact'
    clip = torch.randint(256, (2, 3, 16, 20), dtype=torch.uint8)
    assert torch.equal(ours.restore(clip), theirs.restore(clip))


def test_random_numbers_by_name(published):
    model = init_model(published, 'random', 'cpu')
    own = load_file(published / 'model.safetensors')
    assert not torch.equal(
        model.state_dict()['backbone.body.0.weight'],
        own['backbone.body.0.weight'],
    )


@pytest.mark.parametrize('revision', ['', '@v1', f'@{COMMIT}'])
def test_the_hub_gives_the_same_model(hub, published, revision):
    model = init_model(f'hf://owner/model{revision}', None, 'cpu', 'float32')
    held = load_file(published / 'model.safetensors')
    own = model.state_dict()
    assert all(torch.equal(own[name], held[name]) for name in held)
    assert hub.asked == ['config.json', 'model.safetensors']
    init_model(f'hf://owner/model{revision}', None, 'cpu')  # from the cache
    assert len(hub.asked) == 2


def test_the_cache_does_without_the_hub(hub, monkeypatch):
    init_model('hf://owner/model', None, 'cpu')
    hub.shutdown()
    hub.server_close()
    assert init_model('hf://owner/model', None, 'cpu').config_name
    assert 'not in the cache and the hub cannot be reached' in refusal(
        'hf://owner/other'
    )


def test_what_the_hub_does_not_give(hub):
    assert 'there is no such repository' in refusal('hf://owner/other')
    assert 'no such branch' in refusal('hf://owner/model@v2')
    hub.gated = True
    assert 'gives access on request' in refusal('hf://owner/model')


@pytest.mark.parametrize('name', ['', 'model', 'a/b/c', 'a/b@', 'a/b c'])
def test_misspelt_names(name):
    expected = '`config` must be hf://owner/name'
    assert refusal(f'hf://{name}').startswith(expected)


def test_a_repository_without_a_config(hub):
    del hub.files['config.json']
    message = refusal('hf://owner/model')
    assert message.startswith('hf://owner/model has no config.json')


def test_pickles_are_not_even_downloaded(hub):
    content = json.loads(hub.files['config.json'])
    content['files'] = {'pytorch_model.bin': {'sha256': '0' * 64}}
    hub.files['config.json'] = json.dumps(content).encode()
    assert 'pickles are never loaded' in refusal('hf://owner/model')
    assert hub.asked == ['config.json']


def test_a_folder_without_weights(folder):
    (folder / 'model.safetensors').unlink()
    assert 'has no model.safetensors' in refusal(folder)
    (folder / 'config.json').unlink()
    assert 'the folder has no config.json' in refusal(folder)


def test_damaged_weights(folder):
    path = folder / 'model.safetensors'
    content = bytearray(path.read_bytes())
    content[-1] ^= 1
    path.write_bytes(content)
    assert 'is damaged or another version' in refusal(folder)
    content[-1] ^= 1
    path.write_bytes(content)
    init_model(folder, None, 'cpu')


def test_weights_that_do_not_fit(folder):
    state = load_file(folder / 'model.safetensors')
    state['backbone.body.0.bias'] = torch.zeros(3)
    save_file(state, folder / 'model.safetensors')
    digest = sha256_of(folder / 'model.safetensors')
    change(folder, files={'model.safetensors': {'sha256': digest}})
    assert 'does not fit the model: 1 of another shape' in refusal(folder)


@pytest.mark.parametrize(
    ('entries', 'expected'),
    [
        ({'format': None}, 'is not of a published model'),
        ({'format': 'star-model/9'}, 'in the format star-model/9'),
        ({'name': '../x'}, 'the name of a model must be letters'),
        ({'model': []}, '`model` must have a `type`'),
        ({'model': {'type': 'os.system'}}, "builds 'os.system'"),
        ({'model': {'type': ['Bicubic']}}, 'no registered part'),
        ({'model': {'type': 'mmengine.Config'}}, "builds 'mmengine.Config'"),
        ({'files': {}}, '`files` must name one file'),
        ({'files': {'a.bin': {}}}, 'pickles are never loaded'),
        ({'files': {'../a.safetensors': {}}}, 'in its folder'),
        ({'files': {'a.safetensors': {}}}, 'must be 64 hexadecimal'),
        ({'weights': {'star': {'file': 'a.safetensors'}}}, '`weights.star`'),
        ({'weights': {'vae': {'file': 'a.pt'}}}, '`weights.vae`'),
        ({'weights': {'vae': {'file': '/a.safetensors'}}}, '`weights.vae`'),
        (
            {'weights': {'vae': {'file': 'a.safetensors', 'url': 'u'}}},
            '`weights.vae`',
        ),
    ],
)
def test_configs_that_are_refused(folder, entries, expected):
    change(folder, **entries)
    assert expected in refusal(folder)


@pytest.mark.parametrize(
    'entry',
    [
        {'autoencoder': {'type': 'TemporalVAE', 'pretrained': '/etc/x.pt'}},
        {'backbone': {'type': 'LIEM', '_scope_': 'mmengine'}},
        {'controlnet': [{'init_cfg': {'type': 'Pretrained'}}]},
        {'weights': 'RealESRGAN_x4plus.pth'},
    ],
)
def test_a_config_names_no_files(entry):
    with pytest.raises(ValueError, match='must not be set in the model'):
        check_model({'type': 'STARModel', **entry}, 'config.json')


def test_a_config_that_is_no_json(folder):
    (folder / 'config.json').write_text('import os')
    assert 'config.json cannot be read' in refusal(folder)


def test_our_configs_can_be_published():
    paths = sorted(config_root().glob('[!_a]*/*.py'))  # ablations are many
    assert len(paths) > 20
    for path in paths:
        model = plain_model(load_config(path).model.to_dict())
        check_model(json.loads(json.dumps(model)), str(path))
