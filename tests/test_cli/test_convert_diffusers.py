"""`star convert diffusers`, to a folder and back."""

import json
import subprocess
import sys

import pytest
import torch
from safetensors.torch import load_file

from star.apis import init_model
from star.apis.inference.build import load_config
from star.registry import MODELS
from star.utils.tensor_files import read_state
from tests.paths import ROOT
from tests.test_apis.test_pipeline.models import draw_clip, write_i2vgen
from tests.test_models.cogvideox_files import SIZES, official_state

COMMAND = ('convert', 'diffusers')
OFFICIAL = """
_base_ = 'star::_base_/models/tiny_cogvideox.py'
model = dict(
    text_encoder=dict(dim={text_dim}),
    backbone=dict({sizes}))
weights = dict(
    star=dict(repo='none/none', file='star.pt'),
    vae=dict(repo='none/none', file='vae/a.safetensors'))
"""


@pytest.fixture(scope='module')
def config(tmp_path_factory):
    return write_i2vgen(tmp_path_factory.mktemp('files'))


@pytest.fixture(scope='module')
def files(config):
    return config.parent


def check_equal(found, state):
    assert found.keys() == state.keys()
    for name, tensor in state.items():
        assert found[name].dtype == tensor.dtype, name
        assert found[name].equal(tensor), name


def test_round_trip(star, config, files, tmp_path):
    folder, back = tmp_path / 'a', tmp_path / 'b.safetensors'
    done = star(*COMMAND, files, folder, '--config', config)
    assert done.code == 0 and done.out == f'{folder}: 815 tensors\n'
    error = star(*COMMAND, files, folder, '--config', config).error
    assert error == f'{folder}: exists (use --overwrite)'
    assert star(*COMMAND, folder, back, '--back', '--official').code == 0
    check_equal(load_file(back), read_state(files / 'star.pt'))
    vae = folder / 'vae' / 'diffusion_pytorch_model.safetensors'
    check_equal(load_file(vae), load_file(files / 'vae/vae.safetensors'))
    assert load_file(vae)['decoder.conv_in.weight'].dtype == torch.float16
    text = load_file(folder / 'text_encoder' / 'model.safetensors')
    used = load_file(files / 'text_encoder' / 'model.safetensors')
    for name, tensor in text.items():
        assert tensor.equal(used[f'text_model.{name}'])
    assert len(list(tmp_path.iterdir())) == 2


def test_official_cogvideox(star, tmp_path):
    sizes = ', '.join(f'{k}={v!r}' for k, v in SIZES.items())
    text = OFFICIAL.format(text_dim=SIZES['text_dim'], sizes=sizes)
    config = tmp_path / 'small.py'
    config.write_text(text)
    state = official_state()
    torch.save({'module': state}, tmp_path / 'star.pt')
    model = MODELS.build(load_config(config).model)
    (tmp_path / 'vae').mkdir()
    vae = tmp_path / 'vae' / 'a.safetensors'
    model.autoencoder.vae.save_pretrained(tmp_path / 'vae')
    (tmp_path / 'vae' / 'diffusion_pytorch_model.safetensors').rename(vae)
    folder, back = tmp_path / 'a', tmp_path / 'b.safetensors'
    assert star(*COMMAND, tmp_path, folder, '--config', config).code == 0
    assert star(*COMMAND, folder, back, '--back').code == 0
    plain = tmp_path / 'plain.safetensors'
    words = 'convert', 'star-cogvideox', tmp_path / 'star.pt', plain
    assert star(*words).code == 0
    check_equal(load_file(back), load_file(plain))
    index = json.loads((folder / 'model_index.json').read_text())
    assert index['scheduler'] == ['diffusers', 'CogVideoXDPMScheduler']
    error = star(*COMMAND, folder, back, '--back', '--official').error
    assert 'exists' in error
    words = *COMMAND, folder, back, '--back', '--official', '--overwrite'
    assert star(*words).error == 'there are no official names for CogVideoXDiT'


def test_the_model_of_the_package(star, tmp_path):
    folder, back = tmp_path / 'a', tmp_path / 'b.safetensors'
    asset = ROOT / 'star' / 'assets' / 'star_tiny_compact.safetensors'
    assert star(*COMMAND, asset, folder).code == 0
    assert star(*COMMAND, folder, back, '--back').code == 0
    check_equal(load_file(back), load_file(asset))
    clip = draw_clip()
    ours, theirs = (init_model(None, w, 'cpu') for w in (folder, None))
    assert ours.restore(clip).equal(theirs.restore(clip))
    error = star(*COMMAND, folder, tmp_path / 'c').error
    assert 'is a pipeline already' in error


def test_refuses_in_one_line(star, tmp_path, config, files):
    target = tmp_path / 'a'
    words = 'absent.pt', target, '--config', config
    assert star(*COMMAND, *words).error == 'absent.pt: no such file or folder'
    words = 'absent', target, '--config', config
    assert "'absent' does not exist" in star(*COMMAND, *words).error
    words = files, target, '--config', 'bicubic'
    assert 'Bicubic has no autoencoder' in star(*COMMAND, *words).error
    words = files / 'star.pt', target, '--config', 'tiny'
    assert 'does not fit' in star(*COMMAND, *words).error
    words = files, tmp_path / 'a.safetensors', '--back'
    assert 'is no folder of a pipeline' in star(*COMMAND, *words).error
    words = files, target, '--config', config, '--official'
    assert star(*COMMAND, *words).error == '--official needs --back'
    assert not list(tmp_path.iterdir())


@pytest.mark.slow
def test_random_numbers_and_what_has_no_files(star, config, tmp_path):
    words = 'random', tmp_path / 'a', '--config', 'tiny'
    assert star(*COMMAND, *words).code == 0
    words = config.parent / 'star.pt', tmp_path / 'b', '--config', config
    assert 'weights are missing' in star(*COMMAND, *words).err
    assert [path.name for path in tmp_path.iterdir()] == ['a']


@pytest.mark.slow  # a process that imports everything
def test_loads_in_a_fresh_process_without_the_files(star, tmp_path):
    config = write_i2vgen(tmp_path)
    folder = tmp_path / 'pipeline'
    assert star(*COMMAND, tmp_path, folder, '--config', config).code == 0
    model = init_model(config, tmp_path, 'cpu')
    expected = model.restore(draw_clip())
    torch.save(expected, tmp_path / 'expected.pt')
    for path in (config, tmp_path / 'star.pt'):
        path.unlink()
    code = (
        'import sys, torch\n'
        'from star.apis import STARVideoPipeline\n'
        'from tests.test_apis.test_pipeline.models import draw_clip\n'
        f'pipe = STARVideoPipeline.from_pretrained({str(folder)!r})\n'
        "found = pipe(draw_clip(), output_type='uint8').frames[0]\n"
        "sys.exit(not found.equal(torch.load('expected.pt')))"
    )
    run = [sys.executable, '-c', code]
    done = subprocess.run(
        run,
        cwd=tmp_path,
        env={'PYTHONPATH': str(ROOT), 'OMP_NUM_THREADS': '1'},
    )
    assert done.returncode == 0
