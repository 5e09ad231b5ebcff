"""LoRA of a pipeline, against diffusers and PEFT where they are."""

import json

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.apis import STARVideoPipeline, init_model
from star.apis.pipeline.lora import LoRALoader, write_adapter
from star.cli.main import main
from star.models.layers.lora import LoRALinear, merge_lora
from star.models.layers.peft_form import Update
from tests.test_apis.test_pipeline.models import draw_clip
from tests.test_models.test_backbones.test_cogvideox.test_dit import (
    plain_state,
    small_dit,
    small_inputs,
)

ATTENTION = 'transformer_blocks.{}.attn1.{}'
LAYERS = [ATTENTION.format(i, n) for i in (0, 1) for n in ('to_q', 'to_out.0')]


class Loader(LoRALoader):
    """A pipeline of a transformer alone."""

    def __init__(self, network):
        self.transformer = torch.nn.ModuleDict({'backbone': network})
        self.transformer.backbone = network


def draw_updates(network, rank=4, alpha=1.0):
    generator = torch.Generator().manual_seed(5)
    found = {}
    for name in LAYERS:
        layer = network.transformer.get_submodule(name)
        a = torch.randn(rank, layer.in_features, generator=generator)
        b = torch.randn(layer.out_features, rank, generator=generator)
        found[name] = Update(a, b, alpha)
    return found


@torch.no_grad()
def test_our_own_as_diffusers_and_peft_read_it(tmp_path):
    """Training's LoRA, written by the command, in four ways."""
    pytest.importorskip('peft')
    from diffusers import CogVideoXTransformer3DModel
    from diffusers.models.embeddings import get_3d_rotary_pos_embed

    trained = small_dit(liem=None, lora={'type': 'LoRA', 'rank': 4})
    state = {f'backbone.{k}': v for k, v in trained.state_dict().items()}
    save_file(state, tmp_path / 'trained.safetensors')
    target = tmp_path / 'pytorch_lora_weights.safetensors'
    words = ['convert', 'lora', tmp_path / 'trained.safetensors', target]
    assert main([*map(str, words)]) == 0
    z_t, t, text, z_lq = small_inputs()
    expected = trained(z_t, t, text, z_lq)

    plain = small_dit(liem=None)
    base = {
        name: tensor
        for name, tensor in trained.state_dict().items()
        if '.lora.' not in name
    }
    plain.load_state_dict(base)
    assert (plain(z_t, t, text, z_lq) - expected).abs().max() > 0.1
    ours = Loader(plain)
    ours.load_lora_weights(tmp_path, adapter_name='a')
    assert plain(z_t, t, text, z_lq).equal(expected)
    ours.save_lora_weights(tmp_path / 'again')
    again = load_file(tmp_path / 'again' / target.name)
    first = load_file(target)
    assert again.keys() == first.keys()
    assert all(again[name].equal(first[name]) for name in first)

    theirs = CogVideoXTransformer3DModel(
        num_attention_heads=2,
        attention_head_dim=16,
        in_channels=8,
        out_channels=4,
        time_embed_dim=12,
        text_embed_dim=10,
        num_layers=2,
        max_text_seq_length=5,
        use_rotary_positional_embeddings=True,
    ).eval()
    ours.unload_lora_weights()
    theirs.load_state_dict(plain_state(plain))
    theirs.norm_out.norm.eps = 1e-6
    theirs.load_lora_adapter(str(tmp_path), weight_name=target.name)
    rope = get_3d_rotary_pos_embed(16, ((0, 0), (3, 4)), (3, 4), 3)
    found = theirs(
        torch.cat([z_t, z_lq], 1).transpose(1, 2),
        text,
        t,
        image_rotary_emb=rope,
        return_dict=False,
    )[0].transpose(1, 2)
    torch.testing.assert_close(found, expected, rtol=0, atol=2e-5)
    theirs.save_lora_adapter(
        tmp_path / 'theirs', 'default_0', weight_name=target.name
    )
    ours.load_lora_weights(tmp_path / 'theirs')
    assert plain(z_t, t, text, z_lq).equal(expected)
    merge_lora(trained)
    assert not any(isinstance(m, LoRALinear) for m in trained.modules())


