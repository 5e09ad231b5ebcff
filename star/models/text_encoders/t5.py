"""CogVideoX's text encoder: the encoder half of T5."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING, Any

import torch
from torch import Tensor, nn

from star.registry import MODELS
from star.utils.compat import require
from star.utils.state_dicts import load_strict
from star.utils.tensor_files import read_state

if TYPE_CHECKING:
    from transformers import T5Config

_END, _PAD = 1, 0
_DTYPES = ('float32', 'bfloat16')
_TIED = 'encoder.embed_tokens.weight'  # is 'shared.weight', not always saved


@MODELS.register_module()
class T5TextEncoder(nn.Module):
    """Encode prompts with a T5 encoder, without a mask for the padding.

    The defaults are T5 v1.1 XXL (4.8 billion parameters), as CogVideoX and
    STAR on CogVideoX have it. It is frozen.

    Args:
        pretrained: folder of the weights, one safetensors file or several
            with transformers' names; or a folder with the folders
            `text_encoder` and `tokenizer`; or a repository of such, e.g.
            'zai-org/CogVideoX-5b', that has been downloaded. None for random
            weights.
        tokenizer: folder with `spiece.model`, or such a repository, if it is
            not `pretrained`.
        dtype: of the weights, 'float32' or 'bfloat16' (as the official).
        zero_empty: encode an empty prompt as zeros, as in STAR, where it
            stands for a dropped prompt; if not, the encoder's result for it
            is computed once and kept, as in CogVideoX.
        context_length: tokens of a prompt, L, with the end mark.
        width: size of a token's embedding, D.
        layers: blocks.
        heads: attention heads, of 64 channels each.
        ff_width: width of the feed-forward layers.
        vocab_size: known tokens.

    Raises:
        ValueError: files are missing, or the weights do not fit.
        ImportError: there is a tokenizer, but sentencepiece is missing.
    """

    def __init__(
        self,
        pretrained: str | None = None,
        tokenizer: str | None = None,
        dtype: str = 'bfloat16',
        zero_empty: bool = True,
        context_length: int = 226,
        width: int = 4096,
        layers: int = 24,
        heads: int = 64,
        ff_width: int = 10240,
        vocab_size: int = 32128,
    ) -> None:
        super().__init__()
        if dtype not in _DTYPES:
            raise ValueError(
                f'`dtype` must be one of {", ".join(_DTYPES)}, got {dtype!r}'
            )
        self.context_length = context_length
        self.zero_empty = zero_empty
        folder = tokenizer or pretrained
        self.tokenizer = None if folder is None else _tokenizer(folder)
        config = _config(vocab_size, width, layers, heads, ff_width)
        self.tower: Any = _build(config, dtype, empty=pretrained is not None)
        self._empty_prompt: Tensor | None = None
        self.register_load_state_dict_post_hook(_forget)
        if pretrained is not None:
            load_t5_weights(self, pretrained)

    def forward(self, prompts: list[str]) -> Tensor:
        """Encode prompts; tokens beyond `context_length` are cut off.

        Args:
            prompts: N texts, each may be empty.

        Returns:
            Embeddings (N, L, D) float32 of all tokens, the padding included.
        """
        texts = [prompt for prompt in prompts if prompt.strip()]
        rows = iter(self.encode_tokens(self.tokenize(texts)) if texts else ())
        return torch.stack(
            [
                next(rows) if prompt.strip() else self._encode_empty()
                for prompt in prompts
            ]
        )

    def encode_tokens(self, tokens: Tensor) -> Tensor:
        """Encode token ids (N, L) to embeddings (N, L, D) in float32."""
        tokens = tokens.to(self.tower.device)
        with torch.autocast(tokens.device.type, enabled=False):
            return self.tower(tokens).last_hidden_state.float()

    def tokenize(self, prompts: list[str]) -> Tensor:
        """Turn prompts into ids (N, L) int64: text, end mark, then zeros.

        A text that is too long loses its last tokens, never the end mark.
        """
        ids = torch.full(
            (len(prompts), self.context_length), _PAD, device='cpu'
        )
        for row, prompt in zip(ids, prompts, strict=True):
            kept = [*self._ids(prompt)[: self.context_length - 1], _END]
            row[: len(kept)] = torch.tensor(kept)
        return ids

    def count_overflow(self, prompt: str) -> int:
        """Count the tokens of a prompt that are cut off."""
        if not prompt.strip():
            return 0
        return max(0, len(self._ids(prompt)) + 1 - self.context_length)

    def _apply(
        self, fn: Callable[[Tensor], Tensor], recurse: bool = True
    ) -> T5TextEncoder:
        _forget(self)
        super()._apply(fn, recurse)
        return self

    def _encode_empty(self) -> Tensor:
        """Return the embedding of an empty prompt, (L, D)."""
        if self.zero_empty:
            shape = (self.context_length, self.tower.config.d_model)
            return torch.zeros(shape, device=self.tower.device)
        if self._empty_prompt is None:
            self._empty_prompt = self.encode_tokens(self.tokenize(['']))[0]
        return self._empty_prompt

    def _ids(self, prompt: str) -> list[int]:
        """Return a prompt's token ids without marks, of any number."""
        if self.tokenizer is None:
            raise ValueError(
                'T5TextEncoder cannot read prompts without `pretrained` or '
                '`tokenizer`, a folder with spiece.model'
            )
        return self.tokenizer.encode(prompt)


