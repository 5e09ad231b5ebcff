"""Results of `star restore`, as it prints them."""

import argparse
import json
from typing import Any

from star.apis.inference.batch import Job, Plan
from star.cli.common import say

Result = dict[str, Any]


def not_begun(jobs: list[Job], why: str = 'interrupted') -> list[Result]:
    """Describe clips that nothing was done for.

    Args:
        jobs: of the clips.
        why: the work ended before them.
    """
    return [
        {
            'src': str(job.src),
            'dst': str(job.dst),
            'error': f'not begun: {why}',
            'kept': 0,
        }
        for job in jobs
    ]


def print_results(
    results: list[Result],
    planned: Plan,
    args: argparse.Namespace,
    stopped: bool = False,
) -> None:
    """Print how many clips are restored, and the results as JSON.

    Args:
        results: of all clips.
        planned: what was to be done.
        args: options of the command.
        stopped: the work ended before all was done.
    """
    print_json(results, planned, args)
    if len(results) < 2:
        return
    failed = sum('error' in result for result in results)
    line = f'{len(results) - failed} of {len(results)} clips restored'
    before = sum(result.get('skipped', False) for result in results)
    line += f', {before} of them before' if before else ''
    say(line + ('; the same command goes on' if stopped else ''))


def print_json(
    results: list[Result], planned: Plan, args: argparse.Namespace
) -> None:
    """Print the results as JSON if the user wants it."""
    if args.json:
        whole = results if planned.batch else results[0]
        print(json.dumps(whole, indent=2), flush=True)
