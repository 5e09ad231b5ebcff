"""A release of Upscale-A-Video: loaded name by name, converted, refused."""

import json
import os
import shutil
import string
from dataclasses import replace
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from star.apis.inference.baselines import load_files
from star.apis.inference.build import fill_random
from star.models.autoencoders.uav_vae import UAVVAE
from star.models.editors import UpscaleAVideo
from star.models.editors.upscale_a_video.files import (
    read_scheduler,
    read_texts,
)
from star.models.editors.weight_files import FILES
from star.utils.tensor_files import held, write_safetensors

VOCAB = ['!', *string.ascii_lowercase]
VOCAB += [f'{letter}</w>' for letter in string.ascii_lowercase]
VOCAB += ['er', '<|startoftext|>', '<|endoftext|>']
UNET = dict(widths=(32, 32, 32, 32), heads=1, context_dim=16, layers=1)
VAE = dict(widths=(32, 32, 32), layers=1)
TEXT = dict(width=16, layers=2, heads=2, context_length=9)
OLD = {'to_q': 'query', 'to_k': 'key', 'to_v': 'value'}
OLD['to_out.0'] = 'proj_attn'
SCHEDULER = {
    'beta_schedule': 'scaled_linear',
    'clip_sample': False,
    'set_alpha_to_one': False,
    'steps_offset': 1,
    'prediction_type': 'v_prediction',
    'skip_prk_steps': True,
}


def small(device: str = 'meta', **changes) -> UpscaleAVideo:
    options = dict(steps=2, guidance_scale=1)
    with torch.device(device):
        return UpscaleAVideo(
            unet=dict(type='UAVUNet', **UNET),
            vae=dict(type='UAVVAE', **{**VAE, **changes.pop('vae', {})}),
            text_encoder=dict(
                type='OpenCLIPTextEncoder', vocab_size=len(VOCAB), **TEXT
            ),
            restore_options=options,
            **changes,
        )


def filled(network: nn.Module) -> dict[str, Tensor]:
    network = network.to_empty(device='cpu')
    fill_random(network)
    for buffer in network.buffers():
        buffer.zero_()
    return network.state_dict()


def old_names(state: dict[str, Tensor]) -> dict[str, Tensor]:
    found = {}
    for name, tensor in state.items():
        for new, old in OLD.items():
            if '.attentions.' in name:
                name = name.replace(f'.{new}.', f'.{old}.')
        found[name] = tensor
    return found


def tower(model: UpscaleAVideo) -> dict[str, Tensor]:
    """Name the text tower's tensors as an older transformers does."""
    state = filled(model.text_encoder)
    found = {
        f'text_model.{name.removeprefix("tower.")}': tensor
        for name, tensor in state.items()
    }
    found['text_model.embeddings.position_ids'] = torch.arange(9)[None]
    return found


