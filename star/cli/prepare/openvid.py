"""List the readable videos of OpenVid-1M: `star prepare openvid`."""

import argparse
import csv
import json
import os
import signal
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import FIRST_COMPLETED, Future, wait
from concurrent.futures.process import BrokenProcessPool, ProcessPoolExecutor
from itertools import islice
from pathlib import Path

import numpy as np

from star.cli.common import DONE, INCOMPLETE, say
from star.cli.prepare.cluster_scan import scan_cluster
from star.cli.progress import ItemProgress
from star.datasets.indexed_video import IndexedVideo
from star.datasets.openvid_table import (
    COLUMNS,
    SIZE_COLUMNS,
    find_files,
    locate,
    read_rows,
)
from star.utils.files import atomic_path
from star.utils.signals import hold_ctrl_c
from star.video.io import VideoError, count_frames

_WINDOW = 4
_COMPARED = 300  # frames from the first on, in which windows are compared
_CHECKS = 2  # number of this set of checks: logs of others are not used
_PAUSE = 0.5  # seconds until Ctrl-C is noticed
Check = Callable[[str, str, bool], dict]


def run(args: argparse.Namespace) -> int:
    """Check the videos, write the tables and return the exit code."""
    files = find_files(args.videos)
    records = verify(args, files, check_video)
    counts = write_tables(args, files, records)
    report(args, counts)
    return DONE if counts['verified'] else INCOMPLETE


