"""Show what a restoration will take: `star plan`."""

import argparse
import json
from dataclasses import asdict
from pathlib import Path
from typing import Any

from star.apis import FileOptions, init_model
from star.apis.inference.batch import Job
from star.apis.inference.clip_plan import (
    ClipPlan,
    describe,
    find_scenes,
    plan_clip,
    with_scenes,
    with_time,
)
from star.apis.inference.savings import Savings
from star.cli.common import DONE, INCOMPLETE, announce, say
from star.cli.restore_clip import choose_for_each, given, memory_rules
from star.cli.restore_start import plan as list_jobs
from star.models.contracts import Restorer
from star.models.restoration.options import RestoreOptions


def run(args: argparse.Namespace) -> int:
    """Print the plan of each clip and return the exit code."""
    if args.dst is None:
        args.dst = f'{Path(args.src).stem}_restored.mp4'
    announce(str(args.src))
    planned = list_jobs(args)
    model = init_model(
        args.config,
        args.weights,
        args.device,
        args.dtype,
        Savings(**given(args, Savings)),
    )
    chosen = choose_for_each(model, planned.jobs, args)
    plans = []
    for job, options in zip(planned.jobs, chosen, strict=True):
        plans.append(make(model, job, options, args))
        if not args.json:
            show(job, plans[-1])
    if args.json:
        found = [
            as_json(job, p) for job, p in zip(planned.jobs, plans, strict=True)
        ]
        print(json.dumps(found if planned.batch else found[0], indent=2))
    return DONE if all(fits(plan) for plan in plans) else INCOMPLETE


def make(
    model: Restorer,
    job: Job,
    options: RestoreOptions,
    args: argparse.Namespace,
) -> ClipPlan:
    """Plan one clip, with its scenes, and with its time if it fits."""
    args.overwrite = True  # nothing is written
    files = FileOptions(**given(args, FileOptions), memory=memory_rules(args))
    plan = plan_clip(model, job.src, job.target, options, files)
    plan = with_scenes(model, plan, *find_scenes(job.src, files))
    if args.time and fits(plan):
        say(f'{job.src.name}: restoring a few frames to measure the time')
        plan = with_time(model, plan, job.src, job.target, files)
    return plan


def fits(plan: ClipPlan) -> bool:
    """Return whether the clip can be restored in the memory."""
    use, limit = plan.choice.use, plan.choice.limit
    return use is None or limit is None or use.peak <= limit


def show(job: Job, plan: ClipPlan) -> None:
    """Print a plan for people."""
    print(job.src)
    for name, value in describe(plan):
        print(f'  {name:<8}{value}')


def as_json(job: Job, plan: ClipPlan) -> dict[str, Any]:
    """Return a plan as builtin types."""
    use = plan.choice.use
    memory = None if use is None else {**asdict(use), 'peak': use.peak}
    found = asdict(plan)
    choice = found.pop('choice')
    return {
        'src': str(job.src),
        'dst': str(job.dst),
        **found,
        'passes': plan.passes,
        'options': choice['options'],
        'chosen': choice['changed'],
        'memory': memory,
        'limit': choice['limit'],
        'fits': fits(plan),
        'note': choice['note'],
    }
