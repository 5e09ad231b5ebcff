"""A server that is killed, and the next one."""

import os
import signal
import time
from dataclasses import replace
from pathlib import Path

import pytest

from star.apis.inference.journal import count_kept
from star.app.choice import Choice
from star.app.records import DONE, QUEUED, RUNNING, JobStore
from tests.test_app.servers import Server, make_clip, restore

pytest.importorskip('gradio')
pytestmark = pytest.mark.slow


@pytest.mark.parametrize('both', [True, False], ids=['both', 'server only'])
def test_the_work_goes_on_after_a_kill(tmp_path: Path, both: bool):
    folder = tmp_path / 'app'
    store = JobStore(folder)
    clip = make_clip(store.uploads / 'clip.mp4', 480, 160)
    copy = tmp_path / 'copy.mp4'
    copy.write_bytes(clip.read_bytes())
    job = store.add(clip, 'clip.mp4', '')
    choice = Choice(config='bicubic', scale='4')
    store.change(
        job.id,
        lambda j: replace(j, choice=choice, state=QUEUED, task='restore'),
    )
    dst = store.target(job)
    server = Server(folder)
    wait_for(lambda: count_kept(dst) > 0)
    pid = JobStore(folder).find(job.id).pid
    server.process.kill()
    server.process.wait()
    assert JobStore(folder).find(job.id).state == RUNNING
    assert not dst.exists()
    if both:
        os.kill(pid, signal.SIGKILL)
        kept = count_kept(dst)
        assert 0 < kept < 480
    else:
        os.kill(pid, 0)  # it works on
    with Server(folder):
        wait_for(lambda: JobStore(folder).find(job.id).state == DONE)
        done = JobStore(folder).find(job.id)
    if both:
        assert done.report['kept'] >= kept  # not from the beginning
    options = ['--config', 'bicubic', '--scale', '4']
    assert dst.read_bytes() == restore(copy, tmp_path / 'b.mp4', *options)


def wait_for(check, seconds: float = 900) -> None:
    end = time.monotonic() + seconds
    while not check():
        assert time.monotonic() < end
        time.sleep(0.02)
