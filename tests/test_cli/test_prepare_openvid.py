"""The scan of OpenVid: what it verifies, writes, and takes up again."""

import csv
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest

from star.cli.prepare import openvid
from star.datasets.indexed_video import IndexedVideo
from star.datasets.openvid_table import COLUMNS
from star.registry import DATASETS
from tests.paths import ROOT
from tests.test_datasets.openvid_tables import (
    make_row,
    write_table,
    write_video,
)
from tests.test_video.clips import write_clip

SLOW = """
import signal, sys
signal.signal(signal.SIGINT, signal.default_int_handler)  # if it is ignored
from star.cli.main import main
from star.cli.prepare import openvid
from tests.test_cli.test_prepare_openvid import slow_check
openvid.check_video = slow_check
raise SystemExit(main(['prepare', 'openvid', *sys.argv[1:]]))
"""
check_video = openvid.check_video


def traced_check(root, name, full):
    """Leave a trace of every check; end the process at `crash.mp4`."""
    with open(Path(root).parent / 'trace', 'a') as file:
        file.write(f'{name}\n')
    if name == 'crash.mp4':
        os._exit(1)
    return check_video(root, name, full)


def slow_check(root, name, full):
    time.sleep(0.15)
    return traced_check(root, name, full)


@pytest.fixture
def root(tmp_path):
    """Four rows: a good video, one in a folder below, a bad one, none."""
    write_video(tmp_path / 'video' / 'a.mp4', 20)
    write_video(tmp_path / 'video' / 'part2' / 'b.mp4', 12, width=96)
    (tmp_path / 'video' / 'bad.mp4').write_bytes(b'no video')
    names = ('a.mp4', 'b.mp4', 'bad.mp4', 'none.mp4')
    rows = [make_row(name, frame=999, fps=60.0) for name in names]
    write_table(tmp_path / 'own.csv', rows)
    return tmp_path


def command(root, *options):
    paths = [root / 'own.csv', root / 'video', root / 'out' / 'verified.csv']
    return [*map(str, paths), '--workers', '1', *options]


@pytest.fixture
def run(root, monkeypatch, star):
    """Run the command in this process; its checks leave traces."""
    monkeypatch.setattr(openvid, 'check_video', traced_check)

    def call(*options):
        done = star('prepare', 'openvid', *command(root, *options))
        return done.code, done.out, done.err

    return call


def checked(root):
    trace = root / 'trace'
    return trace.read_text().split() if trace.exists() else []


def read_table(path):
    with open(path, newline='', encoding='utf-8') as file:
        return list(csv.DictReader(file))


def test_verified_table(root, run):
    code, out, err = run()
    assert code == 0, err
    lines = out.splitlines()
    table = root / 'out' / 'verified.csv'
    assert lines[0] == f'{table}: 2 of 4 clips verified'
    assert set(lines[1:3]) == {'  1 cannot be opened', '  1 without a file'}
    first, second = read_table(table)
    assert list(first) == [*COLUMNS, 'width', 'height']
    assert first['video'] == 'a.mp4' and second['video'] == 'part2/b.mp4'
    assert first['caption'] == 'What a.mp4 shows, in words.'
    found = [second[k] for k in ('frame', 'fps', 'seconds', 'width', 'height')]
    assert found == ['12', '25.0', '0.48', '96', '48']
    rejected = (root / 'out' / 'verified.rejected.tsv').read_text()
    bad, none = (line.split('\t') for line in rejected.splitlines())
    assert bad[:2] == ['bad.mp4', 'cannot be opened'] and 'bad.mp4' in bad[2]
    assert none[:2] == ['none.mp4', 'without a file']
    config = {'num_frames': 4, 'pipeline': [{'type': 'PackVideoInputs'}]}
    paths = {'annotation': str(table), 'data_root': str(root / 'video')}
    filters = {'min_width': 80}
    dataset = DATASETS.build(
        {'type': 'OpenVid', **paths, **config, 'filters': filters}
    )
    assert len(dataset) == 1
    assert dataset[0]['data_samples'].name.startswith('b@')
    assert sorted(os.listdir(root / 'out')) == [
        *('verified.csv', 'verified.rejected.tsv', 'verified.scan.jsonl')
    ]


def test_windows_are_compared(root, run, monkeypatch):
    """A video whose windows are not what decoding in sequence gives."""
    read = IndexedVideo.read

    def read_next(video, indices):
        late = video.path.name == 'b.mp4' and 0 < indices[0] < 10
        return read(video, [i + 1 for i in indices] if late else indices)

    monkeypatch.setattr(IndexedVideo, 'read', read_next)
    record = check_video(str(root / 'video'), 'part2/b.mp4', False)
    assert record['reason'] == 'not seekable'
    assert 'reading from frame 4 on gives other' in record['detail']
    assert 'frames' in check_video(str(root / 'video'), 'a.mp4', False)


