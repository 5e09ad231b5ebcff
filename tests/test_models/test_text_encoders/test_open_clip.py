"""Text encoders against open_clip, on its bundled vocabulary."""

import gzip
import json
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file

from star.models.text_encoders.open_clip import (
    ConstantTextEncoder,
    OpenCLIPTextEncoder,
    join_prompts,
    name_text_tensors,
)
from star.utils.randomness import RandomTracker
from star.utils.state_dicts import load_strict

open_clip = pytest.importorskip('open_clip')

SMALL = dict(width=64, layers=3, heads=4)
PROMPTS = [
    '',
    'a good video',
    "It's  A\tDog's\n42nd birthday!!! (1999), don't you'll we've I'm he'd",
    'photo - realistic; 32k, 3.5% $#@ ---- ... ",\'',
    'caf\u00e9 na\u00efve \u00c5ngstr\u00f6m cafe\u0301 \u0130stanbul',
    '\u039f\u0394\u039f\u03a3 \u0421\u041e\u0411\u0410\u041a\u0410',
    '\u718a\u732b\u304c\u7af9\u3092\u98df\u3079\u308b \U0001f43c\U0001f38b',
    'a &amp; b &lt;c&gt; &amp;quot;d&amp;quot;',
    '\u201cquoted\u201d it\u2019s \u2018so\u2019',
    '\uff26\uff55\uff4c\uff4c \ufb01ne of\ufb01ce',
    'written <|endoftext|> by hand <|startoftext|>',
    "!'s ''' 's 't'll",
    'very long ' * 60,
    'x ' * 75,
    'x ' * 76,
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Write open_clip's merges as vocab.json and merges.txt."""
    folder = tmp_path_factory.mktemp('tokenizer')
    tokenizer = open_clip.SimpleTokenizer()
    vocab = dict(tokenizer.encoder)
    for ours, theirs in (
        ('<|startoftext|>', '<start_of_text>'),
        ('<|endoftext|>', '<end_of_text>'),
    ):
        vocab[ours] = vocab.pop(theirs)
    merges = [' '.join(pair) for pair in tokenizer.bpe_ranks]
    (folder / 'vocab.json').write_text(json.dumps(vocab), 'utf-8')
    text = '\n'.join(['#version: 0.2', *merges, ''])
    (folder / 'merges.txt').write_text(text, 'utf-8')
    return folder


def open_clip_tower(width, layers, heads):
    torch.manual_seed(0)
    return open_clip.transformer.TextTransformer(
        width=width, layers=layers, heads=heads, output_dim=width
    ).eval()


def penultimate(tower, tokens):
    """Run all blocks but the last, then the last norm."""
    x = tower.token_embedding(tokens) + tower.positional_embedding
    for block in tower.transformer.resblocks[:-1]:
        x = block(x, attn_mask=tower.attn_mask)
    return tower.ln_final(x)


def perturb(module):
    """Give every parameter, biases and norms too, a value of its own."""
    for parameter in module.parameters():
        parameter.data += 0.05 * torch.randn_like(parameter)
    return module


def save(path: Path, state: dict) -> None:
    save_file({key: value.contiguous() for key, value in state.items()}, path)


@pytest.fixture(scope='module')
def small(folder):
    """Return an open_clip tower and our encoder with its weights."""
    tower = perturb(open_clip_tower(**SMALL))
    state = {f'visual.{i}': torch.zeros(1) for i in range(2)}
    state |= {'logit_scale': torch.zeros([]), **tower.state_dict()}
    save(folder / 'open_clip_model.safetensors', state)
    return tower, OpenCLIPTextEncoder(str(folder), **SMALL)


def test_nothing_is_left_random(folder, small):
    with RandomTracker() as tracker:
        encoder = OpenCLIPTextEncoder(str(folder), **SMALL)
        assert tracker.find_random(encoder) == set()


@pytest.mark.parametrize('prompt', PROMPTS)
def test_tokens_match_open_clip(small, prompt):
    expected = open_clip.SimpleTokenizer()([prompt])
    assert torch.equal(small[1].tokenize([prompt]), expected)


def test_embeddings_match_open_clip(small):
    tower, encoder = small
    text = encoder(PROMPTS)
    expected = penultimate(tower, open_clip.SimpleTokenizer()(PROMPTS))
    assert text.shape == (len(PROMPTS), 77, 64)
    assert text.dtype == torch.float32
    assert (text - expected).abs().max() < 1e-4
    assert expected.std() > 0.5


def test_last_block_is_not_used(small):
    tower, encoder = small
    assert len(tower.transformer.resblocks) == 3
    assert len(encoder.tower.encoder.layers) == 2


def test_autocast_leaves_float32(small):
    _, encoder = small
    expected = encoder(['a dog'])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(encoder(['a dog']), expected)


@pytest.mark.slow
def test_full_size_matches_open_clip(folder, tmp_path):
    full = dict(width=1024, layers=24, heads=16)
    tower = open_clip_tower(**full)
    save(tmp_path / 'open_clip_model.safetensors', tower.state_dict())
    encoder = OpenCLIPTextEncoder(str(tmp_path), str(folder))
    with torch.no_grad():
        expected = penultimate(tower, encoder.tokenize(PROMPTS[:4]))
    assert (encoder(PROMPTS[:4]) - expected).abs().max() < 1e-4


@pytest.mark.parametrize('prefix', ['', 'text_model.'])
def test_transformers_names(folder, small, tmp_path, prefix):
    _, encoder = small
    state = {
        prefix + key: value
        for key, value in encoder.tower.state_dict().items()
    }
    state[prefix + 'embeddings.position_ids'] = torch.arange(77)[None]
    state['vision_model.x'] = torch.zeros(1)
    state['text_projection.weight'] = torch.zeros(1)
    for key in list(state):  # the last block, which is left out
        if 'layers.1.' in key:
            state[key.replace('layers.1.', 'layers.2.')] = state[key].clone()
    save(tmp_path / 'model.safetensors', state)
    loaded = OpenCLIPTextEncoder(str(tmp_path), str(folder), **SMALL)
    assert torch.equal(loaded(['a dog']), encoder(['a dog']))


def test_saved_by_transformers(folder, small, tmp_path):
    _, encoder = small
    encoder.tower.save_pretrained(tmp_path)
    loaded = OpenCLIPTextEncoder(str(tmp_path), str(folder), **SMALL)
    assert torch.equal(loaded(['a dog']), encoder(['a dog']))


@pytest.mark.parametrize('words', [0, 74, 75, 76, 100])
def test_count_overflow(small, words):
    assert small[1].count_overflow('x ' * words) == max(0, words - 75)


def test_wrong_weights(folder, tmp_path):
    state = open_clip_tower(**SMALL).state_dict()
    state['transformer.resblocks.0.extra.weight'] = torch.zeros(1)
    del state['ln_final.bias']
    state['ln_final.weight'] = torch.zeros(65)
    save(tmp_path / 'model.safetensors', state)
    with pytest.raises(ValueError, match='does not fit') as error:
        OpenCLIPTextEncoder(str(tmp_path), str(folder), **SMALL)
    assert str(error.value).endswith(
        ': 1 missing (final_layer_norm.bias), '
        '1 unknown (encoder.layers.0.extra.weight), 1 of another shape '
        '(final_layer_norm.weight is (65,) not (64,))'
    )


def test_deeper_weights_are_refused(folder, tmp_path):
    state = open_clip_tower(**SMALL).state_dict()
    save(tmp_path / 'model.safetensors', state)
    with pytest.raises(ValueError, match=r'16 unknown \(encoder.layers.2.'):
        OpenCLIPTextEncoder(
            str(tmp_path), str(folder), width=64, layers=2, heads=4
        )


def test_missing_files_are_named(tmp_path):
    with pytest.raises(ValueError) as error:
        OpenCLIPTextEncoder(str(tmp_path), **SMALL)
    for name in ('model.safetensors', 'vocab.json', 'merges.txt'):
        assert str(tmp_path / name) in str(error.value)


def test_no_tokenizer():
    encoder = OpenCLIPTextEncoder(**SMALL)
    with pytest.raises(ValueError, match=r'vocab\.json'):
        encoder(['a'])


def test_takes_the_vocabulary_later(folder, small):
    """As a converted file keeps it."""
    _, encoder = small
    late = OpenCLIPTextEncoder(**SMALL)
    files = (folder / 'vocab.json', folder / 'merges.txt')
    late.take_vocabulary(*(file.read_text('utf-8') for file in files))
    assert torch.equal(late.tokenize(PROMPTS), encoder.tokenize(PROMPTS))


def test_the_empty_prompt_needs_no_tokenizer(small):
    _, encoder = small
    without = OpenCLIPTextEncoder(**SMALL)
    assert torch.equal(without.tokenize(['', ' ']), encoder.tokenize(['', '']))


def test_a_tower_inside_another_state_is_found(small):
    theirs = open_clip_tower(**SMALL)
    perturb(theirs)
    state = {**theirs.state_dict(), 'logit_scale': torch.ones(())}
    encoder = OpenCLIPTextEncoder(**SMALL)
    load_strict(encoder, name_text_tensors(encoder, state), 'state')
    tokens = encoder.tokenize([''])
    expected = penultimate(theirs, tokens)
    torch.testing.assert_close(encoder.encode_tokens(tokens), expected)


def test_bundled_merges_are_the_usual_ones():
    """The ids rest on the vocabulary that OpenCLIP and CLIP share."""
    with gzip.open(open_clip.tokenizer.default_bpe()) as file:
        assert file.readline().startswith(
            b'"bpe_simple_vocab_16e6.txt#version'
        )
    tokens = open_clip.SimpleTokenizer()(['a good video'])[0, :6]
    assert tokens.tolist() == [49406, 320, 886, 1455, 49407, 0]


def test_constant():
    encoder = ConstantTextEncoder(8, num_tokens=2)
    assert torch.equal(encoder(['a', 'b', '']), torch.zeros(3, 2, 8))
    assert encoder.count_overflow('a ' * 1000) == 0
    assert not encoder.state_dict()


@pytest.mark.parametrize(
    ('prompt', 'suffix', 'joined'),
    [
        ('a dog', 'sharp', 'a dog, sharp'),
        (' a dog ', '', 'a dog'),
        ('', 'sharp', 'sharp'),
        ('  ', '', ''),
    ],
)
def test_join_prompts(prompt, suffix, joined):
    assert join_prompts(prompt, suffix) == joined
