"""Embeddings of prompts, stored once, in the place of a text encoder."""

import cv2
import pytest
import torch
from safetensors.torch import load_file

from star.apis.inference.build import load_config
from star.apis.inference.held import Held
from star.apis.inference.load import Source, init_model, load_model
from star.apis.inference.model_files import base_files
from star.apis.train import plan
from star.apis.train.latent_cache import load_text_encoder
from star.apis.train.step_memory import StepCost
from star.apis.train.training import RunOptions, run_config
from star.datasets.fingerprints import hash_weights
from star.models.text_encoders.stored import (
    StoredPrompts,
    StoredTextEncoder,
    save_prompts,
)
from star.utils.origins import get_record
from tests.test_apis.test_pipeline.models import draw_clip, write_i2vgen
from tests.test_engine.configs import shrunk_config

ENTRY = """
weights['prompts'] = dict(
    file='small_prompts.safetensors', made_by='star prepare prompts')
model['restore_options'].update(
    prompt='ab', prompt_suffix='c', negative_prompt='d')
"""
STORED = ['ab, c', 'd', '']


@pytest.fixture(scope='module')
def place(tmp_path_factory):
    """A folder with a config and the files of all its parts."""
    folder = tmp_path_factory.mktemp('prompts')
    config = write_i2vgen(folder)
    with open(config, 'a') as file:
        file.write(ENTRY)
    return folder


@pytest.fixture
def config(place):
    yield place / 'small_i2vgen.py'
    (place / 'small_prompts.safetensors').unlink(missing_ok=True)


@pytest.fixture
def prepare(star, place, config):
    """Run the command; gives exit code, output and errors."""

    def call(*words):
        return star(
            *('prepare', 'prompts', config, *words, '--weights', place),
            *('--device', 'cpu'),
        )

    return call


@pytest.fixture
def stored(prepare, place):
    """The file of the config's own prompts, where the config finds it."""
    path = place / 'small_prompts.safetensors'
    done = prepare(path)
    assert done.code == 0, done.err
    assert done.out == f'{path}: 3 prompts, 0.0 MiB\n'
    return path


def test_restores_as_with_the_encoder(place, config, prepare):
    model = init_model(config, place, 'cpu')
    whole = model.restore(draw_clip())
    path = place / 'small_prompts.safetensors'
    assert prepare(path).code == 0
    light = init_model(config, place, 'cpu')
    assert light.text_encoder.prompts == STORED
    assert torch.equal(light.restore(draw_clip()), whole)
    # the record of where it came from is the same
    origins = [
        {f.slot: f.sha256 for f in get_record(m).files} for m in (model, light)
    ]
    assert origins[0] == origins[1]
    expected = model.text_encoder(STORED)
    assert torch.equal(load_file(path)['embeddings'], expected)
    assert torch.equal(light.text_encoder(['d ', '']), expected[1:])


def test_another_prompt_is_one_line(star, place, config, stored, tmp_path):
    image = draw_clip(1, 16, 16)[0].permute(1, 2, 0).numpy()
    assert cv2.imwrite(str(tmp_path / 'in.png'), image)
    words = ('restore', tmp_path / 'in.png', tmp_path / 'out.png')
    done = star(
        *(*words, '--config', config, '--weights', place, '--device', 'cpu'),
        *('--prompt', 'xy'),
    )
    assert done.code != 0
    (line,) = (each for each in done.err.splitlines() if 'xy' in each)
    assert "the prompt 'xy, c' is not in" in line
    assert "which has 'ab, c', 'd', ''" in line
    assert 'star prepare prompts --prompt' in line


def test_prompts_of_the_user(prepare, tmp_path):
    path = tmp_path / 'own.safetensors'
    done = prepare(
        path, '--prompt', 'a', '--prompt', ' a', '--prompt', 'b' * 9
    )
    assert done.code == 0
    assert 'note: 3 tokens too many in: bbbbbbbbb' in done.err
    encoder = StoredTextEncoder(str(path))
    assert encoder.prompts == ['a', 'b' * 9]
    assert encoder(['b' * 9, 'a']).shape == (2, 8, 16)
    assert encoder.count_overflow('a') == 0


def test_stands_for_its_encoder(config, place, stored):
    """A cache of latents takes one for the other."""
    encoder, files = load_text_encoder(
        load_config(config), place, device='cpu'
    )
    assert hash_weights(StoredTextEncoder(str(stored))) == hash_weights(
        encoder
    )
    assert files['text'] == place / 'text_encoder' / 'model.safetensors'


