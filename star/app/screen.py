"""`describe`: what the page shows of the jobs, as plain values."""

from pathlib import Path
from typing import Any

from star.app import texts
from star.app.choice import RESTORE, Choice, command_line
from star.app.core import AppCore
from star.app.queue import IDLE, View
from star.app.records import (
    DONE,
    FAILED,
    NEW,
    PAUSED,
    QUEUED,
    RUNNING,
    STOPPED,
    JobRecord,
)

# states in which a button means something
_BUTTONS = {
    'plan': (NEW, FAILED),
    'preview': (NEW, FAILED),
    'restore': (NEW, FAILED),
    'pause': (QUEUED, RUNNING),
    'resume': (PAUSED, STOPPED),
    'stop': (QUEUED, RUNNING, PAUSED),
    'remove': (NEW, QUEUED, RUNNING, PAUSED, STOPPED, DONE, FAILED),
    'compare': (DONE,),
}
Screen = dict[str, Any]  # name of a part -> its value


def describe(
    core: AppCore,
    selected: str | None,
    place: int,
    key: str | None,
    choice: Choice,
) -> Screen:
    """Describe what the page is to show.

    Args:
        core: of the app.
        selected: job that the user looks at; None for the newest.
        place: of the preview.
        key: of the method that the user has chosen.
        choice: options that the user has chosen.

    Returns:
        'jobs', labels and ids with the selected id; 'status', 'plan',
        'result' and 'comparison', HTML; 'buttons', those that are shown;
        'all', how many jobs are new; 'preview', file, time and place; None
        without one; 'command', a command line.
    """
    jobs = core.store.list_jobs()
    job = core.store.find(selected) or (jobs[-1] if jobs else None)
    labels = [
        (texts.job_label(each, core.queue.view(each.id)), each.id)
        for each in reversed(jobs)
    ]
    found: Screen = {'jobs': (labels, job.id if job else None)}
    found['all'] = len(core.list_new())
    if job is None:
        empty = {'plan': '', 'result': '', 'comparison': '', 'command': ''}
        status = texts.status_html(None, View({}))
        return {
            **found,
            **empty,
            'status': status,
            'buttons': [],
            'preview': None,
        }
    return {**found, **_describe_job(core, job, place, key, choice)}


def buttons_of(job: JobRecord) -> list[str]:
    """List the buttons that mean something for a job."""
    found = [name for name, states in _BUTTONS.items() if job.state in states]
    if job.task != RESTORE and job.state in (QUEUED, RUNNING):
        found.remove('pause')  # a plan and a preview begin anew
    return found


def _describe_job(
    core: AppCore, job: JobRecord, place: int, key: str | None, choice: Choice
) -> Screen:
    dst, shown = core.store.target(job), None
    path = core.store.preview(job)
    if job.preview and path.is_file():
        shown = (str(path), path.stat().st_mtime_ns, place)
    comparison = core.store.comparison(job)
    played = comparison.is_file() and job.state == DONE
    return {
        'status': texts.status_html(job, core.queue.view(job.id)),
        'buttons': [
            name
            for name in buttons_of(job)
            if not (name == 'compare' and played)
        ],
        'plan': texts.plan_html(job.plan) if job.state in IDLE else '',
        'preview': shown,
        'result': texts.result_html(job, dst, played),
        'comparison': _comparison(comparison, job) if played else '',
        'command': _command(core, job, key, choice),
    }


def _comparison(path: Path, job: JobRecord) -> str:
    return texts.comparison_html(path, int(job.report.get('frames', 0)))


def _command(
    core: AppCore, job: JobRecord, key: str | None, choice: Choice
) -> str:
    """Return the command line of a job, or of what the user has chosen."""
    if job.state in (NEW, FAILED):
        if key is None or not core.methods.ready:
            return ''
        choice = core.choose(key, choice)
    else:
        choice = job.choice
    return command_line(core.store.source(job), core.store.target(job), choice)
