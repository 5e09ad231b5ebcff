import numpy as np
import pytest
import torch
from safetensors.torch import save_file

from star.models.backbones import CogVideoXDiT
from star.models.backbones.cogvideox.checkpoints import convert, open_weights
from star.models.backbones.i2vgen.checkpoints import load_star_weights
from star.models.controlnets import LatentConcat
from star.utils.tensor_files import held
from tests.test_models.cogvideox_files import (
    HIDDEN,
    LATENT,
    PREFIX,
    RANK,
    SIZES,
    base_network,
    official_state,
)

LAYER = PREFIX + 'transformer.layers.1.'
BLOCK = 'backbone.transformer.transformer_blocks.1.'


def wrap(state):
    return {name: held(tensor) for name, tensor in state.items()}


def read(found):
    return {name: lazy.read() for name, lazy in found.tensors.items()}


def equal(a, b, tolerance=0.0):
    torch.testing.assert_close(a, b, rtol=0, atol=tolerance)


def test_gives_every_tensor_of_the_network():
    found = convert(wrap(official_state()))
    own = CogVideoXDiT(**SIZES).state_dict()
    assert {k: v.shape for k, v in read(found).items()} == {
        f'backbone.{name}': tensor.shape for name, tensor in own.items()
    }
    assert {k: lazy.shape for k, lazy in found.tensors.items()} == {
        f'backbone.{name}': tuple(tensor.shape) for name, tensor in own.items()
    }


@pytest.mark.parametrize('alpha', [1, 6])
def test_lora_is_merged_into_thirds(alpha):
    state = official_state()
    found = convert(wrap(state), alpha)
    ours = read(found)
    qkv = LAYER + 'attention.query_key_value.'
    for i, name in enumerate('qkv'):
        rows = slice(i * HIDDEN, (i + 1) * HIDDEN)
        a, b = (state[f'{qkv}matrix_{k}.{i}'] for k in 'AB')
        expected = state[qkv + 'original.weight'][rows] + alpha / RANK * b @ a
        equal(ours[f'{BLOCK}attn1.to_{name}.weight'], expected, 1e-5)
        bias = state[qkv + 'original.bias'][rows]
        equal(ours[f'{BLOCK}attn1.to_{name}.bias'], bias)
    dense = LAYER + 'attention.dense.'
    a, b = state[dense + 'matrix_A.0'], state[dense + 'matrix_B.0']
    expected = state[dense + 'original.weight'] + alpha / RANK * b @ a
    equal(ours[f'{BLOCK}attn1.to_out.0.weight'], expected, 1e-5)
    assert len(found.ranks) == 8
    assert set(found.ranks.values()) == {RANK}


def test_modulation_is_split_by_layer():
    state = official_state()
    ours = read(convert(wrap(state)))
    name = PREFIX + 'mixins.adaln_layer.adaLN_modulations.1.1.'
    for kind in ('weight', 'bias'):
        twelve = state[name + kind].split(HIDDEN)
        first = torch.cat([*twelve[:3], *twelve[6:9]])
        second = torch.cat([*twelve[3:6], *twelve[9:]])
        equal(ours[f'{BLOCK}norm1.linear.{kind}'], first)
        equal(ours[f'{BLOCK}norm2.linear.{kind}'], second)


@pytest.mark.parametrize(
    'ours, official',
    [
        (BLOCK + 'local1.conv.weight', LAYER + 'spa_local.conv1.weight'),
        (BLOCK + 'local2.conv.weight', LAYER + 'temp_local.conv1.weight'),
        (BLOCK + 'norm1.norm.bias', LAYER + 'input_layernorm.bias'),
        (BLOCK + 'ff.net.2.bias', LAYER + 'mlp.dense_4h_to_h.bias'),
        (
            'backbone.transformer.patch_embed.proj.weight',
            PREFIX + 'mixins.patch_embed.proj_sr.weight',
        ),
        (
            'backbone.transformer.norm_out.norm.weight',
            PREFIX + 'mixins.final_layer.norm_final.weight',
        ),
        (
            'backbone.transformer.norm_final.weight',
            PREFIX + 'transformer.final_layernorm.weight',
        ),
        (
            'backbone.transformer.time_embedding.linear_2.weight',
            PREFIX + 'time_embed.2.weight',
        ),
    ],
)
def test_others_change_their_names_only(ours, official):
    state = official_state()
    equal(read(convert(wrap(state)))[ours], state[official])


