"""The folder of a release of DOVE: shards, autoencoder and prompt."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import save_file

from star.apis.inference.baselines import load_files
from star.apis.inference.build import build_model, load_config
from star.models.editors import DOVE
from star.models.editors.dove.files import WEIGHTS
from star.models.editors.weight_files import FILES

STEM = 'diffusion_pytorch_model'


def unfilled() -> DOVE:
    settings = load_config('tiny_dove')
    settings.model.weights = list(WEIGHTS)
    model: Any = build_model(settings).eval()
    return model


@pytest.fixture(scope='module')
def release(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a small release: the transformer in two shards."""
    root = tmp_path_factory.mktemp('pretrained_models')
    model, pipeline = unfilled(), root / 'DOVE'
    for folder in ('transformer', 'vae'):
        (pipeline / folder).mkdir(parents=True)
    state = random_like(model.backbone.transformer)
    names = sorted(state)
    table = {}
    for i, part in enumerate((names[::2], names[1::2]), 1):
        file = f'{STEM}-0000{i}-of-00002.safetensors'
        table |= dict.fromkeys(part, file)
        shard = {name: state[name] for name in part}
        save_file(shard, pipeline / 'transformer' / file)
    index = pipeline / 'transformer' / f'{STEM}.safetensors.index.json'
    index.write_text(json.dumps({'metadata': {}, 'weight_map': table}))
    vae = random_like(model.autoencoder.vae)
    save_file(vae, pipeline / 'vae' / f'{STEM}.safetensors')
    (root / 'prompt_embeddings').mkdir()
    name = FILES['dove_prompt.safetensors'].names[0]
    prompt = random_like(model.backbone.prompt)
    half = {k: v.bfloat16() for k, v in prompt.items()}
    save_file(half, root / 'prompt_embeddings' / name)
    return root


def random_like(network: torch.nn.Module) -> dict[str, torch.Tensor]:
    return {k: torch.randn(v.shape) for k, v in network.state_dict().items()}


@pytest.mark.parametrize(
    'place', ['', 'DOVE', f'DOVE/transformer/{STEM}.safetensors.index.json']
)
def test_a_release_is_found_and_loaded(release: Path, place: str):
    """By the folder above, the pipeline's, or the index."""
    model = unfilled()
    paths = load_files(model, release / place)
    assert model.loaded
    assert [p.resolve().parent.name for p in paths] == [
        'transformer',
        'vae',
        'prompt_embeddings',
    ]
    shards = (release / 'DOVE' / 'transformer').glob('*.safetensors')
    from safetensors.torch import load_file

    own = model.backbone.transformer.state_dict()
    given = {k: v for path in shards for k, v in load_file(path).items()}
    assert own.keys() == given.keys()
    assert all(torch.equal(own[k], v) for k, v in given.items())
    model.place(torch.device('cpu'), torch.float32)
    clip = torch.zeros(1, 3, 2, 2, dtype=torch.uint8)
    assert model.restore(clip).shape == (1, 3, 8, 8)


def broken(release: Path, tmp_path: Path) -> Path:
    return Path(shutil.copytree(release, tmp_path / 'copy'))


def test_missing_files_are_named(release: Path, tmp_path: Path):
    root = broken(release, tmp_path)
    shard = root / 'DOVE' / 'transformer' / f'{STEM}-00002-of-00002'
    shard.with_suffix('.safetensors').unlink()
    with pytest.raises(ValueError, match=r'-00002-of-00002.*cannot be read'):
        load_files(unfilled(), root)
    shutil.rmtree(root / 'prompt_embeddings')
    with pytest.raises(ValueError, match=r'dove_prompt.*get it from .*DOVE'):
        load_files(unfilled(), root)


def test_misfits_are_named(release: Path, tmp_path: Path):
    root = broken(release, tmp_path)
    vae = root / 'DOVE' / 'vae' / f'{STEM}.safetensors'
    save_file({'encoder.conv_in.conv.bias': torch.zeros(3)}, vae)
    with pytest.raises(ValueError, match='missing') as caught:
        load_files(unfilled(), root)
    assert str(vae) in str(caught.value) and '\n' not in str(caught.value)
    vae.write_text('no tensors')
    with pytest.raises(ValueError, match='cannot be read'):
        load_files(unfilled(), root)


def test_three_files_are_needed():
    with pytest.raises(ValueError, match='three files of DOVE'):
        unfilled().load_weights('one.pt', 'two.pt')


def test_the_weights_are_not_apache():
    for name in WEIGHTS[:2]:
        assert 'not Apache' in FILES[name].licence
