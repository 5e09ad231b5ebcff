"""Small models of both families, with files of all their parts."""

import json
from pathlib import Path

import torch
from safetensors.torch import save_file

from star.models.backbones.i2vgen.checkpoints import (
    network_state,
    to_official,
)
from star.models.text_encoders.open_clip import OpenCLIPTextEncoder
from star.registry import MODELS
from tests.test_models.networks import randomize

WORDS = [chr(code) for code in range(33, 127)]

I2VGEN = """
_base_ = 'star::_base_/models/star_i2vgen.py'
sizes = dict(
    dim=32, dim_mult=(1,), num_res_blocks=1, head_dim=16, num_heads=2,
    context_dim=16, attn_levels=1)
model = dict(
    autoencoder=dict(
        block_out_channels=(32, 32), layers_per_block=1, norm_groups=8),
    text_encoder=dict(
        width=16, layers=3, heads=2, context_length=8, vocab_size={vocab}),
    backbone=dict(sizes=sizes, checkpointing=False),
    controlnet=dict(sizes=sizes, checkpointing=False),
    restore_options=dict(
        mode='normal', steps=2, guidance_scale=2, window=3, overlap=1,
        scale=2))
del sizes
weights = dict(
    star=dict(repo='none/none', file='star.pt'),
    vae=dict(repo='none/none', file='vae/vae.safetensors'),
    text=dict(
        repo='none/none',
        file='text_encoder/model.safetensors',
        beside=['vocab.json', 'merges.txt']))
"""
COGVIDEOX = """
_base_ = 'star::_base_/models/tiny_cogvideox.py'
model = dict(
    text_encoder=dict(
        _delete_=True, type='T5TextEncoder', width=32, layers=1, heads=1,
        ff_width=16, vocab_size=64, context_length=6),
    restore_options=dict(window=5, overlap=1, tile=0, scale=2))
weights = dict(
    star=dict(repo='none/none', file='star.safetensors'),
    vae=dict(repo='none/none', file='vae/vae.safetensors'),
    text=dict(repo='none/none', file='text_encoder/model.safetensors'),
    tokenizer=dict(repo='none/none', file='tokenizer/spiece.model'))
"""


def write_i2vgen(folder: Path) -> Path:
    """Write a config, and official files of its parts beside it.

    The numbers of the autoencoder have 16 bits, as the published ones.
    """
    vocab = write_vocabulary(folder / 'text_encoder')
    config = folder / 'small_i2vgen.py'
    config.write_text(I2VGEN.replace('{vocab}', str(vocab)))
    model = build(config)
    state = network_state(model.backbone, model.controlnet)
    torch.save({'state_dict': to_official(state)}, folder / 'star.pt')
    write_vae(model, folder, torch.float16)
    write_open_clip(model.text_encoder, folder / 'text_encoder')
    return config


def write_cogvideox(folder: Path) -> Path:
    """Write a config, and files of its parts beside it, with LoRA."""
    import sentencepiece

    config = folder / 'small_cogvideox.py'
    config.write_text(COGVIDEOX)
    model = build(config)
    state = {
        f'backbone.{k}': v for k, v in model.backbone.state_dict().items()
    }
    save_file(state, folder / 'star.safetensors')
    write_vae(model, folder, torch.float32)
    model.text_encoder.tower.save_pretrained(folder / 'text_encoder')
    (folder / 'tokenizer').mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(['a good video of a dog', 'wet grass'] * 5),
        model_prefix=str(folder / 'tokenizer' / 'spiece'),
        vocab_size=18,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    return config


def build(config: Path):
    """Build the model of a config with numbers that hide nothing."""
    from star.apis.inference.build import load_config

    model = MODELS.build(load_config(config).model)
    for seed, name in enumerate(
        ('backbone', 'controlnet', 'autoencoder', 'text_encoder')
    ):
        randomize(model.get_submodule(name), seed, 0.1)
    return model


def write_vae(model, folder: Path, dtype: torch.dtype) -> None:
    (folder / 'vae').mkdir()
    state = model.autoencoder.vae.state_dict()
    state = {name: tensor.to(dtype) for name, tensor in state.items()}
    save_file(state, folder / 'vae' / 'vae.safetensors')


def write_vocabulary(folder: Path) -> int:
    """Write a tokenizer that knows letters; return the number of tokens."""
    folder.mkdir()
    marks = ['<|startoftext|>', '<|endoftext|>']
    tokens = [*WORDS, *(word + '</w>' for word in WORDS), *marks]
    vocab = {token: number for number, token in enumerate(tokens)}
    (folder / 'vocab.json').write_text(json.dumps(vocab))
    (folder / 'merges.txt').write_text('#version: 0.2\n')
    return len(vocab)


def write_open_clip(encoder: OpenCLIPTextEncoder, folder: Path) -> None:
    """Write a tower with a last block that is not used, and more."""
    state = {
        f'text_model.{k}': v for k, v in encoder.tower.state_dict().items()
    }
    last = encoder.tower.config.num_hidden_layers
    one = f'text_model.encoder.layers.{last - 1}.'
    for name in [name for name in state if name.startswith(one)]:
        state[name.replace(one, f'text_model.encoder.layers.{last}.')] = state[
            name
        ].clone()
    state['vision_model.a'] = torch.zeros(2)
    save_file(state, folder / 'model.safetensors')


def draw_clip(frames: int = 5, height: int = 8, width: int = 12):
    """Draw a clip, (T, 3, h, w) uint8."""
    generator = torch.Generator().manual_seed(0)
    size = (frames, 3, height, width)
    return torch.randint(0, 256, size, dtype=torch.uint8, generator=generator)
