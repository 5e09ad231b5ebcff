"""A server in a process of its own, as `star app` starts it."""

import os
import re
import subprocess
import sys
import time
from pathlib import Path

import av
import numpy as np


class Server:
    """A running `star app`; a context manager.

    Args:
        folder: of the app.

    Attributes:
        url: of the page.
        process: of the server.
    """

    def __init__(self, folder: Path) -> None:
        words = ['--folder', str(folder), '--port', '0', '--no-browser']
        self.log = folder.with_suffix('.log')
        with open(self.log, 'wb') as log:
            self.process = subprocess.Popen(
                [sys.executable, '-m', 'star', 'app', *words],
                stderr=log,
                env={**os.environ, 'OMP_NUM_THREADS': '1'},
            )
        end = time.monotonic() + 300
        while not (found := re.search(r'http://\S+/', self.read_log())):
            assert self.process.poll() is None, self.read_log()
            assert time.monotonic() < end, self.read_log()
            time.sleep(0.2)
        self.url = found[0]

    def read_log(self) -> str:
        return self.log.read_text()

    def __enter__(self) -> 'Server':
        return self

    def __exit__(self, *error: object) -> None:
        self.process.terminate()
        self.process.wait(90)


def make_clip(path: Path, frames: int, width: int = 64) -> Path:
    """Write a moving pattern as H.264."""
    rows, columns = np.mgrid[0 : width * 3 // 4, 0:width]
    with av.open(str(path), 'w') as file:
        stream = file.add_stream('libx264', 25)
        stream.width, stream.height = width, width * 3 // 4
        stream.pix_fmt = 'yuv420p'
        for i in range(frames):
            wave = np.sin((columns + 2 * i) / 5) * np.cos((rows - i) / 7)
            image = np.repeat((wave * 100 + 128)[..., None], 3, -1)
            frame = av.VideoFrame.from_ndarray(image.astype(np.uint8))
            file.mux(stream.encode(frame))
        file.mux(stream.encode())
    return path


def restore(src: Path, dst: Path, *options: str) -> bytes:
    """Return the bytes that `star restore` makes."""
    words = ['restore', str(src), str(dst), *options]
    subprocess.run(
        [sys.executable, '-m', 'star', *words],
        check=True,
        capture_output=True,
        env={**os.environ, 'OMP_NUM_THREADS': '1'},
    )
    return dst.read_bytes()
