"""Published models by name: `hf://owner/name` on the hub, or a folder here."""

import re
from pathlib import Path
from typing import NoReturn

from star.apis.inference.published import (
    PublishedModel,
    open_published,
    read_manifest,
)
from star.utils.checkpoint_folder import CONFIG
from star.utils.errors import error_line

SCHEME = 'hf://'
_NAME = re.compile(r'(?P<repo>[\w.-]+/[\w.-]+)(@(?P<revision>[\w./-]+))?')


def find_published(config: str | Path | None) -> PublishedModel | None:
    """Find a published model; download it if it is not in the hub's cache.

    Args:
        config: 'hf://owner/name', 'hf://owner/name@revision' with a branch,
            a tag or a commit, or a folder that `star convert publish` wrote.

    Returns:
        The model, with verified weights; None for what is no such name, and
        no folder with a `config.json`.

    Raises:
        ValueError: the name is misspelt, the hub does not give the model, or
            as for `open_published`.
    """
    if config is None:
        return None
    if str(config).startswith(SCHEME):
        return open_published(_download(str(config)), config)
    folder = Path(config)
    if (folder / CONFIG).is_file():
        return open_published(folder, folder)
    return None


def _download(source: str) -> Path:
    """Download the config, and then the one file that it names."""
    found = _NAME.fullmatch(source.removeprefix(SCHEME))
    if found is None:
        raise ValueError(
            '`config` must be hf://owner/name or hf://owner/name@revision, '
            f'got {source!r}'
        )
    folder = _fetch(source, found['repo'], found['revision'], CONFIG)
    manifest = read_manifest(folder, source)
    # the folder's name is the commit: a push in between changes nothing
    return _fetch(source, found['repo'], folder.name, manifest.file)


def _fetch(source: str, repo: str, revision: str | None, file: str) -> Path:
    from huggingface_hub import snapshot_download  # slow

    try:
        path = snapshot_download(repo, revision=revision, allow_patterns=file)
    except Exception as error:  # its HTTP library has classes of its own
        _explain(source, error)
    return Path(path)


def _explain(source: str, error: Exception) -> NoReturn:
    from huggingface_hub import errors

    if isinstance(error, errors.GatedRepoError):
        reason = (
            'its owner gives access on request: ask for it on its page, then '
            'log in with `hf auth login`'
        )
    elif isinstance(error, errors.RepositoryNotFoundError):
        reason = (
            'there is no such repository, or it is private: check the name, '
            'or log in with `hf auth login`'
        )
    elif isinstance(error, errors.RevisionNotFoundError):
        reason = 'the repository has no such branch, tag or commit'
    elif isinstance(error, errors.LocalEntryNotFoundError):
        reason = (
            'it is not in the cache and the hub cannot be reached: connect, '
            'or give the folder of a copy in place of the name'
        )
    else:
        reason = error_line(error)
    raise ValueError(
        f'`config`: {source} cannot be downloaded: {reason}'
    ) from error