def test_weights_that_were_never_updated_do_as_well():
    state = {
        name.replace('.original.', '.'): tensor
        for name, tensor in official_state().items()
        if '.matrix_' not in name
    }
    found = convert(wrap(state))
    dense = state[LAYER + 'attention.dense.weight']
    equal(read(found)[f'{BLOCK}attn1.to_out.0.weight'], dense)
    assert not found.ranks


def test_other_parts_are_left_out_and_counted():
    state = official_state()
    state['conditioner.embedders.0.weight'] = torch.zeros(3)
    state['first_stage_model.a'] = state['first_stage_model.b'] = torch.ones(1)
    state['denoiser.sigmas'] = torch.ones(4)
    with pytest.raises(ValueError, match=r'1 unknown \(denoiser.sig'):
        convert(wrap(state))
    found = convert(wrap(state), left_out=['denoiser.'])
    assert found.left_out == {
        'conditioner.': 1,
        'first_stage_model.': 2,
        PREFIX + 'mixins.pos_embed.freqs_': 2,
        PREFIX + 'transformer.position_embeddings.': 1,
        'denoiser.': 1,
    }


def without(name):
    state = official_state()
    del state[name]
    return state


def with_shape(name, *shape):
    return {**official_state(), name: torch.zeros(shape)}


QKV = LAYER + 'attention.query_key_value.'


@pytest.mark.parametrize(
    'state, message',
    [
        (without(LAYER + 'spa_local.conv1.weight'), '1 missing .*spa_local'),
        (without(QKV + 'matrix_B.2'), r'1 missing \(.*matrix_B.2'),
        (without(QKV + 'original.bias'), 'missing .*query_key_value.bias'),
        (without(PREFIX + 'time_embed.0.weight'), 'no time_embed.0.weight'),
        ({'a': torch.zeros(2)}, 'holds neither'),
        (with_shape(QKV + 'matrix_A.1', 3, 31), r'matrix_A.1.*\(3, 31\)'),
        (with_shape(QKV + 'matrix_B.1', 32, 4), r'matrix_B.1.*\(32, 4\)'),
        (with_shape(QKV + 'original.weight', 64, 32), r'\(64, 32\), .*\(96'),
        (with_shape(PREFIX + 'time_embed.0.weight', 4), 'must have 2 dim'),
        (
            {**official_state(), PREFIX + 'new.weight': torch.zeros(1)},
            r'1 unknown \(new.weight',
        ),
    ],
)
def test_wrong_names_and_shapes_are_refused(state, message):
    with pytest.raises(ValueError, match=message) as error:
        convert(wrap(state))
    assert len(str(error.value).splitlines()) == 1


@torch.no_grad()
def test_base_model_gives_its_output_at_first():
    base = base_network()
    state = read(convert(wrap(base.state_dict())))
    ours = CogVideoXDiT(**SIZES, liem=None).eval()
    ours.load_state_dict(
        {
            name.removeprefix('backbone.'): tensor
            for name, tensor in state.items()
            if '.local' not in name
        }
    )
    base.norm_out.norm.eps = 1e-6
    z, z_lq = torch.randn(2, 1, LATENT, 2, 4, 6)
    text, t = torch.randn(1, 5, 10), torch.tensor([321])
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    rope = get_3d_rotary_pos_embed(16, ((0, 0), (2, 3)), (2, 3), 2)
    expected = base(z.transpose(1, 2), text, t, image_rotary_emb=rope)[0]
    equal(ours(z, t, text, z_lq), expected.transpose(1, 2), 1e-5)


