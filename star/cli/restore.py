"""Restore clips: `star restore`."""

import argparse
import sys
import traceback
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

from star.apis import FileOptions, RestoreReport, init_model, restore_video
from star.apis.inference.batch import Job, Plan
from star.apis.inference.clip_plan import ClipPlan, plan_clip
from star.apis.inference.file_options import MemoryRules
from star.apis.inference.journal import HeldError, count_kept
from star.apis.inference.out_of_memory import is_out_of_memory
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.planning import write_bytes
from star.apis.inference.preview import PreviewRequest, make_preview
from star.apis.inference.restore import is_complete
from star.apis.inference.savings import Savings
from star.apis.inference.sidecar import sidecar_path
from star.cli.common import DONE, INCOMPLETE, say
from star.cli.progress import ProgressBar
from star.cli.progress_lines import ProgressLines
from star.cli.prompts import find_prompts, give_prompts
from star.cli.restore_results import (
    Result,
    not_begun,
    print_json,
    print_results,
)
from star.cli.restore_team import choose_device, joined, share
from star.models.contracts import Restorer
from star.models.restoration.choose import choose_options
from star.models.restoration.options import RestoreOptions
from star.utils.distributed import LostProcessError, Team
from star.utils.files import beside, read_json
from star.utils.signals import ignore_interrupts
from star.video.formats import IMAGE_SUFFIXES

_ADVICE = (
    'out of memory: smaller pieces need less; give --tile (such as 512) or a '
    'smaller --window'
)


def run(planned: Plan, args: argparse.Namespace) -> int:
    """Restore all clips and return the exit code.

    Args:
        planned: what is to be done.
        args: options of the command.
    """
    with joined() as team:
        return restore_all(planned, args, team)


def restore_all(
    planned: Plan, args: argparse.Namespace, team: Team | None
) -> int:
    """Restore all clips with the help of other processes, if there are any."""
    results: list[Result] = []
    try:
        model = init_model(
            args.config,
            args.weights,
            choose_device(args.device),
            args.dtype,
            Savings(**given(args, Savings)),
        )
        share(model, team)
        chosen = choose_for_each(model, planned.jobs, args)
        if args.preview:
            previews = [
                preview(model, job, options, args)
                for job, options in zip(planned.jobs, chosen, strict=True)
            ]
            if not goes_on(args):
                print_json(previews, planned, args)
                return exit_code(previews)
        for job, options in zip(planned.jobs, chosen, strict=True):
            results.append(restore(model, job, options, args))
    except (KeyboardInterrupt, StoppedError) as reason:
        with ignore_interrupts():
            results += unfinished(planned.jobs[len(results) :], reason)
            print_results(results, planned, args, True)
        if isinstance(reason, KeyboardInterrupt):
            raise
        return INCOMPLETE
    print_results(results, planned, args)
    return exit_code(results)


def exit_code(results: list[Result]) -> int:
    """Return 1 if any clip failed."""
    failed = any('error' in result for result in results)
    return INCOMPLETE if failed else DONE


def unfinished(jobs: list[Job], reason: BaseException) -> list[Result]:
    """Describe the clip at which the work stopped, and those after it."""
    if not jobs:
        return []
    stopped = isinstance(reason, StoppedError)
    why = str(reason) if stopped else 'interrupted'
    first, rest = jobs[0], jobs[1:]
    kept = count_kept(first.dst)
    if kept or stopped:
        say(
            f'{first.src}: {why}; {kept} restored frames are kept: the same '
            'command goes on'
        )
    here = {'src': str(first.src), 'dst': str(first.dst)}
    return [{**here, 'error': why, 'kept': kept}, *not_begun(rest, why)]


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


def restore(
    model: Restorer,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
) -> Result:
    """Restore one clip; return its report, or the error.

    Raises:
        StoppedError: the time to stop has come.
    """
    files = FileOptions(**given(args, FileOptions), memory=memory_rules(args))
    bar = progress_of(job.src.name, args)
    try:
        plan = plan_clip(model, job.src, job.target, options, files)
        options = plan.choice.options
        tell_plan(job, plan)
        with bar:
            done = restore_video(
                model, job.src, job.target, options, files, bar
            )
        tell(job, done, bar)
        if args.report:
            write_page(job)
    except StoppedError:
        raise
    except LostProcessError as error:  # no other clip can be restored
        raise StoppedError(str(error)) from error
    except Exception as error:  # it ends this clip, not the batch
        return failure(job, error)
    return asdict(done)


def progress_of(
    name: str, args: argparse.Namespace
) -> ProgressBar | ProgressLines:
    """Return what shows the progress of a clip."""
    return {'bar': ProgressBar, 'json': ProgressLines}[args.progress](name)


def memory_rules(args: argparse.Namespace) -> MemoryRules:
    """Return by which rules windows and tiles are chosen."""
    fixed = {'window', 'overlap', 'tile', 'tile_overlap'}
    known = {name for name in fixed if getattr(args, name) is not None}
    return MemoryRules(args.memory_limit, tuple(sorted(known)))


def tell_plan(job: Job, plan: ClipPlan) -> None:
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
    say(f'{job.src.name}: plan: {", ".join(words)}')
    if plan.choice.note:
        say(f'note: {job.src.name}: {plan.choice.note}')


def tell(
    job: Job, done: RestoreReport, bar: ProgressBar | ProgressLines
) -> None:
    """Print what there is to say of a result that is complete."""
    for note in done.notes:
        if note not in bar.told:
            say(f'note: {job.src.name}: {note}')
    for warning in done.warnings:
        say(f'warning: {job.src.name}: {warning}')
    say(describe(done))


def write_page(job: Job) -> None:
    """Draw the record of a result as a page beside it."""
    from star.report.trust_page import write_trust_page  # needs matplotlib

    page = beside(job.dst, suffix='.star.html')
    record = read_json(sidecar_path(job.dst))
    write_trust_page(page, record, job.src, job.dst)
    say(f'report: {page}')


def preview(
    model: Restorer,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
) -> Result:
    """Show some places of a clip that is not done; return the report."""
    found = {'src': str(job.src), 'dst': str(job.dst)}
    if job.src.suffix.lower() in IMAGE_SUFFIXES:
        return found  # a photograph is its own preview
    files = FileOptions(**given(args, FileOptions))
    request = PreviewRequest(job.src, job.dst, *args.preview)
    try:
        if is_complete(model, job.src, job.target, options, files):
            return {**found, 'skipped': True}
        with progress_of(f'preview of {job.src.name}', args) as bar:
            made = make_preview(model, request, options, files, bar)
    except Exception as error:  # it ends this preview only
        return failure(job, error)
    whole = timedelta(seconds=round(made.whole))
    say(f'preview: {made.path}; the whole will take about {whole}')
    return {**found, 'preview': str(made.path), 'whole_seconds': made.whole}


def goes_on(args: argparse.Namespace) -> bool:
    """Return whether the user wants more than the previews."""
    if args.yes:
        return True
    if not sys.stdin.isatty():
        say('nothing else was done; the same command with --yes goes on')
        return False
    say('go on? [y/N]')
    return sys.stdin.readline().strip().lower() in ('y', 'yes')


def failure(job: Job, error: Exception) -> Result:
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
    say(f'error: {message}{more}')
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
