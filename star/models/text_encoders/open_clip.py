"""The text tower of OpenCLIP, and a text encoder without weights."""

from __future__ import annotations

import html
import json
import re
import unicodedata
from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from star.registry import MODELS
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import LazyTensor, held, open_safetensors

if TYPE_CHECKING:
    from transformers import CLIPTokenizer

VOCABULARY = ('vocab.json', 'merges.txt')  # files of the tokenizer
_START, _END, _PAD = '<|startoftext|>', '<|endoftext|>', 0
_CURLED = str.maketrans(
    '\u02bc\u2018\u2019\u201a\u201b\u201c\u201d\u201e\u201f',
    "'" * 5 + '"' * 4,
)
_BLOCK_NAMES = {
    'ln_1': 'layer_norm1',
    'ln_2': 'layer_norm2',
    'attn.out_proj': 'self_attn.out_proj',
    'mlp.c_fc': 'mlp.fc1',
    'mlp.c_proj': 'mlp.fc2',
}
_OUTER_NAMES = {
    'token_embedding.weight': 'embeddings.token_embedding.weight',
    'positional_embedding': 'embeddings.position_embedding.weight',
    'ln_final.weight': 'final_layer_norm.weight',
    'ln_final.bias': 'final_layer_norm.bias',
}


def join_prompts(prompt: str, suffix: str) -> str:
    """Join a prompt and its suffix with a comma.

    The official code joins them without a separator.

    Args:
        prompt: may be empty.
        suffix: may be empty.
    """
    parts = (prompt.strip(), suffix.strip())
    return ', '.join(part for part in parts if part)


@MODELS.register_module()
class ConstantTextEncoder(nn.Module):
    """Encodes every prompt as zeros, for models without text.

    Args:
        dim: size of a token's embedding, D.
        num_tokens: tokens of a prompt, L.
    """

    zeros: Tensor

    def __init__(self, dim: int, num_tokens: int = 1) -> None:
        super().__init__()
        zeros = torch.zeros(1, num_tokens, dim)
        self.register_buffer('zeros', zeros, persistent=False)

    def forward(self, prompts: list[str]) -> Tensor:
        """Return zeros (N, L, D), one row per prompt."""
        return self.zeros.repeat(len(prompts), 1, 1)

    def count_overflow(self, prompt: str) -> int:
        """Return 0: no prompt is too long."""
        return 0


@MODELS.register_module()
class OpenCLIPTextEncoder(nn.Module):
    """Encode prompts with an OpenCLIP text tower, all tokens of its last
    block but one.

    The defaults are ViT-H-14 (laion2b_s32b_b79k), as STAR has it. The last
    block is not built. The tower is frozen; keep it in float32. The empty
    prompt needs no tokenizer.

    Args:
        pretrained: a folder with `vocab.json`, `merges.txt` and the weights,
            `model.safetensors` or `open_clip_*.safetensors`, named as
            transformers or as open_clip names them. None for random weights.
        tokenizer: a folder with `vocab.json` and `merges.txt` if it is not
            `pretrained`.
        width: size of a token's embedding, D.
        layers: blocks of the whole tower, one more than are computed.
        heads: attention heads.
        context_length: tokens of a prompt, L, with the start and end marks.
        vocab_size: known tokens.

    Raises:
        ValueError: files are missing, or the weights do not fit.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        tokenizer: str | None = None,
        width: int = 1024,
        layers: int = 24,
        heads: int = 16,
        context_length: int = 77,
        vocab_size: int = 49408,
    ) -> None:
        super().__init__()
        from transformers import CLIPTextConfig, CLIPTextModel  # slow

        self.context_length, self._pad = context_length, _PAD
        folder = tokenizer or pretrained
        _check_files(pretrained, folder)
        self.tokenizer: CLIPTokenizer | None = None
        if folder is not None:
            files = (Path(folder) / name for name in VOCABULARY)
            self.take_vocabulary(*(file.read_text('utf-8') for file in files))
        config = CLIPTextConfig(
            vocab_size=vocab_size,
            hidden_size=width,
            intermediate_size=4 * width,
            num_hidden_layers=layers - 1,
            num_attention_heads=heads,
            max_position_embeddings=context_length,
            hidden_act='gelu',
        )
        self.tower = CLIPTextModel(config).eval().requires_grad_(False)
        if pretrained is not None:
            load_text_weights(self, pretrained)

    def forward(self, prompts: list[str]) -> Tensor:
        """Encode prompts; tokens beyond `context_length` are cut off.

        Args:
            prompts: N texts, each may be empty.

        Returns:
            Embeddings (N, L, D) of all tokens, the padding included.
        """
        return self.encode_tokens(self.tokenize(prompts))

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Encode token ids (N, L) to embeddings (N, L, D)."""
        tokens = tokens.to(self.tower.device)
        with torch.autocast(tokens.device.type, enabled=False):
            return self.tower(tokens).last_hidden_state

    def tokenize(self, prompts: list[str]) -> Tensor:
        """Turn prompts into ids (N, L) int64, as open_clip does.

        A start mark, the text, an end mark, then padding. A text that is too
        long loses its last tokens, never the end mark.
        """
        ids = torch.full((len(prompts), self.context_length), self._pad)
        for row, prompt in zip(ids, prompts, strict=True):
            start, *text, end = self._ids(prompt)
            kept = [start, *text[: self.context_length - 2], end]
            row[: len(kept)] = torch.tensor(kept)
        return ids

    def take_vocabulary(
        self, vocab: str, merges: str, pad: str | None = None
    ) -> None:
        """Build the tokenizer from the texts of its two files.

        Args:
            vocab: content of `vocab.json`.
            merges: content of `merges.txt`.
            pad: the token that fills short prompts up; None for number 0.

        Raises:
            ValueError: the vocabulary does not have `pad`.
        """
        self.tokenizer = _tokenizer(vocab, merges)
        tokens = self.tokenizer.get_vocab()
        if pad is not None and pad not in tokens:
            raise ValueError(f'vocab.json does not have {pad!r}, the padding')
        self._pad = _PAD if pad is None else tokens[pad]

    def count_overflow(self, prompt: str) -> int:
        """Count the tokens of a prompt that are cut off."""
        return max(0, len(self._ids(prompt)) - self.context_length)

    def _ids(self, prompt: str) -> list[int]:
        """Return a prompt's token ids with both marks, of any number."""
        if self.tokenizer is None and not clean_text(prompt):
            end = self.tower.config.vocab_size - 1
            return [end - 1, end]  # the marks are the last of all tokens
        if self.tokenizer is None:
            raise ValueError(
                'OpenCLIPTextEncoder cannot read prompts without `pretrained` '
                'or `tokenizer`, a folder with vocab.json and merges.txt'
            )
        return self.tokenizer(clean_text(prompt)).input_ids