def check_video(root: str, name: str, full: bool) -> dict:
    """Verify one video.

    Returns:
        Its `frames`, `fps`, `width` and `height`, or a `reason` and `detail`.
    """
    path = Path(root, name)
    record = new_record(path, name, full)
    reason = 'cannot be opened'
    try:
        video = IndexedVideo(path)
        reason = 'cannot be decoded'
        if full and count_frames(path) != video.num_frames:
            raise VideoError(f'{path}: frames are missing')
        last = video.num_frames - 1
        for index in sorted({0, last // 2, last}):
            video.read([index])
        reason = 'not seekable'
        check_windows(video, video.num_frames if full else _COMPARED)
    except (VideoError, OSError) as error:
        return {**record, 'reason': reason, 'detail': str(error)}
    info = video.info
    record.update(width=info.width, height=info.height)
    return {
        **record,
        'frames': video.num_frames,
        'fps': None if info.fps is None else round(float(info.fps), 3),
    }


def check_windows(video: IndexedVideo, num_frames: int) -> None:
    """Compare windows of a video with what decoding in sequence gives.

    Args:
        video: the video.
        num_frames: the first so many frames are decoded for it.

    Raises:
        VideoError: a window holds other frames.
    """
    if not video.seeks:  # it is decoded in sequence
        return
    stop = min(num_frames, video.num_frames)
    size = min(_WINDOW, stop)
    windows = [
        range(first, first + size)
        for first in sorted({0, (stop - size) // 2, stop - size})
    ]
    numbers = sorted({number for window in windows for number in window})
    expected = dict(zip(numbers, video.read_through(numbers), strict=True))
    for window in windows:
        frames = video.read(window)
        if not np.array_equal(frames, [expected[n] for n in window]):
            raise VideoError(
                f'{video.path}: reading from frame {window[0]} on gives other '
                'frames than decoding in sequence'
            )


def new_record(path: Path, name: str, full: bool) -> dict:
    """Return a record of a video without results."""
    checks = {'checks': _CHECKS, 'full': full}
    return {'video': name, **checks, 'stamp': stamp(path)}


def stamp(path: Path) -> list[int]:
    """Return the size and time of a file, which change with it."""
    try:
        stat = path.stat()
    except OSError:
        return []
    return [stat.st_size, stat.st_mtime_ns]


def read_log(path: Path, root: Path, full: bool) -> dict[str, dict]:
    """Read the results of earlier scans that still hold."""
    records: dict[str, dict] = {}
    if not path.exists():
        return records
    for line in path.read_text(encoding='utf-8').splitlines():
        try:
            record = json.loads(line)
        except json.JSONDecodeError:  # the scan was killed while writing
            continue
        if record['full'] >= full and record.get('checks') == _CHECKS:
            records[record['video']] = record
    return {
        name: record
        for name, record in records.items()
        if record['stamp'] == stamp(root / name)
    }


def scan(
    root: Path, names: Iterable[str], full: bool, workers: int, check: Check
) -> Iterator[dict]:
    """Check videos in several processes; results come in any order."""
    waiting = iter(names)
    stopped: list[str] = []
    while True:
        running: dict[Future, str] = {}
        pool = make_pool(workers)
        try:
            with hold_ctrl_c() as check_ctrl_c:
                while True:
                    room = 4 * workers - len(running)
                    for name in islice(waiting, room):
                        future = pool.submit(check, str(root), name, full)
                        running[future] = name
                    if not running:
                        return
                    check_ctrl_c()
                    done, _ = wait(running, _PAUSE, FIRST_COMPLETED)
                    for future in done:
                        yield future.result()
                        del running[future]
        except BrokenProcessPool:
            stopped = list(running.values())
        finally:
            pool.shutdown(cancel_futures=True)
        for name in stopped:
            yield check_alone(root, name, full, check)


def check_alone(root: Path, name: str, full: bool, check: Check) -> dict:
    """Check a video that may end the process that decodes it."""
    with make_pool(1) as pool:
        try:
            return pool.submit(check, str(root), name, full).result()
        except BrokenProcessPool:
            return describe_lost(root, name, full)


def describe_lost(root: Path, name: str, full: bool) -> dict:
    """Return the record of a video that ends the process."""
    record = new_record(root / name, name, full)
    detail = f'{root / name}: decoding it ends the process'
    return {**record, 'reason': 'cannot be decoded', 'detail': detail}


def make_pool(workers: int) -> ProcessPoolExecutor:
    """Make processes that leave Ctrl-C to this one."""
    return ProcessPoolExecutor(workers, initializer=_start_worker)


def _start_worker() -> None:
    """Leave Ctrl-C to the parent, and end when the parent was killed."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def watch() -> None:
        while os.getppid() == parent:
            time.sleep(1)
        os._exit(1)

    threading.Thread(target=watch, daemon=True).start()


def verify(
    args: argparse.Namespace, files: dict[str, str], check: Check
) -> dict[str, dict]:
    """Check the table's videos, but for those of earlier scans."""
    found = (locate(row['video'], files) for row in read_rows(args.csv))
    names = list(dict.fromkeys(name for name in found if name is not None))
    log = log_path(args.dst)
    records = read_log(log, args.videos, args.full)
    todo = [name for name in names if name not in records]
    say(
        f'{len(names):,} videos are there, {len(names) - len(todo):,} of '
        f'them known from an earlier scan ({log})'
    )
    progress, rejected = ItemProgress(len(todo), 'videos'), 0
    args.dst.parent.mkdir(parents=True, exist_ok=True)
    with open(log, 'a', encoding='utf-8') as file:
        file.write('\n')  # ends a line that was cut off
        for record in check_all(args, todo, check):
            file.write(json.dumps(record) + '\n')
            file.flush()
            records[record['video']] = record
            rejected += 'reason' in record
            progress.step(f', {rejected:,} rejected')
    return records


def check_all(
    args: argparse.Namespace, names: list[str], check: Check
) -> Iterator[dict]:
    """Check videos here, or with workers of a cluster."""
    if not args.ray:
        return scan(args.videos, names, args.full, args.workers, check)

    def lost(name: str) -> dict:
        return describe_lost(args.videos, name, args.full)

    return scan_cluster(args, names, check, lost)


def log_path(dst: Path) -> Path:
    """Name the file of the results that a later scan reads."""
    return dst.with_name(f'{dst.stem}.scan.jsonl')


def write_tables(
    args: argparse.Namespace, files: dict[str, str], records: dict[str, dict]
) -> Counter[str]:
    """Write the verified clips and the rejected ones; count them."""
    counts = Counter[str]()
    rejected = args.dst.with_name(f'{args.dst.stem}.rejected.tsv')
    with (
        atomic_path(args.dst) as good_path,
        atomic_path(rejected) as bad_path,
        open(good_path, 'w', newline='', encoding='utf-8') as good,
        open(bad_path, 'w', newline='', encoding='utf-8') as bad,
    ):
        writer = csv.writer(good)
        writer.writerow([*COLUMNS, *SIZE_COLUMNS])
        for row in read_rows(args.csv):
            name = locate(row['video'], files)
            record = {'reason': 'without a file', 'detail': ''}
            if name is not None:
                record = records[name]
            counts[record.get('reason', 'verified')] += 1
            if 'reason' in record:
                detail = ' '.join(record['detail'].split())
                print(
                    row['video'], record['reason'], detail, sep='\t', file=bad
                )
            else:
                writer.writerow(verified_row(row, record))
    return counts


def verified_row(row: dict[str, str], record: dict) -> list:
    """Replace the sizes in a row of the table by those of the file."""
    row = {**row, 'video': record['video'], 'frame': record['frames']}
    if record['fps']:
        seconds = round(record['frames'] / record['fps'], 3)
        row.update(fps=record['fps'], seconds=seconds)
    sizes = [record[name] for name in SIZE_COLUMNS]
    return [*(row[name] for name in COLUMNS), *sizes]


def report(args: argparse.Namespace, counts: Counter[str]) -> None:
    """Print how many clips can be read, and why others cannot."""
    verified, total = counts['verified'], counts.total()
    print(f'{args.dst}: {verified:,} of {total:,} clips verified')
    for reason, count in counts.most_common():
        if reason != 'verified':
            print(f'  {count:,} {reason}')
    if verified < total:
        names = args.dst.with_name(f'{args.dst.stem}.rejected.tsv')
        print(f'  listed in {names}')
