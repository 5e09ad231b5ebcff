"""Commands with a Ray cluster of two workers on this machine."""

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from star.apis.inference.journal import count_kept, journal_folder
from star.cli.main import main
from star.utils.files import read_json
from star.video.io import VideoWriter
from tests.paths import ROOT
from tests.test_datasets.openvid_tables import (
    make_row,
    write_table,
    write_video,
)

pytestmark = pytest.mark.slow
ENVIRONMENT = {
    **os.environ,
    'OMP_NUM_THREADS': '1',
    'CUDA_VISIBLE_DEVICES': '',
}
WAIT = 500  # seconds; other work may run on the machine


@pytest.fixture(scope='module', autouse=True)
def needs_ray() -> None:
    pytest.importorskip('ray')


def write_scenes(path: Path, seed: int, scenes: int = 3) -> Path:
    """Write scenes of 33 frames, each a pattern that moves."""
    chance = np.random.default_rng(seed)
    with VideoWriter(path, 40, 32, codec='ffv1', pix_fmt='bgr0') as writer:
        for i in range(33 * scenes):
            if i % 33 == 0:
                blocks = chance.integers(0, 255, (8, 9, 3), dtype=np.uint8)
                pattern = np.kron(blocks, np.ones((8, 8, 1), np.uint8))
            top = i % 16
            image = np.ascontiguousarray(
                pattern[top : top + 32, top : top + 40]
            )
            writer.write(image, Fraction(i, 25), Fraction(1, 25))
    return path


@pytest.fixture(scope='module')
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two clips and a file that is none, restored without Ray."""
    folder = tmp_path_factory.mktemp('clips')
    (folder / 'in').mkdir()
    for i, name in enumerate(('a.mkv', 'c.mkv')):
        write_scenes(folder / 'in' / name, i)
    (folder / 'in' / 'b.mp4').write_text('no video')
    command = [sys.executable, '-m', 'star', 'restore']
    words = [str(folder / 'in'), str(folder / 'alone')]
    done = subprocess.run(
        [*command, *words], env=ENVIRONMENT, cwd=ROOT, check=False
    )
    assert done.returncode == 1
    return folder


def begin(src: Path, dst: Path, *words: str) -> subprocess.Popen:
    command = [sys.executable, '-m', 'star', 'restore', str(src), str(dst)]
    return subprocess.Popen(
        [*command, '--ray', 'local', '--json', *words],
        env=ENVIRONMENT,
        cwd=ROOT,
        text=True,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        start_new_session=True,
    )


def wait_for_piece(dst: Path) -> int:
    """Wait until a piece of a result is kept; return the worker's process."""
    end = time.monotonic() + WAIT
    while time.monotonic() < end:
        with suppress(ValueError, OSError):
            if count_kept(dst):
                holder = read_json(journal_folder(dst) / 'holder.json')
                return int(holder['process'])
        time.sleep(0.05)
    raise AssertionError('no piece is kept')


def check_same(folder: Path, out: Path) -> None:
    """Compare results, and records but for places and times."""
    for name in ('a.mkv', 'c.mkv'):
        assert (out / name).read_bytes() == (
            folder / 'alone' / name
        ).read_bytes()
        records = [
            read_json(place / f'{name}.star.json')
            for place in (out, folder / 'alone')
        ]
        assert records[0] == records[1]


def test_a_killed_worker_costs_a_piece(clips: Path, tmp_path: Path) -> None:
    run = begin(clips / 'in', tmp_path)
    victim = wait_for_piece(tmp_path / 'a.mkv')
    os.kill(victim, signal.SIGKILL)
    kept = count_kept(tmp_path / 'a.mkv')
    out, err = run.communicate(timeout=WAIT)
    assert run.returncode == 1, err  # for the bad clip
    first, bad, other = json.loads(out)
    assert first['kept'] >= kept >= 1
    assert (first['frames'], other['frames']) == (99, 99)
    assert err.count('another one goes on') == 1
    assert f'error: {bad["error"]}' in err.splitlines()
    assert '2 of 3 clips restored' in err
    assert 'ray' not in err.lower().replace('a ray cluster of', '')
    check_same(clips, tmp_path)
    assert not [x for x in os.listdir(tmp_path) if x.startswith('.')]