def load_t5_weights(encoder: T5TextEncoder, path: str | Path) -> None:
    """Load the encoder's weights, all of them and no others.

    Args:
        encoder: gets the tensors; keeps its dtype and device.
        path: see `pretrained` of `T5TextEncoder`.

    Raises:
        ValueError: there are no such files, or they belong to another
            network.
    """
    folder = _find_folder(path, 'text_encoder')
    state: dict[str, Tensor] = {}
    for file in _weight_files(folder):
        state |= read_state(file)
    if 'shared.weight' in state:
        state.setdefault(_TIED, state['shared.weight'])
    load_strict(encoder.tower, state, folder)
    _forget(encoder)


def _config(
    vocab_size: int, width: int, layers: int, heads: int, ff_width: int
) -> T5Config:
    """Describe T5 v1.1."""
    from transformers import T5Config  # slow to import

    return T5Config(
        vocab_size=vocab_size,
        d_model=width,
        d_kv=64,
        d_ff=ff_width,
        num_layers=layers,
        num_heads=heads,
        feed_forward_proj='gated-gelu',
        dropout_rate=0.0,
    )


def _build(config: T5Config, dtype: str, empty: bool) -> nn.Module:
    """Build the frozen tower; `empty` skips the initial weights."""
    from transformers import T5EncoderModel

    if empty:
        with torch.device('meta'):
            tower = T5EncoderModel(config).to(getattr(torch, dtype))
        tower.to_empty(device='cpu')
        tower.tie_weights()
    else:
        tower = T5EncoderModel(config).to(getattr(torch, dtype))
    return tower.eval().requires_grad_(False)


def _tokenizer(name: str) -> Any:
    """Read the sentencepiece model in a folder."""
    file = _find_folder(name, 'tokenizer') / 'spiece.model'
    if not file.is_file():
        raise ValueError(f'missing file of the text encoder: {file}')
    sentencepiece = require('sentencepiece', 'cogvideox')
    try:
        return sentencepiece.SentencePieceProcessor(model_file=str(file))
    except RuntimeError as error:
        raise ValueError(f'{file} is no sentencepiece model') from error


def _find_folder(name: str | Path, part: str) -> Path:
    """Find a part of a folder or of a downloaded repository."""
    folder = Path(name)
    if not folder.is_dir():
        folder = _downloaded(str(name), part)
    return folder / part if (folder / part).is_dir() else folder


def _downloaded(name: str, part: str) -> Path:
    from huggingface_hub import snapshot_download
    from huggingface_hub.errors import (
        HFValidationError,
        LocalEntryNotFoundError,
    )

    try:
        return Path(snapshot_download(name, local_files_only=True))
    except (HFValidationError, LocalEntryNotFoundError) as error:
        raise ValueError(
            f'`{part}` of {name!r}: no such folder, and no repository that '
            'has been downloaded'
        ) from error


def _weight_files(folder: Path) -> list[Path]:
    """List the shards, all that the index names if there is one."""
    index = folder / 'model.safetensors.index.json'
    names = _indexed(index) if index.is_file() else {'model.safetensors'}
    files = [folder / name for name in sorted(names)]
    missing = [str(file) for file in files if not file.is_file()]
    if missing:
        raise ValueError(
            f'missing files of the text encoder: {", ".join(missing)}'
        )
    return files


def _indexed(index: Path) -> set[str]:
    try:
        return set(json.loads(index.read_text('utf-8'))['weight_map'].values())
    except (ValueError, KeyError) as error:
        raise ValueError(f'{index} is no index of shards') from error


def _forget(encoder: Any, *_: Any) -> None:
    """Drop the embedding of the empty prompt: the weights changed."""
    encoder._empty_prompt = None