def test_base_model_gets_gates_as_new_ones():
    state = wrap(base_network().state_dict())
    ours, again = read(convert(state)), read(convert(state))
    gate = ours[BLOCK + 'local1.conv.weight']
    assert gate.shape == (1, 2, 7, 7)
    bound = 98**-0.5  # as of a new layer
    assert 0.5 * bound < gate.abs().max() <= bound
    equal(gate, again[BLOCK + 'local1.conv.weight'])


def test_base_model_that_sees_an_image_is_refused():
    state = base_network(latent=2 * LATENT).state_dict()
    with pytest.raises(ValueError, match=r'proj_out.weight.*\(16, 32\)'):
        convert(wrap(state))
    state['patch_embed.pos_embedding'] = torch.zeros(1)
    with pytest.raises(ValueError, match=r'1 unknown .*pos_embedding'):
        convert(wrap(state))


def trainer_file(path, state):
    """Save as the official trainer does, with what else it saves."""
    torch.save(
        {
            'module': state,
            'param_shapes': [{'a': torch.Size([2])}],
            'ds_version': '0.14.4',
            'iteration': 1,
            'np_rng_state': np.random.RandomState(0).get_state(),
            'torch_rng_state': torch.get_rng_state(),
        },
        path,
    )


def test_reads_what_the_trainer_saves(tmp_path):
    state = official_state()
    trainer_file(tmp_path / 'a.pt', state)
    save_file(state, tmp_path / 'a.safetensors')
    for name in ('a.pt', 'a.safetensors'):
        found = open_weights(tmp_path / name)
        assert found.keys() == state.keys()
        for key, lazy in found.items():
            assert lazy.shape == state[key].shape
            equal(lazy.read(), state[key])


@pytest.mark.parametrize('size', ['1GB', '4KB'])
def test_reads_a_folder_of_one_or_several_files(tmp_path, size):
    base = base_network()
    base.save_pretrained(tmp_path, max_shard_size=size)
    assert len(list(tmp_path.glob('*.index.json'))) == (size == '4KB')
    found = open_weights(tmp_path)
    assert found.keys() == base.state_dict().keys()
    for key, tensor in base.state_dict().items():
        equal(found[key].read(), tensor)


def test_folder_of_something_else_is_refused(tmp_path):
    with pytest.raises(ValueError, match='diffusion_pytorch_model'):
        open_weights(tmp_path)
    index = tmp_path / 'diffusion_pytorch_model.safetensors.index.json'
    index.write_text('[]')
    with pytest.raises(ValueError, match='not an index'):
        open_weights(tmp_path)


@pytest.mark.parametrize(
    'content, message',
    [
        ({'module': {}}, 'no state dict'),
        ({'module': {'a': 3}}, "entry 'a' is not a tensor"),
        ({'module': 3}, 'no state dict'),
    ],
)
def test_file_without_tensors_is_refused(tmp_path, content, message):
    torch.save(content, tmp_path / 'a.pt')
    with pytest.raises(ValueError, match=message):
        open_weights(tmp_path / 'a.pt')


@torch.no_grad()
def test_converted_weights_load_into_a_network_with_lora():
    state = read(convert(wrap(official_state())))
    lora = {'type': 'LoRA', 'rank': 2}
    with torch.device('meta'):
        network = CogVideoXDiT(**SIZES, lora=lora).eval()
    load_star_weights(network, LatentConcat(), state)
    plain = CogVideoXDiT(**SIZES).eval()
    load_star_weights(plain, LatentConcat(), state)
    z, z_lq = torch.randn(2, 1, LATENT, 2, 4, 6)
    inputs = z, torch.tensor([321]), torch.randn(1, 5, 10), z_lq
    equal(network(*inputs), plain(*inputs))
    own = {f'backbone.{k}': v for k, v in network.state_dict().items()}
    update = own.pop(BLOCK + 'attn1.to_q.lora.a')
    assert update.abs().max() > 0
    with pytest.raises(ValueError, match=r'1 missing .*to_q.lora.a'):
        load_star_weights(network, LatentConcat(), own)
