"""T5TextEncoder against transformers' own tokenizer and network."""

import json
import os

import pytest
import torch
from safetensors.torch import load_file, save_file

from star.models.text_encoders.t5 import T5TextEncoder
from star.registry import MODELS
from star.utils.randomness import RandomTracker

sentencepiece = pytest.importorskip('sentencepiece')

SIZES = dict(width=32, layers=2, heads=2, ff_width=48, vocab_size=200)
SMALL = dict(dtype='float32', **SIZES)
SENTENCES = [
    'a good video of a dog running through the wet grass',
    'the quick brown fox jumps over the lazy dog near a river bank',
    'people walk down a busy street at night, neon lights, 4k, film grain',
]
PROMPTS = [
    '',
    'a good video',
    '  two  spaces\tand a tab ',
    "it's a dog's (42nd) birthday!!!",
    'caf\u00e9 \uff26\uff55\uff4c\uff4c \u718a\u732b \U0001f43c',
    'dog ' * 300,
]


@pytest.fixture(scope='module')
def folder(tmp_path_factory):
    """Train a small vocabulary, save a small network in several shards."""
    folder = tmp_path_factory.mktemp('t5')
    for part in ('tokenizer', 'text_encoder'):
        (folder / part).mkdir()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(SENTENCES * 5),
        model_prefix=str(folder / 'tokenizer' / 'spiece'),
        vocab_size=48,
        pad_id=0,
        eos_id=1,
        unk_id=2,
        bos_id=-1,
        minloglevel=2,
    )
    torch.manual_seed(0)
    tower = T5TextEncoder(**SMALL).tower
    tower.save_pretrained(folder / 'text_encoder', max_shard_size='40KB')
    return folder


@pytest.fixture(scope='module')
def encoder(folder):
    return T5TextEncoder(str(folder), **SMALL)


@pytest.mark.parametrize('prompt', PROMPTS)
def test_tokens_match_transformers(folder, encoder, prompt):
    from transformers import T5Tokenizer

    tokenizer = T5Tokenizer.from_pretrained(folder / 'tokenizer', extra_ids=0)
    expected = tokenizer(
        prompt,
        padding='max_length',
        max_length=226,
        truncation=True,
        return_tensors='pt',
    ).input_ids
    assert torch.equal(encoder.tokenize([prompt]), expected)


def test_embeddings_match_transformers(folder, encoder):
    """Loaded by transformers itself; no mask hides the padding."""
    from transformers import T5EncoderModel

    tower = T5EncoderModel.from_pretrained(folder / 'text_encoder').eval()
    with torch.no_grad():
        expected = tower(encoder.tokenize(PROMPTS[1:])).last_hidden_state
    text = encoder(PROMPTS[1:])
    assert text.shape == (5, 226, 32)
    assert text.dtype == torch.float32
    torch.testing.assert_close(text, expected)
    assert expected.std() > 0.5
    assert not text[0, 100:].eq(0).any()  # padding is encoded


def test_nothing_is_left_random(folder):
    with RandomTracker() as tracker:
        encoder = T5TextEncoder(str(folder), **SMALL)
        assert tracker.find_random(encoder) == set()


def test_there_are_several_shards(folder):
    index = folder / 'text_encoder' / 'model.safetensors.index.json'
    names = set(json.loads(index.read_text('utf-8'))['weight_map'].values())
    assert len(names) > 1


def test_empty_prompts_are_zero_without_the_network(encoder):
    calls = []
    hook = encoder.tower.register_forward_hook(lambda *_: calls.append(1))
    text = encoder(['', 'a dog', ' ', 'a good dog'])
    hook.remove()
    assert calls == [1]
    assert text[0].abs().sum() == text[2].abs().sum() == 0
    torch.testing.assert_close(text[1], encoder(['a dog'])[0])
    torch.testing.assert_close(text[3], encoder(['a good dog'])[0])
    assert T5TextEncoder(**SMALL)(['', '']).shape == (2, 226, 32)


def test_the_empty_prompt_is_encoded_once(folder):
    encoder = T5TextEncoder(str(folder), zero_empty=False, **SMALL)
    calls = []
    encoder.tower.register_forward_hook(lambda *_: calls.append(1))
    first, second = encoder(['']), encoder(['', ''])
    assert len(calls) == 1
    tokens = torch.zeros(1, 226, dtype=torch.long)
    tokens[0, 0] = 1  # the end mark, then padding
    expected = encoder.tower(tokens).last_hidden_state
    torch.testing.assert_close(first, expected)
    assert torch.equal(second, first.repeat(2, 1, 1))


