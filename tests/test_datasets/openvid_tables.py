"""Tables and videos in the layout of OpenVid-1M."""

import csv

import numpy as np

from star.datasets.openvid_table import COLUMNS
from tests.test_video.clips import write_clip


def make_row(video, **cells):
    """A row of the table; a column's name has _ for each space."""
    row = {
        'video': video,
        'caption': f'What {video} shows, in words.',
        'aesthetic score': 5.1,
        'motion score': 3.5,
        'temporal consistency score': 0.99,
        'camera motion': 'static',
        'frame': 20,
        'fps': 25.0,
        'seconds': 0.8,
    }
    return {**row, **{key.replace('_', ' '): v for key, v in cells.items()}}


def write_table(path, rows, columns=None):
    columns = columns or [*COLUMNS, *(rows[0].keys() - set(COLUMNS))]
    with open(path, 'w', newline='', encoding='utf-8') as file:
        writer = csv.DictWriter(file, columns, extrasaction='ignore')
        writer.writeheader()
        writer.writerows(rows)
    return path


def write_video(path, count=20, level=40, width=64, height=48):
    """Frames whose brightness is level + 4 * number."""
    path.parent.mkdir(parents=True, exist_ok=True)
    levels = (level + 4 * np.arange(count)).astype('u1')[:, None, None, None]
    frames = np.broadcast_to(levels, (count, height, width, 3))
    return write_clip(path, frames, options={'g': '8'})