def test_a_killed_driver_goes_on(clips: Path, tmp_path: Path) -> None:
    first = begin(clips / 'in', tmp_path)
    wait_for_piece(tmp_path / 'c.mkv')
    first.kill()
    first.wait()
    kept = count_kept(tmp_path / 'c.mkv')
    again = begin(clips / 'in', tmp_path)
    out, err = again.communicate(timeout=WAIT)
    assert again.returncode == 1, err
    *_, result = json.loads(out)
    assert result['kept'] >= kept >= 1
    check_same(clips, tmp_path)


def test_ctrl_c_keeps_what_is_done(clips: Path, tmp_path: Path) -> None:
    first = begin(clips / 'in', tmp_path)
    wait_for_piece(tmp_path / 'a.mkv')
    os.killpg(first.pid, signal.SIGINT)
    out, err = first.communicate(timeout=WAIT)
    assert first.returncode == 130, err
    results = json.loads(out)
    assert results[0]['error'] == 'interrupted' and results[0]['kept'] >= 1
    assert 'restored frames are kept: the same command goes on' in err
    assert err.splitlines()[-1] == 'interrupted'
    words = ['restore', str(clips / 'in'), str(tmp_path)]
    assert main(words) == 1  # without Ray
    check_same(clips, tmp_path)


def test_scenes_of_one_clip_are_shared(clips: Path, tmp_path: Path) -> None:
    """One clip, three scenes, two workers, of which one is killed."""
    dst = tmp_path / 'a.mkv'
    run = begin(clips / 'in' / 'a.mkv', dst)
    end = time.monotonic() + WAIT
    while not list(tmp_path.glob('.a.mkv.star/scenes-0*/000000.piece')):
        assert time.monotonic() < end
        time.sleep(0.05)
    victims = [
        int(read_json(path)['process'])
        for path in tmp_path.glob('.a.mkv.star/scenes-0*/holder.json')
    ]
    os.kill(victims[0], signal.SIGKILL)
    out, err = run.communicate(timeout=WAIT)
    assert run.returncode == 0, err
    assert json.loads(out)['kept'] == 99  # by other workers
    assert dst.read_bytes() == (clips / 'alone' / 'a.mkv').read_bytes()
    records = [
        read_json(place / 'a.mkv.star.json')
        for place in (tmp_path, clips / 'alone')
    ]
    assert records[0] == records[1]


def test_checks_of_openvid_are_the_same(tmp_path: Path) -> None:
    write_video(tmp_path / 'video' / 'a.mp4', 20)
    (tmp_path / 'video' / 'bad.mp4').write_bytes(b'no video')
    rows = [make_row(n, frame=9, fps=60.0) for n in ('a.mp4', 'bad.mp4')]
    write_table(tmp_path / 'own.csv', rows)
    tables = []
    for name, options in ('one', ()), ('two', ('--ray', 'local')):
        words = [str(tmp_path / 'own.csv'), str(tmp_path / 'video')]
        dst = tmp_path / name / 'good.csv'
        assert main(['prepare', 'openvid', *words, str(dst), *options]) == 0
        tables.append(
            [p.read_bytes() for p in sorted(dst.parent.glob('good.[cr]*'))]
        )
    assert tables[0] == tables[1] and len(tables[0]) == 2


def test_latents_are_the_same(tmp_path: Path) -> None:
    from tests.test_cli.test_cache_latents import shards, small_config

    config = tmp_path / 'config.py'
    small_config(tmp_path).dump(config)
    caches = []
    for name, options in ('one', ()), ('two', ('--ray', 'local')):
        cache = tmp_path / name
        words = ['prepare', 'cache-latents', str(config), str(cache)]
        words += ['--weights', 'random', '--workers', '0', '--device', 'cpu']
        words += ['--num-items', '5', '--shard-size', '2']
        assert main([*words, *options]) == 0
        caches.append(shards(cache))
    assert caches[0] == caches[1]
