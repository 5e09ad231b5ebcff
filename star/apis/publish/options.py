"""Options by which a model is published."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

_REPO = re.compile(r'[\w.-]+/[\w.-]+')


@dataclass(frozen=True)
class PublishOptions:
    """Options by which a model is published.

    Args:
        averaged: take the averaged weights.
        config: of the model; None for the checkpoint's own record.
        base: file with the weights that the training kept frozen, for
            checkpoints that do not record it.
        prefix: keep only names that begin so, and remove the prefix.
        vae: file that takes the place of the autoencoder.
        half: write float16.
        overwrite: replace what is there.
        results: files `results.json` of tests of these weights, for the
            scores on the model card.
        license: of the weights, as the hub names it, such as 'apache-2.0';
            None for that of the method's published weights, if it is known.
        repo: 'owner/name' on the hub, for the model card.

    Raises:
        ValueError: `repo` is misspelt.
    """

    averaged: bool = False
    config: str | None = None
    base: Path | None = None
    prefix: str = ''
    vae: Path | None = None
    half: bool = False
    overwrite: bool = False
    results: Sequence[Path] = ()
    license: str | None = None
    repo: str | None = None

    def __post_init__(self) -> None:
        if self.repo is not None and not _REPO.fullmatch(self.repo):
            raise ValueError(f'`repo` must be OWNER/NAME, got {self.repo!r}')
