"""`star restore --ray` with workers in this process: results and messages."""

import argparse
import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from star.apis.cluster.actors import Share
from star.apis.cluster.mailbox import Mailbox
from star.apis.inference.batch import Job
from star.apis.inference.piecewise import StoppedError
from star.apis.inference.scenes import SceneRange
from star.cli import restore_ray, restore_worker
from star.cli.restore_worker import ClipTask, RestoreWorker
from tests.test_apis.clips import write_clip
from tests.test_apis.test_cluster.pools import LostError, PlannedPool
from tests.test_apis.test_inference.test_scene_ranges import write_noise
from tests.test_cli.conftest import Star

Work = Callable[[RestoreWorker, ClipTask], Any]


@pytest.fixture
def workers(monkeypatch: pytest.MonkeyPatch) -> Callable[[Work], None]:
    """Let workers in this process take the place of a cluster's."""

    def use(work: Work = RestoreWorker.__call__) -> None:
        def make_pool(
            ray: object,
            share: Share,
            jobs: list[Job],
            args: argparse.Namespace,
        ) -> PlannedPool:
            seen = list(restore_ray.find_seen(jobs[0]))
            box = Mailbox()
            worker = RestoreWorker(args, seen, {}, box)
            return PlannedPool(lambda task: work(worker, task), (), box.take)

        @contextmanager
        def connected(address: str) -> Iterator[None]:
            assert address == 'local'
            yield

        share = Share(2, 1, 0, {})
        monkeypatch.setattr(restore_ray, 'make_pool', make_pool)
        monkeypatch.setattr(restore_ray, 'connected', connected)
        monkeypatch.setattr(restore_ray, 'share_cluster', lambda *_: share)
        monkeypatch.setattr(
            restore_worker, 'count_neighbours', lambda workers: 2
        )

    return use


def write_clips(folder: Path) -> Path:
    folder.mkdir()
    for letter, count in ('a', 3), ('c', 4):
        write_clip(folder / f'{letter}.mkv', count)
    (folder / 'b.mp4').write_text('no video')
    return folder


def contents(folder: Path) -> dict[str, bytes]:
    return {
        p.name: p.read_bytes()
        for p in sorted(folder.iterdir())
        if not p.name.endswith('.json')
    }


CONFIG = ('--config', 'bicubic', '--json')


def test_results_are_those_of_star_restore(
    star: Star, tmp_path: Path, workers: Callable
) -> None:
    workers()
    src = write_clips(tmp_path / 'in')
    alone, shared = (tmp_path / name for name in ('alone', 'shared'))
    plain = star('restore', src, alone, *CONFIG)
    done = star('restore', src, shared, *CONFIG, '--ray', 'local')
    assert (plain.code, done.code) == (1, 1)
    assert contents(alone) == contents(shared)
    first, second = (json.loads(each.out) for each in (plain, done))
    same = ('src', 'frames', 'notes', 'warnings', 'error', 'output_size')
    for a, b in zip(first, second, strict=True):
        assert {k: a.get(k) for k in same} == {k: b.get(k) for k in same}
    errors = [x for x in done.err.splitlines() if x.startswith('error')]
    assert errors == [x for x in plain.err.splitlines() if 'error' in x]
    assert '2 of 3 clips restored' in done.err
    again = star('restore', src, shared, *CONFIG)  # the same command goes on
    assert [r.get('skipped') for r in json.loads(again.out)] == [1, None, 1]


