"""`Choice`: the options of a job, and the command lines made of them."""

import shlex
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

PREVIEW = '3x1s'  # three places of a second each
RESTORE, PREVIEWED, PLANNED = 'restore', 'preview', 'plan'  # tasks
# those that a method may not heed
METHOD_OPTIONS = (
    *('scale', 'window', 'tile', 'seed', 'color_fix', 'fidelity'),
    'prompt',
)
# what a program reads, and a person does not
_MACHINE = ('--json', '--progress', 'json')


@dataclass(frozen=True)
class Choice:
    """Options of `star restore`, as typed; None for its default.

    The command itself refuses wrong values.

    Args:
        config: name of a config.
        weights: a word that the config knows.
        scale: output size over input size.
        window: frames that the model sees at once.
        tile: side in output pixels; 0 for no tiles.
        seed: of all random numbers.
        color_fix: how colours are kept.
        fidelity: how much of what the input shows is taken back.
        prompt: description of the video.
        codec: FFmpeg's name of the encoder.
        crf: quality of the result; less is better.
    """

    config: str | None = None
    weights: str | None = None
    scale: str | None = None
    window: str | None = None
    tile: str | None = None
    seed: str | None = None
    color_fix: str | None = None
    fidelity: str | None = None
    prompt: str | None = None
    codec: str | None = None
    crf: str | None = None

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> 'Choice':
        """Make a choice of builtin types; an empty text is no value."""
        texts = {f.name: value.get(f.name) for f in fields(cls)}
        plain = {k: str(v or '').strip() or None for k, v in texts.items()}
        return cls(**plain)

    def words(self) -> list[str]:
        """Return the options as words of a command line."""
        found = []
        for name, value in asdict(self).items():
            if value is None:
                continue
            option = '--' + name.replace('_', '-')
            # a text that begins like an option
            dashed = value.startswith('-')
            found += [f'{option}={value}'] if dashed else [option, value]
        return found


def command_line(src: Path, dst: Path, choice: Choice) -> str:
    """Return the command line that restores a clip, for a shell."""
    words = ['star', RESTORE, str(src), str(dst), *choice.words()]
    return shlex.join(words)


def task_words(task: str, src: Path, dst: Path, choice: Choice) -> list[str]:
    """Return the words after `star` that do a task of a job.

    Args:
        task: 'restore', 'preview' or 'plan'.
        src: the input.
        dst: the result.
        choice: options of the job.
    """
    words = [str(src), str(dst), *choice.words()]
    if task == PLANNED:
        return ['plan', *words, '--json']
    more = ['--preview', PREVIEW] if task == PREVIEWED else []
    return [RESTORE, *words, *more, *_MACHINE]