def test_reads_a_folder_of_peft(tmp_path):
    """`adapter_config.json` states the strength."""
    network = small_dit(liem=None)
    updates = draw_updates(network, alpha=4.0)
    write_adapter(updates, tmp_path / 'adapter_model.safetensors')
    config = {'r': 4, 'lora_alpha': 2, 'peft_type': 'LORA'}
    (tmp_path / 'adapter_config.json').write_text(json.dumps(config))
    loader = Loader(network)
    loader.load_lora_weights(tmp_path)
    layer = network.transformer.get_submodule(LAYERS[0])
    assert layer.lora.updates['default_0'].scale == 0.5
    config['use_dora'] = True
    (tmp_path / 'adapter_config.json').write_text(json.dumps(config))
    with pytest.raises(ValueError, match='`use_dora` of its config is no'):
        loader.load_lora_weights(tmp_path)


def test_half_of_it_is_not_loaded(tmp_path):
    network = small_dit(liem=None)
    loader, path = Loader(network), tmp_path / 'a.safetensors'
    write_adapter(draw_updates(network), path)
    state = load_file(path)
    state['transformer.other.lora_A.weight'] = torch.zeros(4, 4)
    save_file(state, path)
    keys = list(network.state_dict())
    with pytest.raises(ValueError, match='other: there is no such layer'):
        loader.load_lora_weights(path)
    assert list(network.state_dict()) == keys
    with pytest.raises(ValueError, match='no file or folder'):
        loader.load_lora_weights(tmp_path / 'absent')
    with pytest.raises(ValueError, match=r'has no b\.safetensors'):
        loader.load_lora_weights(tmp_path, weight_name='b.safetensors')
    path.write_bytes(b'text')
    with pytest.raises(ValueError, match='cannot be read'):
        loader.load_lora_weights(path)
    with pytest.raises(ValueError, match='no LoRA weights'):
        loader.load_lora_weights({})


def test_pipeline_with_adapters(cogvideox, tmp_path):
    pipe = STARVideoPipeline.from_pretrained(cogvideox.folder)
    arguments = dict(
        video=draw_clip(), num_inference_steps=1, output_type='uint8'
    )
    plain = pipe(**arguments).frames
    updates = draw_updates(pipe.transformer.backbone)
    write_adapter(updates, tmp_path / 'a.safetensors')
    pipe.load_lora_weights(tmp_path, adapter_name='style')
    assert pipe.get_active_adapters() == ['style']
    assert not pipe(**arguments).frames.equal(plain)
    with pytest.raises(ValueError, match='`unload_lora_weights`'):
        pipe.save_pretrained(tmp_path / 'b')
    pipe.set_adapters('style', 0.0)
    assert pipe(**arguments).frames.equal(plain)
    with pytest.raises(ValueError, match='as many as names, 1, got 2'):
        pipe.set_adapters(['style'], [1.0, 2.0])
    with pytest.raises(ValueError, match='one of the adapters'):
        pipe.save_lora_weights(tmp_path, 'other')
    pipe.unload_lora_weights()
    assert pipe(**arguments).frames.equal(plain)


def test_other_denoisers_have_none(tmp_path):
    pipe = STARVideoPipeline.from_model(init_model(device='cpu'))
    with pytest.raises(ValueError, match='this pipeline has no transformer'):
        pipe.load_lora_weights(tmp_path)
    source, target = tmp_path / 'a.safetensors', tmp_path / 'b.safetensors'
    save_file({'backbone.x': torch.zeros(1)}, source)
    assert main(['convert', 'lora', str(source), str(target)]) == 2
    assert not target.exists()
