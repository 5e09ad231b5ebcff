"""Restore clips: `star restore`."""

import argparse
import json
from dataclasses import asdict, fields, replace
from typing import Any

import torch

from star.apis import FileOptions, RestoreReport, init_model, restore_video
from star.apis.inference.batch import Job, Plan, Rules, plan_jobs
from star.cli.common import DONE, INCOMPLETE, say
from star.cli.progress import ProgressBar
from star.models.contracts import Restorer
from star.models.restoration.choose import choose_options
from star.models.restoration.options import RestoreOptions
from star.utils.origins import is_random

_RANDOM = 'the weights are random numbers: nothing was restored'
_ADVICE = (
    'out of memory: smaller pieces need less; give --tile (such as 512) or a '
    'smaller --window'
)


def run(args: argparse.Namespace) -> int:
    """Restore all clips and return the exit code."""
    planned = plan(args)
    jobs = planned.jobs
    model = init_model(args.config, args.weights, args.device, args.dtype)
    options = choose_options(model, given(args, RestoreOptions))
    results = [restore(model, job, options, args) for job in jobs]
    if args.json:
        whole = results if planned.batch else results[0]
        print(json.dumps(whole, indent=2))
    failed = sum('error' in result for result in results)
    if len(jobs) > 1:
        say(f'{len(jobs) - failed} of {len(jobs)} clips restored')
    return INCOMPLETE if failed else DONE


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
    """Restore one clip; return its report, or the error."""
    files = FileOptions(**given(args, FileOptions))
    try:
        with ProgressBar(job.src.name) as bar:
            report = restore_video(
                model, job.src, job.target, options, files, bar
            )
    except (ValueError, OSError) as error:
        return failure(job, str(error))
    except (MemoryError, RuntimeError) as error:
        if not is_out_of_memory(error):
            raise
        return failure(job, f'{job.src}: {_ADVICE}')
    if is_random(model):
        report = replace(report, notes=(*report.notes, _RANDOM))
    for note in report.notes:
        say(f'note: {job.src.name}: {note}')
    say(describe(report))
    return asdict(report)


def is_out_of_memory(error: Exception) -> bool:
    """Return whether an error says that memory ran out."""
    known = isinstance(error, MemoryError | torch.OutOfMemoryError)
    return known or "can't allocate memory" in str(error)


def failure(job: Job, message: str) -> dict[str, Any]:
    """Print the error of a clip and return it for the report."""
    say(f'error: {message}')
    return {'src': str(job.src), 'dst': str(job.dst), 'error': message}


def describe(report: RestoreReport) -> str:
    """Summarise a restoration in a line."""
    width, height = report.output_size
    return (
        f'{report.dst}: {width}x{height}, {report.frames} frames in '
        f'{report.seconds:.1f} s ({report.frames_per_second:.2f} frames/s), '
        f'peak memory {report.peak_memory / 2**30:.2f} GiB'
    )
