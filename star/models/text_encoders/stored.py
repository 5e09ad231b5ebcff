"""A text encoder that knows the embeddings of some prompts, and no others."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor, nn

from star.registry import MODELS
from star.utils.files import atomic_path
from star.utils.tensor_files import read_notes, read_state

_NOTE = 'star.prompts'  # in the file's header
_MAKE = '`star prepare prompts` makes one'


@dataclass(frozen=True)
class StoredPrompts:
    """The header of a file of stored prompts.

    Args:
        prompts: whose embeddings the file has, in their order.
        stands_for: hash of the weights of the encoder that made them, from
            `star.datasets.fingerprints.hash_weights`.
        files: name and SHA-256 of the encoder's files, by the key of a
            config's `weights`.
        any_weights: the embeddings do not depend on its weights.
    """

    prompts: Sequence[str]
    stands_for: str = ''
    files: Mapping[str, Sequence[str]] = field(default_factory=dict)
    any_weights: bool = False


@MODELS.register_module()
class StoredTextEncoder(nn.Module):
    """Look the embeddings of prompts up in a file.

    It takes the place of the text encoder that made the file, where the same
    few prompts are used each time, such as the empty one alone.

    Args:
        pretrained: file of `star prepare prompts`.

    Raises:
        ValueError: there is no such file, or it is another one.
    """

    embeddings: Tensor

    def __init__(self, pretrained: str) -> None:
        super().__init__()
        stored = read_prompts(pretrained)
        self.path = str(pretrained)
        self.stands_for = stored.stands_for
        self.any_weights = stored.any_weights
        self._rows = {prompt: i for i, prompt in enumerate(stored.prompts)}
        state = read_state(pretrained)
        if state.keys() != {'embeddings'}:
            raise ValueError(f'{pretrained} is damaged: {_MAKE}')
        self.register_buffer('embeddings', state['embeddings'])

    @property
    def prompts(self) -> list[str]:
        """The stored prompts."""
        return list(self._rows)

    def forward(self, prompts: list[str]) -> Tensor:
        """Return embeddings (N, L, D) float32, one row per prompt.

        Raises:
            ValueError: a prompt is not stored.
        """
        rows = [self._row(prompt) for prompt in prompts]
        return torch.stack([self.embeddings[row] for row in rows]).float()

    def count_overflow(self, prompt: str) -> int:
        """Return 0: what was cut off is not known any more.

        Raises:
            ValueError: the prompt is not stored.
        """
        self._row(prompt)
        return 0

    def _row(self, prompt: str) -> int:
        row = self._rows.get(prompt.strip())
        if row is None:
            known = ', '.join(map(repr, self.prompts))
            raise ValueError(
                f'the prompt {prompt!r} is not in {self.path}, which has '
                f'{known}: add it with `star prepare prompts --prompt`, or '
                'take the file away to use the text encoder itself'
            )
        return row


def read_prompts(path: str | Path) -> StoredPrompts:
    """Read the header of a file of stored prompts.

    Raises:
        ValueError: there is no such file, or it is another one.
    """
    if not Path(path).is_file():
        raise ValueError(f'there is no file of stored prompts {path}: {_MAKE}')
    note = read_notes(path).get(_NOTE)
    if note is None:
        raise ValueError(f'{path} is no file of stored prompts: {_MAKE}')
    return StoredPrompts(**json.loads(note))


def save_prompts(
    path: str | Path, stored: StoredPrompts, embeddings: Tensor
) -> None:
    """Write a file of stored prompts.

    Args:
        path: of the file, .safetensors.
        stored: its header.
        embeddings: of the prompts, (N, L, D).
    """
    with atomic_path(Path(path)) as temporary:
        save_file(
            {'embeddings': embeddings.contiguous()},
            temporary,
            {_NOTE: json.dumps(asdict(stored))},
        )
