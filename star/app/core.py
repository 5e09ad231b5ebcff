"""`AppCore`: what the page can do, without the page."""

from dataclasses import replace
from pathlib import Path

from filelock import FileLock, Timeout

from star.app.choice import METHOD_OPTIONS, Choice
from star.app.methods import Method, MethodList
from star.app.queue import JobQueue
from star.app.records import NEW, JobRecord, JobStore
from star.utils.text import one_line
from star.video.info import VideoError, VideoInfo
from star.video.probing import probe


class AppCore:
    """Jobs of a folder, their queue and the methods.

    Args:
        folder: of the app; another server must not use it.

    Raises:
        ValueError: another server uses the folder.
        OSError: the folder cannot be made or written.
    """

    def __init__(self, folder: Path) -> None:
        self.store = JobStore(folder)
        self._lock = FileLock(self.store.folder / 'lock', timeout=0)
        try:
            self._lock.acquire()
        except Timeout:
            raise ValueError(
                f'`folder`: another star app uses {folder}; end it, or name '
                'another --folder'
            ) from None
        self.store.clear_uploads()
        self.methods = MethodList()
        self.queue = JobQueue(self.store, self._finished)

    def start(self) -> None:
        """Go on with the jobs of an earlier server; look for methods."""
        self.methods.refresh()
        self.queue.start()

    def close(self) -> None:
        """Interrupt the work; the next server goes on with it."""
        self.queue.close()
        self._lock.release()

    def take(self, path: Path) -> JobRecord:
        """Make a job of an uploaded file.

        Args:
            path: in the folder of uploads.

        Raises:
            ValueError: it is not there, or no video.
        """
        path = path.resolve()
        if not path.is_relative_to(self.store.uploads) or not path.is_file():
            raise ValueError(f'{path.name}: is no uploaded file')
        try:
            info = probe(path)
        except VideoError as error:
            path.unlink()
            reason = str(error).replace(str(path), path.name)
            raise ValueError(one_line(reason)) from None
        return self.store.add(path, path.name, describe_video(info))

    def submit(
        self,
        id_: str | None,
        task: str,
        key: str | None,
        choice: Choice,
        download: bool = False,
    ) -> None:
        """Queue a task of a job.

        Args:
            id_: of the job.
            task: 'restore', 'preview' or 'plan'.
            key: of the method.
            choice: the other options; those that the method does not heed
                are left out.
            download: the user agrees to download missing weights.

        Raises:
            ValueError: there is no such job or method, or weights are
                missing.
        """
        job = self.find(id_)
        chosen = self.choose(key, choice)
        method = self.methods.find(key)
        if method.missing and not download:
            raise ValueError(
                f'{method.key}: weights are missing; agree to the download '
                f'({method.amount}) below the method'
            )
        self.queue.submit(job.id, task, chosen)

    def resume(self, id_: str | None) -> None:
        """Go on with a job that was paused or stopped."""
        job = self.find(id_)
        self.queue.submit(job.id, 'restore')

    def choose(self, key: str | None, choice: Choice) -> Choice:
        """Name the method in a choice; drop what the method does not heed.

        Raises:
            ValueError: there is no such method.
        """
        method = self.methods.find(key)
        unused = {n: None for n in METHOD_OPTIONS if n not in method.used}
        choice = Choice.from_json({**vars(choice), **unused})
        return replace(
            choice, config=method.name, weights=method.weights or None
        )

    def find(self, id_: str | None) -> JobRecord:
        """Return a job.

        Raises:
            ValueError: there is none of this id.
        """
        job = self.store.find(id_)
        if job is None:
            raise ValueError('choose a job first')
        return job

    def list_new(self) -> list[JobRecord]:
        """List the jobs that wait for the user."""
        return [job for job in self.store.list_jobs() if job.state == NEW]

    def _finished(self, job: JobRecord) -> None:
        if self.methods.ready and self._method_of(job).missing:
            self.methods.refresh()  # they may have come

    def _method_of(self, job: JobRecord) -> Method:
        words = (job.choice.config or '', job.choice.weights or '')
        return self.methods.find(' '.join(words).strip())


def describe_video(info: VideoInfo) -> str:
    """Describe a video in a short text."""
    frames = '' if info.num_frames is None else f', {info.num_frames} frames'
    return f'{info.width} x {info.height}{frames}'
