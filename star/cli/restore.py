"""Restore clips: `star restore`."""

import argparse
import json
import sys
import traceback
from dataclasses import asdict, fields
from datetime import timedelta
from typing import Any

import torch

from star.apis import FileOptions, RestoreReport, init_model, restore_video
from star.apis.inference.batch import Job, Plan, Rules, plan_jobs
from star.apis.inference.journal import count_kept
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.preview import PreviewRequest, make_preview
from star.apis.inference.sidecar import sidecar_path
from star.cli.common import DONE, INCOMPLETE, say
from star.cli.progress import ProgressBar
from star.models.contracts import Restorer
from star.models.restoration.choose import choose_options
from star.models.restoration.options import RestoreOptions
from star.utils.files import beside, read_json
from star.utils.signals import raise_on_signals
from star.video.formats import IMAGE_SUFFIXES

_ADVICE = (
    'out of memory: smaller pieces need less; give --tile (such as 512) or a '
    'smaller --window'
)


def run(args: argparse.Namespace) -> int:
    """Restore all clips and return the exit code."""
    planned = plan(args)
    model = init_model(args.config, args.weights, args.device, args.dtype)
    options = choose_options(model, given(args, RestoreOptions))
    results: list[dict[str, Any]] = []
    if args.preview and not preview(model, planned.jobs, options, args):
        return DONE
    try:
        with raise_on_signals():
            for job in planned.jobs:
                results.append(restore(model, job, options, args))
    except KeyboardInterrupt as reason:
        results += unfinished(planned.jobs[len(results) :], reason)
        report(results, planned, args)
        raise
    except StoppedError as reason:
        results += unfinished(planned.jobs[len(results) :], reason)
    report(results, planned, args)
    failed = any('error' in result for result in results)
    return INCOMPLETE if failed else DONE


def report(
    results: list[dict[str, Any]], planned: Plan, args: argparse.Namespace
) -> None:
    """Print how many clips are restored, and the results as JSON."""
    if args.json:
        whole = results if planned.batch else results[0]
        print(json.dumps(whole, indent=2), flush=True)
    if len(results) < 2:
        return
    failed = sum('error' in result for result in results)
    line = f'{len(results) - failed} of {len(results)} clips restored'
    before = sum(result.get('skipped', False) for result in results)
    say(line + (f', {before} of them before' if before else ''))


def unfinished(jobs: list[Job], reason: BaseException) -> list[dict[str, Any]]:
    """Describe the clip at which the work stopped, and those after it."""
    if not jobs:
        return []
    stopped = isinstance(reason, StoppedError)
    why = str(reason) if stopped else 'interrupted'
    kept = count_kept(jobs[0].dst)
    if kept or stopped:
        say(
            f'{jobs[0].src}: {why}; {kept} restored frames are kept: the '
            'same command goes on'
        )
    return [
        {
            'src': str(job.src),
            'dst': str(job.dst),
            'error': why if job is jobs[0] else f'not begun: {why}',
            'kept': kept if job is jobs[0] else 0,
        }
        for job in jobs
    ]


def plan(args: argparse.Namespace) -> Plan:
    """List the clips and where their results go."""
    rules = Rules(args.codec == 'png', args.as_clip, args.recursive)
    planned = plan_jobs(args.src, args.dst, rules)
    for note in planned.notes:
        say(f'note: {note}')
    return planned


def given(args: argparse.Namespace, options: type) -> dict[str, Any]:
    """Collect the given options that are fields of a dataclass."""
    found = {f.name: getattr(args, f.name, None) for f in fields(options)}
    return {k: value for k, value in found.items() if value is not None}


def restore(
    model: Restorer,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
) -> dict[str, Any]:
    """Restore one clip; return its report, or the error.

    Raises:
        StoppedError: the time to stop has come.
    """
    files = FileOptions(**given(args, FileOptions))
    bar = ProgressBar(job.src.name)
    try:
        with bar:
            done = restore_video(
                model, job.src, job.target, options, files, bar
            )
    except StoppedError:
        raise
    except Exception as error:  # it ends this clip, not the batch
        return failure(job, error)
    for note in done.notes:
        if note not in bar.told:
            say(f'note: {job.src.name}: {note}')
    for warning in done.warnings:
        say(f'warning: {job.src.name}: {warning}')
    say(describe(done))
    if args.report:
        write_page(job)
    return asdict(done)


def write_page(job: Job) -> None:
    """Draw the record of a result as a page beside it."""
    from star.report.trust_page import write_trust_page  # needs matplotlib

    page = beside(job.dst, suffix='.star.html')
    record = read_json(sidecar_path(job.dst))
    write_trust_page(page, record, job.src, job.dst)
    say(f'report: {page}')


def preview(
    model: Restorer,
    jobs: list[Job],
    options: RestoreOptions,
    args: argparse.Namespace,
) -> bool:
    """Show some places of each clip; return whether to go on."""
    files = FileOptions(**given(args, FileOptions))
    count, seconds = args.preview
    for job in jobs:
        if job.src.suffix.lower() in IMAGE_SUFFIXES:
            continue  # a photograph is its own preview
        request = PreviewRequest(job.src, job.dst, count, seconds)
        try:
            with ProgressBar(f'preview of {job.src.name}') as bar:
                made = make_preview(model, request, options, files, bar)
        except (ValueError, OSError) as error:  # it is named again later
            say(f'error: {error}')
            continue
        whole = timedelta(seconds=round(made.whole))
        say(f'preview: {made.path}; the whole will take about {whole}')
    if args.yes:
        return True
    if not sys.stdin.isatty():
        say('nothing else was done; the same command with --yes goes on')
        return False
    say('go on? [y/N]')
    return sys.stdin.readline().strip().lower() in ('y', 'yes')


def failure(job: Job, error: Exception) -> dict[str, Any]:
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
    kept = count_kept(job.dst)
    more = f'; {kept} restored frames are kept for another try' if kept else ''
    say(f'error: {message}{more}')
    return {**found, 'error': message, **({'kept': kept} if kept else {})}


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


def describe(report: RestoreReport) -> str:
    """Summarise a restoration in a line."""
    if report.skipped:
        return f'{report.dst}: is complete already, nothing was done'
    width, height = report.output_size
    return (
        f'{report.dst}: {width}x{height}, {report.frames} frames in '
        f'{report.seconds:.1f} s ({report.frames_per_second:.2f} frames/s), '
        f'peak memory {report.peak_memory / 2**30:.2f} GiB'
    )
