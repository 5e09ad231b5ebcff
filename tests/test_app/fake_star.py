"""Stands for `star` in tests of the queue: prints what it would, at once.

`python fake_star.py restore SRC DST ... --prompt 'sleep=1 error=TEXT'`: the
prompt says how long it works and how it ends. Each run adds its start and end
to the file `runs` beside the folder of jobs.
"""

import itertools
import json
import os
import signal
import sys
import time
from pathlib import Path


def main() -> None:
    task, src, dst, *rest = sys.argv[1:]
    words = dict(itertools.pairwise(rest))
    pairs = words.get('--prompt', '').split(';')
    orders = dict(pair.split('=') for pair in pairs if pair)
    runs = Path(src).parents[3] / 'runs'
    signal.signal(signal.SIGTERM, lambda *_: stop(runs))
    tell(runs, 'start', Path(src).name)
    event = {'stage': 'decode', 'done': 1, 'total': 2, 'share': 0.5}
    print(json.dumps({**event, 'seconds_left': 3.0}), file=sys.stderr)
    print('note: a note', file=sys.stderr, flush=True)
    time.sleep(float(orders.get('sleep', 0)))
    if 'error' in orders:
        print(f'error: {orders["error"]}', file=sys.stderr)
        end(runs, 2)
    if 'kill' in orders:
        tell(runs, 'end', '')
        os.kill(os.getpid(), signal.SIGKILL)
    answer = {'frames': 2, 'output_size': [8, 8], 'seconds': 1.0}
    if task == 'restore':
        Path(dst).parent.mkdir(exist_ok=True)
        Path(dst).write_text(src)
    print(json.dumps(answer))
    end(runs, 0)


def stop(runs: Path) -> None:
    print(json.dumps({'error': 'interrupted', 'kept': 1}), flush=True)
    end(runs, 143)


def end(runs: Path, code: int) -> None:
    tell(runs, 'end', '')
    sys.stdout.flush()
    os._exit(code)


def tell(runs: Path, what: str, name: str) -> None:
    with open(runs, 'a') as file:
        print(what, name, file=file)


if __name__ == '__main__':
    main()
