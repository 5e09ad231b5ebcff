"""Stored embeddings of prompts, in the place of a text encoder's weights."""

from collections.abc import Mapping
from pathlib import Path

from mmengine.config import Config

from star.apis.inference.weights import find_weights
from star.models.text_encoders.stored import read_prompts
from star.utils.origins import SourceFile
from star.utils.weight_files import WeightFile, find_local

TEXT = ('text', 'tokenizer')  # slots of files that stored prompts replace
PROMPTS = 'prompts'  # key of a config's `weights`


def find_prompts(
    wanted: Mapping, source: str | Path | None = None
) -> Path | None:
    """Find the file of stored prompts that a config names.

    Args:
        wanted: a config's `weights`, maybe with `prompts`, a dict of
            `WeightFile` arguments.
        source: as for `find_weights`; a folder is searched first.

    Returns:
        Its path; None where the config names none, or nobody made it.
    """
    if PROMPTS not in wanted or 'asset' in wanted:
        return None
    file = WeightFile(**wanted[PROMPTS])
    if Path(file.file).is_file():
        return Path(file.file)
    folder = None if source is None else Path(source).expanduser()
    in_folder = folder if folder is not None and folder.is_dir() else None
    return find_local(file, in_folder)


def find_files(
    wanted: Mapping, source: str | Path | None = None
) -> dict[str, Path]:
    """Find a config's files, stored prompts before those of text.

    Args:
        wanted: as for `find_weights`.
        source: as for `find_weights`.

    Returns:
        As `find_weights`; the part of stored prompts is 'prompts'.

    Raises:
        ValueError: as for `find_weights`.
    """
    stored = find_prompts(wanted, source)
    if stored is None:
        return find_weights(wanted, source)
    rest = {k: v for k, v in wanted.items() if k not in TEXT}
    return {**find_weights(rest, source), PROMPTS: stored}


def matching_prompts(
    wanted: Mapping,
    source: str | Path | None,
    named: Mapping[str, SourceFile],
) -> Path | None:
    """Find stored prompts of the text encoder that a checkpoint names.

    Args:
        wanted: as for `find_prompts`, as is `source`.
        source: a folder that is searched first.
        named: files of the checkpoint's record, by slot.

    Returns:
        Their path; None where there are none, or of another encoder.
    """
    stored = find_prompts(wanted, source) if 'text' in named else None
    if stored is None:
        return None
    facts = read_prompts(stored)
    _, digest = facts.files.get('text', ('', ''))
    same = facts.any_weights or digest == named['text'].sha256
    return stored if same else None


def describe_prompts(
    path: Path, prefixes: tuple[str, ...]
) -> list[SourceFile]:
    """Describe stored prompts as the files of the encoder that made them.

    So a model has the same origins with either, and a checkpoint that was
    trained with one can be restored with the other.

    Args:
        path: of the stored prompts.
        prefixes: of the encoder's tensors.
    """
    files = read_prompts(path).files
    if not files:
        return [SourceFile(PROMPTS, str(path.absolute()), '', prefixes)]
    return [
        SourceFile(slot, name, digest, prefixes if slot == 'text' else ())
        for slot, (name, digest) in files.items()
    ]


def with_prompts(config: Config, path: Path) -> None:
    """Let stored prompts take the place of a config's text encoder.

    Args:
        config: with `model`; changed in place.
        path: of the stored prompts.
    """
    config.model.text_encoder = {
        'type': 'StoredTextEncoder',
        'pretrained': str(path),
    }
