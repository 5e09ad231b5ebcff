"""Restore clips: `star restore`."""

import argparse
import sys
from datetime import timedelta

from star.apis import FileOptions, init_model
from star.apis.inference.batch import Job, Plan
from star.apis.inference.journal import count_kept
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.preview import PreviewRequest, make_preview
from star.apis.inference.restore import is_complete
from star.apis.inference.savings import Savings
from star.cli.common import DONE, INCOMPLETE, STOPPED, say
from star.cli.restore_clip import (
    Terminal,
    choose_for_each,
    failure,
    given,
    restore,
)
from star.cli.restore_results import (
    Result,
    not_begun,
    print_json,
    print_results,
)
from star.cli.restore_team import choose_device, joined, share
from star.models.contracts import Restorer
from star.models.restoration.options import RestoreOptions
from star.utils.distributed import Team
from star.utils.signals import ignore_interrupts
from star.video.formats import IMAGE_SUFFIXES


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
    terminal = Terminal(args.progress == 'json')
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
                preview(model, job, options, args, terminal)
                for job, options in zip(planned.jobs, chosen, strict=True)
            ]
            if not goes_on(args):
                print_json(previews, planned, args)
                return exit_code(previews)
        for job, options in zip(planned.jobs, chosen, strict=True):
            results.append(restore(model, job, options, args, terminal))
    except (KeyboardInterrupt, StoppedError) as reason:
        with ignore_interrupts():
            results += unfinished(planned.jobs[len(results) :], reason)
            print_results(results, planned, args, True)
        if isinstance(reason, KeyboardInterrupt):
            raise
        return STOPPED if reason.planned else INCOMPLETE
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


def preview(
    model: Restorer,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
    terminal: Terminal,
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
        with terminal.bar(f'preview of {job.src.name}') as bar:
            made = make_preview(model, request, options, files, bar)
    except Exception as error:  # it ends this preview only
        return failure(job, error, terminal)
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
