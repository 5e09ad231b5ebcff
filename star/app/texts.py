"""HTML and labels of the page, made of jobs."""

from collections.abc import Iterator, Mapping
from datetime import timedelta
from html import escape
from pathlib import Path
from typing import Any
from urllib.parse import quote

from star.app.choice import PLANNED, PREVIEWED, RESTORE
from star.app.methods import write_size
from star.app.pictures import MOST
from star.app.queue import View
from star.app.records import DONE, FAILED, QUEUED, RUNNING, JobRecord
from star.video.formats import IMAGE_SUFFIXES

_DOING = {PLANNED: 'planning', PREVIEWED: 'preview', RESTORE: 'restoring'}
_PLAYED = ('.mp4', '.mov', '.webm')


def job_label(job: JobRecord, view: View) -> str:
    """Return the line of a job in the list."""
    state = job.state
    if state in (QUEUED, RUNNING):
        doing = _DOING.get(job.task, job.task)
        state = f'{doing}, queued' if state == QUEUED else doing
    if job.state == RUNNING and view.progress:
        state += f' {_share(view.progress):.0%}'
    return f'{job.name} · {state}'


def status_html(job: JobRecord | None, view: View) -> str:
    """Describe the state of a job."""
    if job is None:
        return '<p class="soft">Drop a video to begin.</p>'
    parts = [f'<h3>{escape(job.name)}</h3>']
    facts = f'{escape(job.facts)} · ' if job.facts else ''
    parts.append(f'<p class="soft">{facts}{escape(_state(job, view))}</p>')
    if job.state == RUNNING:
        parts.append(_bar(view.progress))
    if job.state == FAILED and job.message:
        parts.append(message_html(job.message))
    notes = view.notes or tuple(job.report.get('notes', ()))
    warnings = job.report.get('warnings', ())
    parts += [f'<p class="note">{escape(str(note))}</p>' for note in notes]
    parts += [f'<p class="bad">{escape(str(each))}</p>' for each in warnings]
    return ''.join(parts)


def message_html(text: str) -> str:
    """Show an error in one line."""
    return f'<p class="bad" role="alert">{escape(text)}</p>' if text else ''


def plan_html(plan: Mapping[str, Any]) -> str:
    """Show what `star plan` has answered."""
    if not plan:
        return ''
    rows = ''.join(
        f'<tr><th>{escape(name)}</th><td>{escape(value)}</td></tr>'
        for name, value in _plan_rows(plan)
    )
    fits = plan.get('fits', True)
    verdict = '' if fits else message_html('It does not fit the memory.')
    return f'<table class="plan"><tbody>{rows}</tbody></table>{verdict}'


def result_html(job: JobRecord, dst: Path, played: bool = False) -> str:
    """Show a result: its player, or picture, and how to get it.

    Args:
        job: of the result.
        dst: the result.
        played: the page plays it already, beside the input.
    """
    if job.state != DONE or not dst.is_file():
        return ''
    link, suffix = file_link(dst), dst.suffix.lower()
    shown = ''
    if suffix in _PLAYED and not played:
        shown = _player(link)
    elif suffix in IMAGE_SUFFIXES:
        shown = f'<img src="{link}" alt="result">'
    size = write_size(dst.stat().st_size)
    record = dst.with_name(f'{dst.name}.star.json')
    more = ''
    if record.is_file():
        more = f' <a href="{file_link(record)}" download>Record (JSON)</a>'
    name = escape(dst.name)
    return (
        f'{shown}<p><a class="download" href="{link}" download="{name}">'
        f'Download {name} ({size})</a>{more}</p>'
    )


def comparison_html(path: Path, frames: int) -> str:
    """Show the player of input and result, in step.

    Args:
        path: of the video of both.
        frames: of the result.
    """
    part = f' of the first {MOST} frames' * (frames > MOST)
    return (
        f'{_player(file_link(path), "loop")}<p class="soft">Input (enlarged) '
        f'and result{part} in one video, so they are in step; without sound.'
        '</p>'
    )


def _player(link: str, more: str = '') -> str:
    return (
        f'<video src="{link}" controls {more} playsinline preload="auto">'
        '</video>'
    )


def file_link(path: Path) -> str:
    """Return the address of a file of the app, relative to the page."""
    return 'gradio_api/file=' + quote(str(path))


def write_time(seconds: float) -> str:
    """Write seconds as 0:01:05."""
    return str(timedelta(seconds=round(seconds)))


def _state(job: JobRecord, view: View) -> str:
    doing = _DOING.get(job.task, job.task)
    if job.state == RUNNING and job.wanted:
        return f'{doing}: ending, what is done is kept'
    if job.state == RUNNING:
        return doing
    if job.state == QUEUED:
        return f'{doing}, waits for its turn'
    if job.state == DONE:
        report = job.report
        width, height = report['output_size']
        return (
            f'done: {report["frames"]} frames of {width} x {height} in '
            f'{write_time(report["seconds"])}'
        )
    return job.state


def _bar(progress: Mapping[str, Any]) -> str:
    if not progress:
        return '<progress></progress><p class="soft">loading the program</p>'
    share = _share(progress)
    total = progress['total'] or '?'
    words = [f'{share:.0%}', f'{progress["stage"]} {progress["done"]}/{total}']
    left = progress['seconds_left']
    if left is not None:
        words.append(f'{write_time(left)} left')
    return (
        f'<progress value="{share:.4f}" max="1"></progress>'
        f'<p class="soft">{escape(", ".join(words))}</p>'
    )


def _share(progress: Mapping[str, Any]) -> float:
    """Return the share of the work that is done."""
    return min(1.0, max(0.0, float(progress['share'])))


def _plan_rows(plan: Mapping[str, Any]) -> Iterator[tuple[str, str]]:
    (width, height), (columns, rows) = plan['input_size'], plan['output_size']
    sizes = f'{width} x {height} to {columns} x {rows}'
    yield 'Frames', f'{plan["frames"]}, {sizes}'
    options = plan['options']
    windows = [f'{plan["windows"]} of {options["window"]} frames']
    for name in ('tiles', 'steps'):
        windows += [f'{plan[name]} {name}'] * (plan[name] > 1)
    yield 'Windows', ', '.join(windows)
    if plan['memory'] is not None:
        limit = plan['limit']
        free = f' of {write_size(limit)} that may be taken' if limit else ''
        peak = write_size(plan['memory']['peak'])
        yield 'Memory', f'about {peak}{free}'
    if plan['seconds'] is not None:
        yield 'Time', f'about {write_time(plan["seconds"])}'
    if plan['disk'] is not None:
        yield 'Disk', f'about {write_size(plan["disk"])}'
    if plan['note']:
        yield 'Note', str(plan['note'])