@pytest.fixture(scope='module')
def published(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Write a release of small networks, each file as published."""
    root = tmp_path_factory.mktemp('upscale_a_video')
    model = small(propagation_steps=(1,))
    with torch.device('meta'):
        vaes = [UAVVAE(video, **VAE, encoder=True) for video in (False, True)]
    files = {
        'unet/unet_video.bin': filled(model.unet),
        'vae/vae_3d.bin': old_names(filled(vaes[0])),
        'vae/vae_video.bin': old_names(filled(vaes[1])),
        'text_encoder/pytorch_model.bin': tower(model),
    }
    for name, state in files.items():
        (root / name).parent.mkdir(exist_ok=True)
        torch.save(state, root / name)
    texts = {
        'tokenizer/vocab.json': {name: i for i, name in enumerate(VOCAB)},
        'tokenizer/special_tokens_map.json': {'pad_token': {'content': 'a'}},
        'tokenizer/tokenizer_config.json': {'pad_token': '<|endoftext|>'},
        'scheduler/scheduler_config.json': SCHEDULER,
        'low_res_scheduler/scheduler_config.json': {
            'beta_schedule': 'scaled_linear',
            'beta_end': 0.03,
        },
    }
    for name, content in texts.items():
        (root / name).parent.mkdir(exist_ok=True)
        (root / name).write_text(json.dumps(content), 'utf-8')
    (root / 'tokenizer/merges.txt').write_text('#version: 0.2\ne r\n', 'utf-8')
    return root


@pytest.fixture
def release(published: Path, tmp_path: Path) -> Path:
    """Copy the release, so that files can be removed; large ones are links."""

    def copy(src: str, dst: str) -> None:
        large = Path(src).suffix == '.bin'
        (os.link if large else shutil.copyfile)(src, dst)

    return shutil.copytree(published, tmp_path / 'release', copy_function=copy)


@pytest.fixture(scope='module')
def loaded(published: Path) -> UpscaleAVideo:
    model = small('cpu')
    load_files(model, published)
    return model.eval()


def check_tensors(model: UpscaleAVideo, published: Path, vae: str) -> None:
    """Compare what was loaded with the files."""
    wanted = {
        'unet': torch.load(published / 'unet/unet_video.bin'),
        'vae': torch.load(published / f'vae/{vae}.bin'),
    }
    for part, state in wanted.items():
        own = model.get_submodule(part).state_dict()
        own = old_names(own) if part == 'vae' else own
        assert all(torch.equal(own[name], state[name]) for name in own), part
    left_out = wanted['vae'].keys() - own.keys()
    assert {name.partition('.')[0] for name in left_out} == {
        'encoder',
        'quant_conv',
    }
    table = wanted['unet']['temporal_rotary_emb.freqs']
    assert torch.equal(model.unet.temporal_rotary_emb.freqs, table)


def test_loads_a_release(loaded: UpscaleAVideo, published: Path):
    check_tensors(loaded, published, 'vae_3d')
    state = torch.load(published / 'text_encoder/pytorch_model.bin')
    own = loaded.text_encoder.tower.state_dict()
    assert len(own) == len(state) - 1  # no positions
    for name, tensor in own.items():
        assert torch.equal(tensor, state[f'text_model.{name}'])
    assert loaded.scheduler['prediction_type'] == 'v_prediction'
    assert loaded.scheduler['beta_end'] == 0.02
    assert loaded.lq_scheduler['beta_end'] == 0.03
    ids = loaded.text_encoder.tokenize(['ser'])[0].tolist()
    names = [VOCAB[i] for i in ids]
    assert names[:1] + names[-1:] == ['<|startoftext|>', 'a']
    assert names.count('<|endoftext|>') == 1


@pytest.mark.parametrize('changes', [{}, {'propagation_steps': (1,)}])
def test_names_the_files_that_it_needs(changes: dict):
    video = small(vae={'video': True}, **changes)
    names = ['unet_video.bin', 'vae_video.bin']
    names += ['upscale_a_video_text_encoder.bin']
    names += ['raft-things.pth'] if changes else []
    assert list(video.weight_files) == names
    assert all(FILES[name].source for name in names)


def test_loads_the_video_vae_and_flows(release: Path):
    model = small(vae={'video': True}, propagation_steps=(1,))
    message = r'raft-things.pth is not in .*propagator'
    with pytest.raises(ValueError, match=message):
        load_files(model, release)
    (release / 'propagator').mkdir()
    state = {
        f'module.{name.removeprefix("raft.")}': tensor
        for name, tensor in filled(model.raft).items()
    }
    torch.save(state, release / 'propagator/raft-things.pth')
    model = small(vae={'video': True}, propagation_steps=(1,))
    load_files(model, release)
    check_tensors(model, release, 'vae_video')
    for name, tensor in model.raft.raft.state_dict().items():
        assert torch.equal(tensor, state[f'module.{name}'])


def test_files_side_by_side(release: Path, tmp_path: Path):
    """The networks may lie beside the folders of the texts."""
    for path in [*release.glob('unet/*'), *release.glob('vae/*')]:
        path.rename(release / path.name)
    model = small()
    load_files(model, release / 'unet_video.bin', release)
    assert model.loaded and model.lq_scheduler['beta_end'] == 0.03


@torch.inference_mode()
def test_a_converted_file_is_the_release(
    loaded: UpscaleAVideo, tmp_path: Path
):
    path = tmp_path / 'uav.safetensors'
    tensors = {name: held(x) for name, x in loaded.state_dict().items()}
    write_safetensors(path, tensors, torch.float32, loaded.make_notes())
    again = small('cpu').eval()
    load_files(again, path)
    assert again.scheduler == loaded.scheduler
    assert again.lq_scheduler == loaded.lq_scheduler
    assert again.make_notes() == loaded.make_notes()
    clip = torch.randint(0, 256, (3, 3, 6, 8), dtype=torch.uint8)
    options = replace(loaded.restore_options, prompt='her', prompt_suffix='')
    expected = loaded.restore(clip, options)
    assert expected.float().std() > 10
    assert torch.equal(again.restore(clip, options), expected)
    other = replace(options, prompt='sir')
    assert not torch.equal(again.restore(clip, other), expected)


@pytest.mark.parametrize(
    ('name', 'message'),
    [
        ('unet/unet_video.bin', 'unet_video.bin is not in .*get it from http'),
        ('vae/vae_3d.bin', 'vae_3d.bin is not in .*get it from http'),
        (
            'text_encoder/pytorch_model.bin',
            r'text_encoder.bin is not in .*http.*\(text_encoder, keep the fol',
        ),
        ('tokenizer/merges.txt', 'tokenizer/merges.txt not found in .*http'),
        (
            'scheduler/scheduler_config.json',
            'scheduler/scheduler_config.json not found in .*http',
        ),
    ],
)
def test_a_missing_file_is_named(release: Path, name: str, message: str):
    (release / name).unlink()
    with pytest.raises(ValueError, match=message):
        load_files(small(), release)


def rewrite(path: Path, drop: str, add: str) -> None:
    state = torch.load(path)
    state[add] = state.pop(drop)
    path.unlink()  # a link
    torch.save(state, path)


@pytest.mark.parametrize(
    ('file', 'drop'),
    [
        ('unet/unet_video.bin', 'mid_temp_block.shift_conv.weight'),
        ('unet/unet_video.bin', 'temporal_rotary_emb.freqs'),
        ('vae/vae_3d.bin', 'decoder.conv_in.bias'),
        ('vae/vae_3d.bin', 'encoder.conv_in.bias'),
        (
            'text_encoder/pytorch_model.bin',
            'text_model.final_layer_norm.weight',
        ),
    ],
)
def test_refuses_files_with_other_names(release: Path, file: str, drop: str):
    rewrite(release / file, drop, f'{drop}.x')
    name = drop.removeprefix('text_model.')
    message = rf'{Path(file).name} does not fit .*1 missing \(\S*{name}'
    with pytest.raises(ValueError, match=message):
        load_files(small(), release)


def test_refuses_the_other_autoencoder(release: Path):
    (release / 'vae/vae_video.bin').replace(release / 'vae/vae_3d.bin')
    with pytest.raises(ValueError, match=r'vae_3d.bin does not fit UAVVAE'):
        load_files(small(), release)
    with pytest.raises(ValueError, match='must name 3 files of Upscale-A-'):
        small().load_weights(release / 'unet/unet_video.bin')


@pytest.mark.parametrize(
    ('content', 'message'),
    [
        ('{', 'not JSON'),
        ('[]', 'not an object'),
        ('{"trained_betas": [0.1]}', 'trained_betas'),
        ('{"beta_end": "x"}', '`beta_end` must be a number'),
        ('{"steps_offset": 0.5}', '`steps_offset` must be a number'),
        ('{"steps_offset": -1}', '`steps_offset` must be a number'),
    ],
)
def test_refuses_schedulers(content: str, message: str):
    with pytest.raises(ValueError, match=message):
        read_scheduler(content)


def test_refuses_schedulers_of_another_kind(release: Path):
    path = release / 'scheduler/scheduler_config.json'
    path.write_text('{}', 'utf-8')  # all of diffusers' own
    with pytest.raises(ValueError, match=r'clip_sample|prediction_type'):
        load_files(small(), release)


@pytest.mark.parametrize('content', ['', '[]', '{"pad_token": 1}', '{}'])
def test_padding_is_optional(release: Path, content: str):
    folder = release / 'tokenizer'
    (folder / 'special_tokens_map.json').write_text(content, 'utf-8')
    (folder / 'tokenizer_config.json').unlink()
    model = small()
    texts = read_texts(release / 'unet/unet_video.bin', model.text_encoder)
    assert 'star.pad_token' not in texts
    (folder / 'special_tokens_map.json').write_text(
        '{"pad_token": "zzz"}', 'utf-8'
    )
    with pytest.raises(ValueError, match="does not have 'zzz', the padding"):
        load_files(model, release)