def test_scenes_of_one_clip_are_shared(
    star: Star, tmp_path: Path, workers: Callable, monkeypatch
) -> None:
    given: list[SceneRange | None] = []

    def work(worker: RestoreWorker, task: ClipTask) -> Any:
        given.append(task.scenes)
        if given.count(SceneRange(5, 14)) == 1 and task.scenes == given[-1]:
            raise LostError('killed')
        return worker(task)

    workers(work)
    monkeypatch.setattr(restore_ray, '_LEAST_FRAMES', 5)
    src = write_noise(tmp_path / 'in.mkv')
    (tmp_path / 'cuts.txt').write_text('5\n9\n14\n')
    alone, shared = tmp_path / 'alone.mkv', tmp_path / 'shared.mkv'
    words = (*CONFIG, '--cuts', tmp_path / 'cuts.txt')
    assert star('restore', src, alone, *words).code == 0
    done = star('restore', src, shared, *words, '--ray', 'local')
    assert done.code == 0, done.err
    assert json.loads(done.out)['frames'] == 20
    assert alone.read_bytes() == shared.read_bytes()
    ranges = [SceneRange(*x) for x in ((0, 5), (5, 14), (14, 20))]
    assert {each for each in given if each} == {*ranges}
    assert given[0] is None and given[-1] is None
    assert 'another one goes on' in done.err


def test_three_lost_workers_are_an_error_of_their_clip(
    star: Star, tmp_path: Path, workers: Callable
) -> None:
    def work(worker: RestoreWorker, task: ClipTask) -> Any:
        if task.job.src.name == 'a.mkv':
            raise LostError('no memory')
        return worker(task)

    workers(work)
    src = write_clips(tmp_path / 'in')
    done = star('restore', src, tmp_path / 'out', *CONFIG, '--ray', 'local')
    assert done.code == 1
    lost, bad, good = json.loads(done.out)
    assert lost['error'] == (
        f'{src / "a.mkv"}: several workers were lost with it (no memory)'
    )
    assert 'b.mp4' in bad['error'] and good['frames'] == 4
    assert done.err.count('another one goes on') == 2
    assert '1 of 3 clips restored' in done.err


def test_all_stop_when_the_time_has_come(
    star: Star, tmp_path: Path, workers: Callable, monkeypatch
) -> None:
    def stop(*_: object) -> None:
        raise StoppedError('stopped at 06:00')

    workers()
    monkeypatch.setattr(restore_worker, 'restore', stop)
    until = f'{datetime.now() + timedelta(hours=1):%H:%M}'
    words = (*CONFIG, '--ray', 'local', '--until', until)
    src = write_clips(tmp_path / 'in')
    done = star('restore', src, tmp_path / 'out', *words)
    assert done.code == 3
    errors = [result['error'] for result in json.loads(done.out)]
    assert set(errors) <= {'stopped at 06:00', 'not begun: stopped at 06:00'}
    assert '0 of 3 clips restored; the same command goes on' in done.err


@pytest.mark.parametrize(
    ('options', 'message'),
    [
        (['--gpus', '2'], 'give --gpus or --ray, not both'),
        (['--preview', '1x1s'], 'give --preview or --ray, not both'),
        (['--ray-cpus', '0'], '--ray-cpus'),
        (['--prompt-file', '{}'], 'lacks a.txt'),
    ],
)
def test_options_that_do_not_fit(
    star: Star,
    tmp_path: Path,
    workers: Callable,
    options: list[str],
    message: str,
) -> None:
    workers()
    src = write_clips(tmp_path / 'in')
    words = [word.format(tmp_path) for word in options]
    done = star('restore', src, tmp_path / 'out', '--ray', 'local', *words)
    assert message in done.err and done.code == 2
    assert not (tmp_path / 'out').exists()


def test_a_machine_without_the_files_is_named(
    star: Star, tmp_path: Path, workers: Callable, monkeypatch
) -> None:
    workers()
    wrong = restore_worker.Seen(tmp_path / 'in' / 'a.mkv', 1)
    monkeypatch.setattr(restore_ray, 'find_seen', lambda job: [wrong])
    src = write_clips(tmp_path / 'in')
    done = star('restore', src, tmp_path / 'out', '--ray', 'local')
    last = done.err.splitlines()[-1]
    assert last.startswith(f'error: {src / "a.mkv"}: ') and done.code == 2
    assert 'does not see it; --ray needs a file system' in last
