"""Prompts of `star restore` that stand in text files."""

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path

from star.apis.inference.batch import Job
from star.models.restoration.options import RestoreOptions


def find_prompts(source: Path, jobs: Sequence[Job]) -> list[str]:
    """Read the prompt of each clip.

    Args:
        source: a text file for all clips, or a folder with NAME.txt for the
            clip NAME, whatever the clip's suffix.
        jobs: the clips.

    Raises:
        ValueError: a file is missing, or is no text.
    """
    from star.datasets.pairing import name_some, read_caption

    if not source.is_dir():
        return [read_caption(source)] * len(jobs)
    paths = [source / f'{_name(job.src)}.txt' for job in jobs]
    missing = {path.name for path in paths if not path.is_file()}
    if missing:
        raise ValueError(f'--prompt-file {source} lacks {name_some(missing)}')
    return [read_caption(path) for path in paths]


def give_prompts(
    options: RestoreOptions, prompts: Sequence[str]
) -> list[RestoreOptions]:
    """Return the options of each clip, with its prompt."""
    return [replace(options, prompt=prompt) for prompt in prompts]


def _name(clip: Path) -> str:
    return clip.name if clip.is_dir() else clip.stem