def test_a_kept_prompt_follows_the_weights(folder):
    encoder = T5TextEncoder(str(folder), zero_empty=False, **SMALL)
    before = encoder([''])
    state = {key: 1.1 * value for key, value in encoder.state_dict().items()}
    encoder.load_state_dict(state)
    after = encoder([''])
    assert not torch.allclose(after, before)
    half = encoder.bfloat16()([''])
    assert 0 < (half - after).abs().max() < 0.2


def test_bfloat16(folder, encoder):
    half = T5TextEncoder(str(folder), dtype='bfloat16', **SIZES)
    assert half.tower.shared.weight.dtype == torch.bfloat16
    text = half(['a good video'])
    assert text.dtype == torch.float32
    error = (text - encoder(['a good video'])).abs().max()
    assert 0 < error < 0.2


def test_autocast_leaves_float32(encoder):
    expected = encoder(['a dog'])
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(encoder(['a dog']), expected)


def test_overflow(encoder):
    words = len(encoder.tokenizer.encode('dog ' * 300))
    assert words > 300
    assert encoder.count_overflow('dog ' * 300) == words + 1 - 226
    assert encoder.count_overflow('a dog') == 0
    assert encoder.count_overflow('') == 0
    ids = encoder.tokenize(['dog ' * 300])[0]
    assert ids[-1] == 1
    assert (ids[:-1] > 1).all()


def test_nothing_learns(encoder):
    assert not any(p.requires_grad for p in encoder.parameters())
    assert encoder.tower.shared.weight is (
        encoder.tower.encoder.embed_tokens.weight
    )


def test_default_is_the_official_size():
    with torch.device('meta'):
        encoder = MODELS.build(dict(type='T5TextEncoder'))
    # the encoder of T5 v1.1 XXL
    assert sum(p.numel() for p in encoder.parameters()) == 4_762_310_656
    assert encoder.tower.dtype == torch.bfloat16


def test_folders(folder, encoder):
    """Given apart, or as one folder that has both."""
    apart = T5TextEncoder(
        str(folder / 'text_encoder'), str(folder / 'tokenizer'), **SMALL
    )
    assert torch.equal(apart(['a dog']), encoder(['a dog']))


def test_missing_files(folder, tmp_path):
    tokenizer = str(folder)
    with pytest.raises(ValueError, match=r'missing file .*spiece\.model'):
        T5TextEncoder(str(tmp_path), **SMALL)
    with pytest.raises(ValueError, match=r'missing files .*model\.safeten'):
        T5TextEncoder(str(tmp_path), tokenizer, **SMALL)
    (tmp_path / 'spiece.model').write_text('not at all')
    with pytest.raises(ValueError, match='is no sentencepiece model'):
        T5TextEncoder(str(tmp_path), **SMALL)
    (tmp_path / 'model.safetensors').write_text('not at all')
    with pytest.raises(ValueError, match='safetensors: cannot be read'):
        T5TextEncoder(str(tmp_path), tokenizer, **SMALL)


def test_missing_shard(folder, tmp_path):
    source = folder / 'text_encoder'
    files = sorted(source.glob('*'))
    for file in files:
        if '00002-of' not in file.name:
            os.link(file, tmp_path / file.name)
    with pytest.raises(ValueError, match=r'missing files .*model-00002-of-'):
        T5TextEncoder(str(tmp_path), str(folder), **SMALL)


@pytest.mark.parametrize('text', ['not at all', '{}'])
def test_broken_index(folder, tmp_path, text):
    (tmp_path / 'model.safetensors.index.json').write_text(text)
    with pytest.raises(ValueError, match=r'\.json is no index of shards$'):
        T5TextEncoder(str(tmp_path), str(folder), **SMALL)


@pytest.mark.parametrize('name', ['no/repository', 'no folder at all'])
def test_neither_folder_nor_repository(name, tmp_path, monkeypatch):
    monkeypatch.setenv('HF_HOME', str(tmp_path))
    with pytest.raises(ValueError, match=f"of '{name}': no such folder"):
        T5TextEncoder(name, **SMALL)


def test_wrong_weights(folder, tmp_path):
    state = {}
    for file in (folder / 'text_encoder').glob('*.safetensors'):
        state |= load_file(file)
    state['extra'] = state.pop('encoder.final_layer_norm.weight')
    save_file(state, tmp_path / 'model.safetensors')
    with pytest.raises(ValueError) as error:
        T5TextEncoder(str(tmp_path), str(folder), **SMALL)
    assert str(error.value) == (
        f'{tmp_path} does not fit T5EncoderModel: 1 missing '
        '(encoder.final_layer_norm.weight), 1 unknown (extra)'
    )


def test_bad_options():
    with pytest.raises(ValueError, match=r"`dtype` .* got 'float16'"):
        T5TextEncoder(**SIZES, dtype='float16')
    with pytest.raises(ValueError, match='cannot read prompts without'):
        T5TextEncoder(**SMALL)(['a dog'])
