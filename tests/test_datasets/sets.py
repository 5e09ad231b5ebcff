"""Small test sets made on the spot."""

import cv2
import numpy as np

from star.datasets.test_set_clips import PrepareOptions
from star.datasets.test_set_writer import SetWriter
from tests.test_video.clips import pictures


def write_frames(folder, frames, names='{:08d}.png'):
    """Write frames (T, H, W, 3) RGB as images, without our own writer."""
    folder.mkdir(parents=True)
    for i, frame in enumerate(frames):
        assert cv2.imwrite(str(folder / names.format(i)), frame[..., ::-1])
    return folder


def write_set(root, count=8, names=('a', 'b'), **options):
    """Prepare clips of 64x48 with inputs of 16x12; return the manifest."""
    writer = SetWriter(root, PrepareOptions(**options))
    for i, name in enumerate(names):
        source = root.parent / f'source_{root.name}' / name
        if not source.exists():
            write_frames(source, pictures(count, seed=i))
        writer.prepare(name, {'gt': source})
    return writer.finish('mini', 'made for a test')


def clip_of_noise(frames=3, height=24, width=32, seed=0):
    rng = np.random.default_rng(seed)
    shape = (frames, height, width, 3)
    return rng.integers(0, 256, shape, dtype=np.uint8)
