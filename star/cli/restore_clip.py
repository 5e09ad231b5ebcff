"""One clip of `star restore`: from its job to its result."""

import argparse
import traceback
from dataclasses import asdict, fields
from typing import Any, Protocol

from star.apis import FileOptions, RestoreReport, restore_video
from star.apis.inference.batch import Job
from star.apis.inference.clip_plan import ClipPlan, plan_clip
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.journal import HeldError, count_kept
from star.apis.inference.out_of_memory import is_out_of_memory
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.planning import write_bytes
from star.apis.inference.sidecar import sidecar_path
from star.cli.common import say
from star.cli.progress import ProgressBar
from star.cli.progress_lines import ProgressLines
from star.cli.prompts import find_prompts, give_prompts
from star.cli.restore_results import Result
from star.models.contracts import Restorer
from star.models.restoration.choose import choose_options
from star.models.restoration.options import RestoreOptions
from star.utils.distributed import LostProcessError
from star.utils.files import beside, read_json

_ADVICE = (
    'out of memory: smaller pieces need less; give --tile (such as 512) or a '
    'smaller --window'
)


class Bar(Protocol):
    """Shows the events of a clip, and remembers its notes."""

    told: list[str]

    def __enter__(self) -> 'Bar':
        """Begin to show."""

    def __exit__(self, *error: object) -> None:
        """End."""

    def progress(self, stage: str, done: int, total: int | None) -> None:
        """Show that `done` of `total` frames have passed a stage."""

    def note(self, text: str) -> None:
        """Show a note."""


class Teller(Protocol):
    """Brings messages to the user."""

    def say(self, text: str) -> None:
        """Print a message in one line."""

    def bar(self, name: str) -> Bar:
        """Return what shows the progress of a clip."""


class Terminal:
    """Prints messages and progress to the standard error stream.

    Args:
        as_json: progress is JSON.
    """

    def __init__(self, as_json: bool = False) -> None:
        self._as_json = as_json

    def say(self, text: str) -> None:
        """Print a message, in one line."""
        say(text)

    def bar(self, name: str) -> ProgressBar | ProgressLines:
        """Return what shows the progress of a clip."""
        return ProgressLines(name) if self._as_json else ProgressBar(name)


def restore(
    model: Restorer,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
    teller: Teller,
) -> Result:
    """Restore one clip; return its report, or the error.

    Args:
        model: of the clip.
        job: the clip and its result.
        options: of the restoration.
        args: options of the command.
        teller: receives all messages.

    Raises:
        StoppedError: the time to stop has come.
    """
    files = FileOptions(**given(args, FileOptions), memory=memory_rules(args))
    bar = teller.bar(job.src.name)
    try:
        plan = plan_clip(model, job.src, job.target, options, files)
        options = plan.choice.options
        tell_plan(job, plan, teller)
        with bar:
            done = restore_video(
                model, job.src, job.target, options, files, bar
            )
        tell(job, done, bar, teller)
        if args.report:
            write_page(job, teller)
    except StoppedError:
        raise
    except LostProcessError as error:  # no other clip can be restored
        raise StoppedError(str(error)) from error
    except Exception as error:  # it ends this clip, not the batch
        return failure(job, error, teller)
    return asdict(done)


def given(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """Collect the given options that are fields of a dataclass."""
    found = {f.name: getattr(args, f.name, None) for f in fields(options)}
    return {k: value for k, value in found.items() if value is not None}


def choose_for_each(
    model: Restorer, jobs: list[Job], args: argparse.Namespace
) -> list[RestoreOptions]:
    """Choose the options of each clip: only prompts differ."""
    found, texts = given(args, RestoreOptions), args.prompt_file
    if texts is None:
        return [choose_options(model, found)] * len(jobs)
    if 'prompt' in found:
        raise ValueError('give --prompt or --prompt-file, not both')
    options = choose_options(model, {**found, 'prompt': ''})
    return give_prompts(options, find_prompts(texts, jobs))


def memory_rules(args: argparse.Namespace) -> MemoryRules:
    """Return by which rules windows and tiles are chosen."""
    fixed = {'window', 'overlap', 'tile', 'tile_overlap'}
    known = {name for name in fixed if getattr(args, name) is not None}
    share = getattr(args, 'memory_share', 1)  # of a cluster's worker
    return MemoryRules(args.memory_limit, tuple(sorted(known)), share)


def tell_plan(job: Job, plan: ClipPlan, teller: Teller) -> None:
    """Print what a clip will take, in short."""
    use, options = plan.choice.use, plan.choice.options
    if use is None and not plan.choice.note:
        return
    width, height = plan.output_size
    words = [f'{width}x{height}']
    if plan.choice.changed:
        words.append(
            f'--window {options.window} --overlap {options.overlap} '
            f'--tile {options.tile} (chosen for the memory)'
        )
    if plan.passes is not None:
        words.append(f'{plan.passes} passes')
    if use is not None:
        words.append(f'about {write_bytes(use.peak)} of memory')
    if plan.choice.limit is not None:
        words.append(f'{write_bytes(plan.choice.limit)} may be taken')
    teller.say(f'{job.src.name}: plan: {", ".join(words)}')
    if plan.choice.note:
        teller.say(f'note: {job.src.name}: {plan.choice.note}')


def tell(job: Job, done: RestoreReport, bar: Bar, teller: Teller) -> None:
    """Print what there is to say of a result that is complete."""
    for note in done.notes:
        if note not in bar.told:
            teller.say(f'note: {job.src.name}: {note}')
    for warning in done.warnings:
        teller.say(f'warning: {job.src.name}: {warning}')
    teller.say(describe(done))


def write_page(job: Job, teller: Teller) -> None:
    """Draw the record of a result as a page beside it."""
    from star.report.trust_page import write_trust_page  # needs matplotlib

    page = beside(job.dst, suffix='.star.html')
    record = read_json(sidecar_path(job.dst))
    write_trust_page(page, record, job.src, job.dst)
    teller.say(f'report: {page}')


def failure(job: Job, error: Exception, teller: Teller) -> Result:
    """Print the error of a clip and return it for the report.

    That of a defect of this program has its traceback there.
    """
    found = {'src': str(job.src), 'dst': str(job.dst)}
    if is_out_of_memory(error):
        message = f'{job.src}: {_ADVICE}'
    elif isinstance(error, ValueError | OSError):
        message = str(error)
    else:
        reason = ' '.join(f'{type(error).__name__}: {error}'.split())
        message = f'{job.src}: a defect of this program ({reason})'
        found['traceback'] = ''.join(traceback.format_exception(error))
    kept = 0 if isinstance(error, HeldError) else count_kept(job.dst)
    more = f'; {kept} restored frames are kept for another try' if kept else ''
    teller.say(f'error: {message}{more}')
    return {**found, 'error': message, **({'kept': kept} if kept else {})}


def describe(report: RestoreReport) -> str:
    """Summarise a restoration in a line."""
    if report.skipped:
        return f'{report.dst}: is complete already, nothing was done'
    width, height = report.output_size
    kept = f', {report.kept} of them before,' if report.kept else ''
    return (
        f'{report.dst}: {width}x{height}, {report.frames} frames{kept} in '
        f'{report.seconds:.1f} s ({report.frames_per_second:.2f} frames/s), '
        f'peak memory {report.peak_memory / 2**30:.2f} GiB'
    )