def test_an_encoder_of_a_config(place, config, stored, tmp_path):
    """Any config may name the class and the file itself."""
    own = tmp_path / 'own.py'
    own.write_text(
        f'_base_ = {str(config)!r}\n'
        "model = dict(text_encoder=dict(_delete_=True, type='StoredTextEncoder"
        f"', pretrained={str(stored)!r}))\n"
    )
    for path in (place / 'text_encoder').glob('*'):
        assert path.is_file()
    (place / 'text_encoder').rename(place / 'elsewhere')
    try:
        model = init_model(own, place, 'cpu')
    finally:
        (place / 'elsewhere').rename(place / 'text_encoder')
    assert model.text_encoder(['']).shape == (1, 8, 16)


def test_a_checkpoint_of_either(place, config, stored):
    """One that names the text encoder takes its stored prompts, no others."""
    settings = load_config(config)
    record = get_record(load_model(settings, Source(None, place)))
    held = Held(str(place / 'iter_1'), {}, record=record)
    assert base_files(settings, None, held, set())['prompts'] == stored
    other = StoredPrompts([''], 'x', {'text': ('model.safetensors', 'abc')})
    save_prompts(stored, other, torch.zeros(1, 8, 16))
    found = base_files(settings, None, held, set())
    assert 'prompts' not in found
    assert found['text'] == place / 'text_encoder' / 'model.safetensors'


def test_trains_with_stored_prompts(star, tmp_path):
    """The losses are those of an encoder with the same embeddings."""
    path = tmp_path / 'prompts.safetensors'
    stored = StoredPrompts(['a clip', ''], 'x')
    save_prompts(path, stored, torch.zeros(2, 1, 32))
    losses = []
    for name in ('plain', 'stored'):
        (tmp_path / name).mkdir()
        config = shrunk_config('tiny', tmp_path / name, 1)
        if name == 'stored':
            config.model.text_encoder = {
                'type': 'StoredTextEncoder',
                'pretrained': str(path),
            }
        config.dump(tmp_path / name / 'tiny.py')
        done = star('train', tmp_path / name / 'tiny.py')
        assert done.code == 0, done.err
        model = init_model(None, config.work_dir, 'cpu')
        losses.append(model.restore(draw_clip(2, 8, 8)))
    assert torch.equal(*losses)
    assert isinstance(model.text_encoder, StoredTextEncoder)
    save_prompts(path, StoredPrompts(['']), torch.zeros(1, 1, 32))
    config.work_dir = str(tmp_path / 'other')
    config.dump(tmp_path / 'tiny.py')
    done = star('train', tmp_path / 'tiny.py')
    assert done.code != 0
    assert "the prompt 'a clip' is not in" in done.err


def test_no_weights_for_no_text(star, tmp_path):
    """STAR on CogVideoX takes zeros for the empty prompt."""
    path = tmp_path / 'none.safetensors'
    done = star('prepare', 'prompts', 'cogvideox_onestep', path)
    assert done.code == 0, done.err
    encoder = StoredTextEncoder(str(path))
    assert encoder.any_weights and encoder.prompts == ['']
    assert torch.equal(encoder(['']), torch.zeros(1, 226, 4096))


def test_a_plan_names_what_it_reads(tmp_path, monkeypatch):
    path = tmp_path / 'none.safetensors'
    save_prompts(path, StoredPrompts(['']), torch.zeros(1, 77, 1024))
    monkeypatch.setattr(plan, 'step_cost', lambda *_: StepCost(10**10, 1.0))
    monkeypatch.setattr(plan, 'teacher_cost', lambda *_: None)
    changes = {'weights.prompts.file': str(path)}
    config = run_config('i2vgen_onestep', RunOptions(changes=changes))
    found = plan.plan_training(config)
    assert f'prompts: {path}' in found.weights
    assert not any(line.startswith('text:') for line in found.weights)
    assert 'text_encoder' not in {part.name for part in found.parts}
    assert config.model.text_encoder.type == 'OpenCLIPTextEncoder'


def test_wrong_use(prepare):
    done = prepare('out.pt')
    assert done.code == 2
    assert '`dst` must end in .safetensors, got out.pt' in done.err


def test_files_of_another_kind(place, tmp_path):
    with pytest.raises(ValueError, match=r'no file of stored prompts .*none'):
        StoredTextEncoder(str(tmp_path / 'none.safetensors'))
    other = place / 'text_encoder' / 'model.safetensors'
    with pytest.raises(ValueError, match=r'tensors is no file of stored'):
        StoredTextEncoder(str(other))


def test_a_config_without_an_encoder(star, tmp_path):
    done = star('prepare', 'prompts', 'realbasicvsr')
    assert done.code == 2
    assert 'has no text encoder that reads prompts' in done.err
    done = star('prepare', 'prompts', 'i2vgen')
    assert done.code == 2
    assert 'names no `prompts` in its `weights`' in done.err
