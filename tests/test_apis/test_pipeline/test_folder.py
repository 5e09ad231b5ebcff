"""Folders of pipelines that are damaged, or of something else."""

import json
import shutil

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.apis import STARVideoPipeline
from star.apis.pipeline.schedules import schedule_config, scheduler_of
from star.registry import MODELS


@pytest.fixture
def folder(cogvideox, tmp_path):
    return shutil.copytree(cogvideox.folder, tmp_path / 'a')


def change_index(folder, **changes):
    path = folder / 'model_index.json'
    path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))


def refusal(folder):
    with pytest.raises(ValueError) as caught:
        STARVideoPipeline.from_pretrained(folder)
    assert '\n' not in str(caught.value)
    return str(caught.value)


def test_other_folders(tmp_path, folder):
    assert 'there is no folder' in refusal(tmp_path / 'absent')
    assert 'no model_index.json' in refusal(tmp_path)
    change_index(folder, _class_name='CogVideoXPipeline')
    assert 'CogVideoXPipeline, not a STARVideoPipeline' in refusal(folder)


@pytest.mark.parametrize('name', ['transformer', 'scheduler'])
def test_missing_components(folder, name):
    shutil.rmtree(folder / name)
    assert f'has no {name}, a component' in refusal(folder)
    change_index(folder, **{name: [None, None]})
    assert name in refusal(folder)


def test_missing_files(folder):
    (folder / 'tokenizer' / 'spiece.model').unlink()
    assert 'missing file of the text encoder' in refusal(folder)
    (folder / 'vae' / 'diffusion_pytorch_model.safetensors').unlink()
    assert 'vae/diffusion_pytorch_model.safetensors' in refusal(folder)


def test_misfits(folder):
    path = folder / 'transformer' / 'diffusion_pytorch_model.safetensors'
    state = load_file(path)
    name = next(name for name in state if name.endswith('to_q.weight'))
    save_file({k: v for k, v in state.items() if k != name}, path)
    assert f'1 missing ({name})' in refusal(folder)
    save_file({**state, name: torch.zeros(3, 2)}, path)
    assert '(3, 2) not' in refusal(folder)


def test_runs_no_other_code(folder):
    entry = json.loads((folder / 'model_index.json').read_text())['vae']
    change_index(folder, vae=['os', 'system'])
    assert '`vae` is system of os' in refusal(folder)
    change_index(folder, vae=entry)
    (folder / 'vae' / 'diffusers.py').write_text('raise SystemExit')
    assert 'nothing of it is run' in refusal(folder)


def test_other_schedulers(folder):
    change_index(folder, scheduler=['diffusers', 'DDIMScheduler'])
    assert 'got DDIMScheduler' in refusal(folder)
    change_index(folder, scheduler=['diffusers', 'CogVideoXDDIMScheduler'])
    STARVideoPipeline.from_pretrained(folder)
    path = folder / 'scheduler' / 'scheduler_config.json'
    config = {**json.loads(path.read_text()), 'prediction_type': 'epsilon'}
    path.write_text(json.dumps(config))
    reason = "`prediction_type` of CogVideoXDDIMScheduler must be 'v_pred"
    assert reason in refusal(folder)


@pytest.mark.parametrize('shift', [1.0, 3.0])
def test_schedule_is_that_of_diffusers(shift):
    config = {'type': 'CogVideoXSchedule', 'shift': shift}
    scheduler = scheduler_of(config)
    ours = MODELS.build(schedule_config(scheduler))
    theirs = scheduler.alphas_cumprod.sqrt()
    torch.testing.assert_close(ours.alpha, theirs.float(), rtol=0, atol=1e-6)
    own = {'type': 'I2VGenSchedule', 'scale_max': 3.0}
    assert schedule_config(scheduler_of(own)) == own
