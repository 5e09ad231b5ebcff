"""Start `star restore`: what is wrong with its paths is named at once."""

import argparse
import os
from importlib import import_module

from star.apis.inference.batch import Plan, Rules, plan_jobs
from star.cli.common import INCOMPLETE, announce, say
from star.cli.restore_results import Result, not_begun, print_results
from star.utils.signals import raise_on_signals
from star.video.info import VideoError
from star.video.probing import probe


def run(args: argparse.Namespace) -> int:
    """Plan, import what takes seconds, restore; return the exit code."""
    if 'TORCHELASTIC_RUN_ID' in os.environ and os.environ['RANK'] != '0':
        return import_module('star.cli.restore_team').run(args)
    if args.gpus is not None and args.launcher == 'none' and not args.ray:
        return import_module('star.cli.launch').launch('restore', args)
    planned = Plan([], batch=True)
    with raise_on_signals():
        try:
            planned = plan(args)
            unreadable = find_unreadable(planned)
            if unreadable is not None:
                print_results([unreadable], planned, args)
                return INCOMPLETE
            announce(str(args.src))
            name = 'restore_ray' if args.ray else 'restore'
            command = import_module(f'star.cli.{name}')
        except KeyboardInterrupt:
            print_results(not_begun(planned.jobs), planned, args, True)
            raise
        return command.run(planned, args)


def find_unreadable(planned: Plan) -> Result | None:
    """Print and return the error of a single source that cannot be read."""
    if planned.batch or len(planned.jobs) != 1:
        return None  # the clips of a batch are opened in turn
    (job,) = planned.jobs
    try:
        probe(job.src)
    except VideoError as error:
        say(f'error: {error}')
        return {
            'src': str(job.src),
            'dst': str(job.dst),
            'error': str(error),
        }
    return None


def plan(args: argparse.Namespace) -> Plan:
    """List the clips and where their results go."""
    rules = Rules(args.codec == 'png', args.as_clip, args.recursive)
    planned = plan_jobs(args.src, args.dst, rules)
    for note in planned.notes:
        say(f'note: {note}')
    if len(planned.jobs) > 1 and args.cuts not in ('auto', 'none'):
        raise ValueError(
            f'--cuts {args.cuts} is for one clip, and there are '
            f'{len(planned.jobs)}: restore it alone'
        )
    return planned
