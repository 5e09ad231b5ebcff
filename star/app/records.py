"""`JobStore`: the jobs of the app, as records in its folder.

FOLDER/lock             held while an app runs
FOLDER/jobs/ID.json     record of a job
FOLDER/jobs/ID.*        lock, log and report of its process
FOLDER/files/ID/        its video and its result, which are served
FOLDER/uploads/         what browsers are sending
"""

import re
import secrets
import threading
import time
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import asdict, dataclass, field, fields, replace
from pathlib import Path
from typing import Any

from star.apis.inference.result_names import result_name
from star.app.choice import Choice
from star.utils.files import beside, read_json, remove, write_json

NEW, QUEUED, RUNNING = 'new', 'queued', 'running'
PAUSED, STOPPED, DONE, FAILED = 'paused', 'stopped', 'done', 'failed'
REMOVED = 'removed'
STATES = (NEW, QUEUED, RUNNING, PAUSED, STOPPED, DONE, FAILED)
_LONGEST = 60  # characters of a file's name, of four bytes at most
_ID = re.compile('[0-9]{8}-[0-9]{6}-[0-9a-f]{6}')


@dataclass(frozen=True)
class JobRecord:
    """A job.

    Args:
        id: of the job; later ones are greater.
        name: of its video.
        facts: of the video, a short text.
        choice: options.
        state: one of `STATES`.
        task: what is queued or runs: 'restore', 'preview' or 'plan'.
        before: state before a preview or plan, which comes back after it.
        wanted: state that a running job is to take; empty for none.
        queued: when it was queued, in seconds; the earliest is next.
        pid: of the process that runs.
        message: why it failed.
        plan: what `star plan` has answered.
        report: what `star restore` has answered.
        preview: path of the preview, and seconds that the whole takes.
    """

    id: str
    name: str
    facts: str = ''
    choice: Choice = field(default_factory=Choice)
    state: str = NEW
    task: str = ''
    before: str = NEW
    wanted: str = ''
    queued: float = 0.0
    pid: int | None = None
    message: str = ''
    plan: Mapping[str, Any] = field(default_factory=dict)
    report: Mapping[str, Any] = field(default_factory=dict)
    preview: Mapping[str, Any] = field(default_factory=dict)


class JobStore:
    """Keeps the jobs in a folder.

    Args:
        folder: of the app; made if need be.
    """

    def __init__(self, folder: Path) -> None:
        self.folder = folder.resolve()
        self.files, self.uploads = self.folder / 'files', folder / 'uploads'
        self.uploads = self.uploads.resolve()
        self._records = self.folder / 'jobs'
        for each in (self.files, self.uploads, self._records):
            each.mkdir(parents=True, exist_ok=True)
        self._lock = threading.RLock()
        self._jobs = {job.id: job for job in self._read()}

    def list_jobs(self) -> list[JobRecord]:
        """List all jobs, the oldest first."""
        with self._lock:
            return sorted(self._jobs.values(), key=lambda job: job.id)

    def find(self, id_: str | None) -> JobRecord | None:
        """Return a job; None if there is none of this id."""
        with self._lock:
            return self._jobs.get(id_ or '')

    def add(self, path: Path, name: str, facts: str) -> JobRecord:
        """Make a job of an uploaded file, which is moved.

        Args:
            path: the file.
            name: that it had where it comes from.
            facts: of the video.
        """
        stamp = time.strftime('%Y%m%d-%H%M%S')
        job = JobRecord(
            f'{stamp}-{secrets.token_hex(3)}', safe_name(name), facts
        )
        source = self.source(job)
        source.parent.mkdir(parents=True)
        path.replace(source)
        self._put(job)
        return job

    def change(
        self, id_: str, change: Callable[[JobRecord], JobRecord]
    ) -> JobRecord | None:
        """Change a job's record.

        Args:
            id_: of the job.
            change: takes the present record; the new one is returned.

        Returns:
            The new record; None if there is no such job.
        """
        with self._lock:
            job = self._jobs.get(id_)
            if job is None:
                return None
            new = change(job)
            if new != job:
                self._put(new)
            return new

    def remove(self, id_: str) -> None:
        """Remove a job with all its files."""
        with self._lock:
            job = self._jobs.pop(id_, None)
        if job is None:
            return
        with suppress(FileNotFoundError):
            remove(self._records / f'{id_}.json')
        with suppress(FileNotFoundError):
            remove(self.files / id_)
        for path in self._records.glob(f'{id_}.*'):
            path.unlink(missing_ok=True)

    def source(self, job: JobRecord) -> Path:
        """Return the path of a job's video."""
        return self.files / job.id / 'input' / job.name

    def target(self, job: JobRecord) -> Path:
        """Return the path of a job's result."""
        name = result_name(self.source(job), images=False)
        return self.files / job.id / 'restored' / name

    def preview(self, job: JobRecord) -> Path:
        """Return the path of a job's preview."""
        return beside(self.target(job), suffix='.preview.mp4')

    def comparison(self, job: JobRecord) -> Path:
        """Return the path of the video of input and result."""
        return self.files / job.id / 'comparison.mp4'

    def process_file(self, job: JobRecord, suffix: str) -> Path:
        """Return the path of a file of a job's process.

        Args:
            job: the job.
            suffix: 'lock', 'log' or 'out'.
        """
        return self._records / f'{job.id}.{suffix}'

    def clear_uploads(self) -> None:
        """Remove what browsers had sent to an earlier server."""
        for path in self.uploads.iterdir():
            remove(path)

    def _put(self, job: JobRecord) -> None:
        with self._lock:
            write_json(self._records / f'{job.id}.json', asdict(job))
            self._jobs[job.id] = job

    def _read(self) -> list[JobRecord]:
        found = []
        for path in self._records.glob('*.json'):
            with suppress(ValueError, TypeError, AttributeError):
                found.append(_record_of(read_json(path), path.stem))
        return found


def _record_of(value: Mapping[str, Any], id_: str) -> JobRecord:
    """Read a record.

    Raises:
        ValueError: it is none of this id.
    """
    known = {
        f.name: value[f.name] for f in fields(JobRecord) if f.name in value
    }
    job = JobRecord(**known)
    good = job.id == id_ and _ID.fullmatch(id_) and job.state in STATES
    if not good or job.name != safe_name(job.name):
        raise ValueError(f'{id_} is no record of a job')
    return replace(job, choice=Choice.from_json(value['choice']))


def safe_name(name: str) -> str:
    """Return a file's name without folders and signs that mean something.

    Args:
        name: as a browser has sent it.
    """
    last = re.split(r'[/\\]', name)[-1]
    plain = re.sub(r'[^\w.\- ()]', '_', last).strip(' .-') or 'video'
    stem, dot, suffix = plain.rpartition('.')
    suffix = re.sub(r'\W', '', suffix)[:10] if dot else ''
    stem = (stem if dot else plain)[: _LONGEST - len(suffix)]
    return (stem.strip(' .-') or 'video') + ('.' + suffix) * bool(suffix)
