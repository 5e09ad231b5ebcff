"""Runs `star restore` again and again, and kills it at chosen moments.

A process of its own imports everything once and forks for each run, so that
a run takes a fraction of a second.
"""

import json
import os
import random
import signal
import subprocess
import sys
import threading
import time
from importlib import import_module
from pathlib import Path
from typing import Any

_STEPS = ('fsync', 'replace', 'rename', 'unlink', 'mkdir', 'rmdir')


def run_killed(
    method: str, src: Path, dst: Path, kills: int, seed: int = 0
) -> list[dict[str, Any]]:
    """Restore a clip without a kill, then with so many, then without one.

    Half of the kills are at a step of writing files, the others at a time.

    Args:
        method: one of `_models`.
        src: the clip.
        dst: the result.
        kills: how many runs are killed; what a run completes is set aside,
            and the next one begins anew.
        seed: of the moments.

    Returns:
        For each run its exit code, frames kept after it, whether the result
        is in its place, and its SHA-256 if the run has ended.
    """
    words = [method, str(src), str(dst), str(kills), str(seed)]
    script = [sys.executable, '-m', 'tests.killed_restores', *words]
    done = subprocess.run(
        script, capture_output=True, text=True, check=False, timeout=600
    )
    assert done.returncode == 0, done.stderr
    return json.loads(done.stdout.splitlines()[-1])


def main(words: list[str]) -> None:
    """Do what `run_killed` describes and print it as JSON."""
    import torch

    from star.apis.inference import piecewise
    from star.apis.inference.fingerprint import digest_of_content
    from star.apis.inference.journal import count_kept
    from star.apis.inference.sidecar import sidecar_path
    from star.models.restoration import restoration

    import_module('star.cli.restore')  # what each run needs: loaded once
    _models()
    torch.set_num_threads(1)
    piecewise.LONG_PIECE, piecewise.LONG_SEGMENT = 4, 2
    restoration.SEGMENT_BYTES, restoration.WEIGHT_SHARE = 1, 0
    method, src, target, kills, seed = words
    dst, chance, runs = Path(target), random.Random(int(seed)), []
    begin, seconds = time.monotonic(), 0.0
    while True:
        killed = sum(run['code'] == -signal.SIGKILL for run in runs)
        last = bool(runs) and killed == int(kills)
        moment = _choose(chance, seconds) if runs and not last else None
        code = _fork(method, [src, target], moment)
        complete = code == 0
        runs.append(
            {
                'code': code,
                'kept': count_kept(dst),
                'moved': dst.exists(),
                'sha256': digest_of_content(dst) if complete else None,
            }
        )
        seconds = seconds or time.monotonic() - begin
        if last:
            break
        if complete:
            sidecar_path(dst).unlink()
            dst.rename(dst.with_name(f'{len(runs)}-{dst.name}'))
    print(json.dumps(runs))


def _choose(chance: random.Random, seconds: float) -> tuple[str, float]:
    if chance.random() < 0.5:
        return 'step', chance.randint(1, 40)
    return 'time', chance.uniform(0, 0.7 * seconds)


def _fork(method: str, paths: list[str], moment: Any) -> int:
    """Run the command in a child; return its code, or -9 if it was killed."""
    child = os.fork()
    if not child:
        try:
            code = _restore(method, paths, moment)
        except BaseException:
            sys.excepthook(*sys.exc_info())
            code = 99
        finally:
            os._exit(code)
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _restore(method: str, paths: list[str], moment: Any) -> int:
    from star.cli import restore
    from star.cli.main import main as star

    model = _models()[method]()
    restore.init_model = lambda *_: model
    if moment is not None and moment[0] == 'time':
        timer = threading.Timer(moment[1], _die)
        timer.daemon = True
        timer.start()
    elif moment is not None:
        _die_at_step(int(moment[1]))
    png = ['--codec', 'png'] * (method == 'bicubic')
    return star(['restore', *paths, *png])


def _die() -> None:
    os.kill(os.getpid(), signal.SIGKILL)


def _die_at_step(number: int) -> None:
    """Kill the process before its step of that number."""
    count = 0

    def counted(step: Any) -> Any:
        def take(*args: Any, **kwargs: Any) -> Any:
            nonlocal count
            count += 1
            if count == number:
                _die()
            return step(*args, **kwargs)

        return take

    for name in _STEPS:
        setattr(os, name, counted(getattr(os, name)))


def _models() -> dict[str, Any]:
    from star.apis.inference.build import take_random
    from star.models.editors import Bicubic
    from star.models.editors.real_viformer.real_viformer import (
        RealViformer,
        RealViformerNet,
    )
    from tests.test_models.fakes import small_model

    def recurrent() -> Any:
        model = RealViformer()
        model.network = RealViformerNet(16, (1, 1, 1, 1), (1, 2, 2))
        take_random(model)
        return model.eval()

    return {
        'bicubic': lambda: Bicubic(2),
        'recurrent': recurrent,
        'diffusion': lambda: small_model(
            window=4, overlap=2, seed=3, mode='normal', steps=3
        ),
    }


if __name__ == '__main__':
    main(sys.argv[1:])