def test_log_of_earlier_checks_is_not_used(root, run):
    run()
    log = root / 'out' / 'verified.scan.jsonl'
    log.write_text(log.read_text().replace('"checks": 2, ', ''))
    assert '0 of them known' in run()[2]


def test_every_frame_where_asked(root, run):
    """Damage between the frames that are looked at."""
    rng = np.random.default_rng(0)
    noise = rng.integers(0, 256, (400, 48, 64, 3), dtype=np.uint8)
    path = root / 'video' / 'a.mp4'
    write_clip(path, noise, options={'g': '8', 'bf': '0'})
    data = bytearray(path.read_bytes())
    late = len(data) * 17 // 20  # the first 300 frames are all decoded
    data[late : late + 300] = bytes(300)
    path.write_bytes(data)
    assert '2 of 4 clips verified' in run()[1]
    out = run('--full')[1]
    assert '1 of 4 clips verified' in out and '1 cannot be decoded' in out


def test_only_new_and_changed_videos_are_read(root, run):
    assert run()[0] == 0
    assert sorted(checked(root)) == ['a.mp4', 'bad.mp4', 'part2/b.mp4']
    (root / 'trace').unlink()
    write_video(root / 'video' / 'none.mp4', 8)
    write_video(root / 'video' / 'bad.mp4', 9)
    _, out, err = run()
    assert sorted(checked(root)) == ['bad.mp4', 'none.mp4']
    assert '4 of 4 clips verified' in out
    assert '4 videos are there, 2 of them known from an earlier scan' in err
    table = read_table(root / 'out' / 'verified.csv')
    assert [row['frame'] for row in table] == ['20', '12', '9', '8']
    # a scan of a few frames is no scan of all
    assert '0 of them known' in run('--full')[2]
    assert '4 of them known' in run('--full')[2]
    assert '4 of them known' in run()[2]


def many_videos(root, count=12):
    names = [f'v{i:02}.mp4' for i in range(count)]
    for name in names:
        os.link(root / 'video' / 'a.mp4', root / 'video' / name)
    write_table(root / 'own.csv', [make_row(name) for name in names])
    return names


def wait_for(condition, seconds=60):
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.02)


@pytest.mark.parametrize('sign', [signal.SIGKILL, signal.SIGINT])
def test_an_interrupted_scan_goes_on(root, run, sign):
    names = many_videos(root)
    log = root / 'out' / 'verified.scan.jsonl'
    process = subprocess.Popen(
        [sys.executable, '-c', SLOW, *command(root)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    wait_for(lambda: log.exists() and log.read_text().count('frames') >= 4)
    process.send_signal(sign)
    _, err = process.communicate()
    if sign == signal.SIGINT:
        assert process.returncode == 130
        assert 'interrupted; the same command continues' in err
        assert 'Traceback' not in err
    assert os.listdir(root / 'out') == [log.name]
    known = log.read_text().count('frames')
    assert 4 <= known < 12
    with open(log, 'a') as file:
        file.write('{"video": "v11.mp4", "fr')  # killed while writing
    (root / 'trace').unlink()
    _, out, err = run()
    assert f'{known} of them known' in err
    assert checked(root) == names[known:]
    assert '12 of 12 clips verified' in out
    table = read_table(root / 'out' / 'verified.csv')
    assert [row['video'] for row in table] == names


def test_a_video_that_ends_its_process(root, run):
    os.link(root / 'video' / 'a.mp4', root / 'video' / 'crash.mp4')
    names = ('a.mp4', 'crash.mp4', 'part2/b.mp4')
    write_table(root / 'own.csv', [make_row(name) for name in names])
    assert '2 of 3 clips verified' in run()[1]
    rejected = (root / 'out' / 'verified.rejected.tsv').read_text()
    assert rejected.startswith('crash.mp4\tcannot be decoded\t')
    assert 'ends the process' in rejected


def test_errors(root, run):
    (root / 'own.csv').write_text('video,caption\n')
    code, _, err = run()
    assert code == 2 and err.startswith('error: ')
    assert 'lacks the columns aesthetic score' in err
    assert len(err.splitlines()) == 1
    (root / 'own.csv').unlink()
    assert 'own.csv: no such table' in run()[2]
    (root / 'video').rename(root / 'videos')
    assert 'no such folder of videos' in run()[2]
    code, _, err = run('--workers', '0')
    assert code == 2 and '--workers: must be' in err


def test_nothing_verified(root, run):
    write_table(root / 'own.csv', [make_row('none.mp4')])
    code, out, _ = run()
    assert code == 1
    assert '0 of 1 clips verified' in out