def clean_text(text: str) -> str:
    """Normalise a prompt as open_clip does before it looks for tokens.

    HTML entities, curled quotes, full-width letters and ligatures become
    plain, white space single, letters small. Text that was decoded with the
    wrong character set is left as it is: that needs the package ftfy.
    """
    text = html.unescape(html.unescape(text)).translate(_CURLED)
    text = re.sub(
        '[\u3000\ufb00-\ufb06\uff01-\uff9f]+',
        lambda match: unicodedata.normalize('NFKC', match[0]),
        text,
    )
    text = unicodedata.normalize('NFC', text)
    return ' '.join(text.split()).lower()


def load_text_weights(encoder: OpenCLIPTextEncoder, path: str | Path) -> None:
    """Load a text tower; other tensors of the file (image tower) are skipped.

    Args:
        encoder: gets the tensors; stays in float32.
        path: a safetensors file or a folder with one, see
            `OpenCLIPTextEncoder`.

    Raises:
        ValueError: there is no such file, or it belongs to another network.
    """
    file = _weight_file(Path(path))
    if file is None:
        raise ValueError(f'no text encoder weights in {path}')
    state = _read_tower(open_safetensors(file))
    load_strict(encoder.tower, _without_last(encoder, state), file)


def name_text_tensors(
    encoder: OpenCLIPTextEncoder, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    """Give the tensors of a text tower the names of our encoder.

    Args:
        encoder: ours; it does not have the tower's last block.
        state: tensors as open_clip or transformers name them; those of other
            parts are left out.
    """
    held_state = {name: held(tensor) for name, tensor in state.items()}
    named = _without_last(encoder, _read_tower(held_state))
    return {f'tower.{name}': tensor for name, tensor in named.items()}


def _without_last(
    encoder: OpenCLIPTextEncoder, state: Mapping[str, Tensor]
) -> dict[str, Tensor]:
    last = f'encoder.layers.{encoder.tower.config.num_hidden_layers}.'
    return {k: v for k, v in state.items() if not k.startswith(last)}


def _read_tower(tensors: Mapping[str, LazyTensor]) -> dict[str, Tensor]:
    """Read only the text tower, under transformers' names."""
    state: dict[str, Tensor] = {}
    for key, tensor in tensors.items():
        name = key.removeprefix('text_model.').removeprefix('text.')
        if name.startswith(('embeddings.', 'encoder.', 'final_')):
            state[name] = tensor.read()
        elif name in _OUTER_NAMES:
            state[_OUTER_NAMES[name]] = tensor.read()
        elif name.startswith('transformer.resblocks.'):
            state |= _rename_block(name, tensor.read())
    state.pop('embeddings.position_ids', None)
    return state


def _rename_block(name: str, value: Tensor) -> dict[str, Tensor]:
    """Rename a tensor of an open_clip block; split the joint projection."""
    index, part = name.removeprefix('transformer.resblocks.').split('.', 1)
    prefix = f'encoder.layers.{index}.'
    if part.startswith('attn.in_proj_'):
        kind = part.removeprefix('attn.in_proj_')
        return {
            f'{prefix}self_attn.{letter}_proj.{kind}': piece
            for letter, piece in zip('qkv', value.chunk(3), strict=True)
        }
    module, kind = part.rsplit('.', 1)
    return {f'{prefix}{_BLOCK_NAMES.get(module, module)}.{kind}': value}


def _tokenizer(vocab: str, merges: str) -> CLIPTokenizer:
    """Build the tokenizer from the texts of its files, without a download."""
    from transformers import CLIPTokenizer

    pairs = [
        tuple(line.split())
        for line in merges.split('\n')
        if line.strip() and not line.startswith('#version')
    ]
    return CLIPTokenizer(
        vocab=json.loads(vocab),
        merges=pairs,  # type: ignore[arg-type]  # pairs are right
        bos_token=_START,
        eos_token=_END,
        unk_token=_END,
        pad_token=_END,
        split_special_tokens=True,
    )


def _weight_file(path: Path) -> Path | None:
    if path.is_file():
        return path
    files = [path / 'model.safetensors', *path.glob('open_clip_*.safetensors')]
    return next((file for file in files if file.is_file()), None)


def _check_files(pretrained: str | None, tokenizer: str | None) -> None:
    """Raise one ValueError that names every missing file."""
    missing = []
    if pretrained is not None and _weight_file(Path(pretrained)) is None:
        missing.append(str(Path(pretrained) / 'model.safetensors'))
    if tokenizer is not None:
        files = [Path(tokenizer) / name for name in VOCABULARY]
        missing += [str(file) for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f'missing files of the text encoder: {", ".join(missing)}'
        )
