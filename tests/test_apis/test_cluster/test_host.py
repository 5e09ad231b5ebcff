"""A worker's process: its start, its tasks, and what it tells."""

import os
import socket
from pathlib import Path

import pytest
import torch

import star
from star.apis.cluster.host import Host, WorkerPlace
from star.apis.cluster.mailbox import Mailbox, Told


@pytest.fixture(autouse=True)
def unchanged():
    """Restore the folder and the threads of this process."""
    folder, threads = os.getcwd(), torch.get_num_threads()
    yield
    os.chdir(folder)
    torch.set_num_threads(threads)


class Doubler:
    def __init__(self, box: Mailbox) -> None:
        self.box = box

    def __call__(self, task: float) -> float:
        self.box.say('a message')
        self.box.report(1, 2)
        if task < 0:
            raise FileNotFoundError(2, 'No such file', 'clip.mp4')
        return 2 * task


def host(tmp_path: Path) -> Host:
    return Host(WorkerPlace(str(tmp_path), star.__version__, keep=False))


def test_work_and_words(tmp_path: Path) -> None:
    worker = host(tmp_path)
    assert worker.start(Doubler).value == socket.gethostname()
    assert Path.cwd() == tmp_path and torch.get_num_threads() == 1
    assert worker.work(4).value == 8
    assert worker.hear() == Told(('a message',), 1, 2)
    assert worker.hear() == Told()


def test_errors_are_answers(tmp_path: Path) -> None:
    worker = host(tmp_path)
    worker.start(Doubler)
    answer = worker.work(-1)
    assert answer.kind == 'FileNotFoundError' and 'clip.mp4' in answer.error
    assert answer.value is None and 'Traceback' in answer.trace

    def refuse(box: Mailbox) -> Doubler:
        raise ValueError('no weights')

    answer = worker.start(refuse)
    assert (answer.kind, answer.error) == ('ValueError', 'no weights')


def test_a_task_stops_where_it_reports(tmp_path: Path) -> None:
    worker = host(tmp_path)
    worker.start(Doubler)
    worker.stop()
    assert worker.work(4).kind == 'KeyboardInterrupt'


def test_other_versions_are_refused(tmp_path: Path) -> None:
    worker = Host(WorkerPlace(str(tmp_path), '0.0', keep=False))
    answer = worker.start(Doubler)
    assert f'has star {star.__version__}, the driver 0.0' in answer.error
