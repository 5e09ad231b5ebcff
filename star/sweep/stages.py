"""The two stages of a run, training and testing: commands and folders.

    WORK_DIR/runs/NAME/seed_S/train/   files of `star train`
    WORK_DIR/runs/NAME/seed_S/test/    files of `star test`
    .../train.log, .../test.log        output of the commands

Each stage's folder has a `sweep.json` with its settings and whether it is
done. A restarted sweep needs nothing else.
"""

import os
import sys
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypedDict

from star.sweep.plan import Run
from star.utils.config import describe_differences, flatten
from star.utils.files import read_json, write_json

FORMAT = 'star-sweep/1'
MARKER = 'sweep.json'
LAST = 'last_checkpoint'  # file of a training
_CHECKPOINT = 'LAST_CHECKPOINT'  # stands for the name, until it is known


class StageRecord(TypedDict):
    """A stage's `sweep.json`."""

    format: str
    done: bool
    seconds: float | None  # of the last attempt
    settings: dict[str, str]


@dataclass(frozen=True)
class SweepOptions:
    """Options that all runs of a sweep share.

    Args:
        work_dir: folder of the sweep.
        train: train before testing.
        common: KEY=VALUE changes of every config.
        train_args: further words for `star train`.
        test_args: further words for `star test`.
        seeded: the restored clips depend on a seed.
        star: arguments of Python that run the command `star`.
    """

    work_dir: Path
    train: bool = True
    common: tuple[str, ...] = ()
    train_args: tuple[str, ...] = ()
    test_args: tuple[str, ...] = ()
    seeded: bool = True
    star: tuple[str, ...] = ('-m', 'star')


@dataclass(frozen=True)
class RunStage:
    """One command of a run.

    Args:
        name: 'train' or 'test'.
        folder: its work folder.
        words: of the command, without those that depend on earlier attempts.
        settings: values that change the outcome, by dotted name.
    """

    name: str
    folder: Path
    words: tuple[str, ...]
    settings: Mapping[str, str]

    @property
    def log(self) -> Path:
        """File of the command's output."""
        return self.folder.with_name(f'{self.name}.log')

    def plan(self) -> list[str]:
        """Return the command; the name of its checkpoint is not known yet."""
        return [os.environ.get('PYTHON', sys.executable), *self.words]

    def command(self) -> list[str]:
        """Return the command to start now."""
        words = self.plan()
        if self.name == 'train' and (self.folder / LAST).is_file():
            return [*words, '--resume']
        trained = self.folder.with_name('train')
        if self.name == 'test' and _CHECKPOINT in words:
            last = (trained / LAST).read_text(encoding='utf-8').strip()
            words[words.index(_CHECKPOINT)] = str(trained / last)
        return words


def run_folder(work_dir: Path, run: Run) -> Path:
    """Return the folder of a run."""
    return work_dir / 'runs' / run.name


def all_changes(run: Run, options: SweepOptions) -> list[str]:
    """Return the changes of a run's config as KEY=VALUE.

    Without training the seed is that of the restoration, if it has one.
    """
    own = [f'{key}={value}' for key, value in run.setting.changes]
    seed = []
    if not options.train and options.seeded:
        seed = [f'model.restore_options.seed={run.seed}']
    return [*options.common, *own, *seed]


def make_stages(
    run: Run, options: SweepOptions, config: Mapping[str, Any]
) -> list[RunStage]:
    """Return the stages of a run in their order.

    Args:
        run: of the sweep.
        options: of the sweep.
        config: of the run, with its changes.
    """
    folder = run_folder(options.work_dir, run)
    flat = {'seed': str(run.seed), **flatten(config, 'config')}
    changes = all_changes(run, options)
    last = ['--cfg-options', *changes] if changes else []
    stages = []
    if options.train:
        words = [*options.star, 'train', run.setting.config]
        words += [*options.train_args, '--seed', str(run.seed)]
        words += ['--work-dir', str(folder / 'train'), *last]
        settings = {**flat, 'train_args': ' '.join(options.train_args)}
        stages.append(RunStage('train', folder / 'train', (*words,), settings))
    words = [*options.star, 'test', run.setting.config]
    words += [_CHECKPOINT] if options.train else []
    words += [*options.test_args, '--name', run.setting.name]
    words += ['--work-dir', str(folder / 'test'), *last]
    settings = {**flat, 'test_args': ' '.join(options.test_args)}
    settings['trained'] = str(options.train)
    stages.append(RunStage('test', folder / 'test', (*words,), settings))
    return stages


def is_done(stage: RunStage) -> bool:
    """Return whether a stage is done."""
    path = stage.folder / MARKER
    return path.is_file() and bool(read_json(path).get('done'))


def check_stage(stage: RunStage) -> None:
    """Refuse a folder that belongs to other settings.

    Raises:
        ValueError: the stage began with other settings, or the folder has
            files that no sweep wrote.
    """
    path = stage.folder / MARKER
    if not path.is_file():
        if stage.folder.is_dir() and any(stage.folder.iterdir()):
            raise ValueError(
                f'{stage.folder} has files that no sweep wrote: choose '
                'another --work-dir, or remove it'
            )
        return
    saved = read_json(path)
    if saved.get('format') != FORMAT:
        raise ValueError(f'{path}: format must be {FORMAT!r}')
    found = describe_differences(saved['settings'], stage.settings)
    if found:
        state = 'done' if saved['done'] else 'begun'
        raise ValueError(
            f'{stage.folder} is stale: it was {state} with other settings: '
            f'{found}; remove it to repeat it, or choose another --work-dir'
        )


def mark_stage(stage: RunStage, seconds: float | None = None) -> None:
    """Record in a stage's folder that it begins, or that it is done.

    Args:
        stage: of a run.
        seconds: duration of its last attempt; None for a stage that begins.
    """
    record: StageRecord = {
        'format': FORMAT,
        'done': seconds is not None,
        'seconds': seconds,
        'settings': dict(stage.settings),
    }
    write_json(stage.folder / MARKER, record)
