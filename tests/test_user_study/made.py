"""Small studies: the grey of a frame states its method and its number."""

import sqlite3
from pathlib import Path

import numpy as np
from PIL import Image

from star.user_study.create import open_study
from star.user_study.sources import (
    MethodFolder,
    StudyClip,
    find_clips,
    inspect,
    parse_methods,
)
from star.user_study.store import Store
from star.user_study.transcoding import transcode_clip

FRAMES = 6
SIZE = 48, 64  # height, width
METHODS = ('alpha', 'beta', 'gamma')
LEVELS = {'alpha': 30, 'beta': 100, 'gamma': 170}  # grey of frame 0


def level(method: str, frame: int) -> int:
    """Name the grey of a frame."""
    return LEVELS[method] + 10 * frame


def save_clip(
    folder: Path,
    method: str,
    count: int = FRAMES,
    size: tuple[int, int] = SIZE,
) -> Path:
    folder.mkdir(parents=True)
    for i in range(count):
        image = np.full((*size, 3), level(method, i), np.uint8)
        Image.fromarray(image).save(folder / f'{i:08d}.png')
    return folder


def save_methods(
    folder: Path, clips: tuple[str, ...] = ('set/one', 'set/two')
) -> list[str]:
    """Write folders of results; return the arguments that name them."""
    for method in METHODS:
        for clip in clips:
            save_clip(folder / method / clip, method)
    return [f'{method}={folder / method}' for method in METHODS]


def prepare(
    folder: Path, sources: list[str], seed: int = 0
) -> tuple[Store, Path, list[StudyClip]]:
    """Open a study; return its store, its cache and its clips."""
    methods: list[MethodFolder] = parse_methods(sources)
    clips = [inspect(clip) for clip in find_clips(methods)]
    cache = folder / 'cache'
    files = {c.key: transcode_clip(c, cache, say=print) for c in clips}
    return open_study(folder / 'study.db', clips, files, seed), cache, clips


def shown(store: Store, code: str) -> list[list[str]]:
    """Name the methods of a participant's screens, by place."""
    query = """SELECT screen, method FROM tile
        JOIN participant ON participant.id = tile.participant
        JOIN version ON version.id = tile.version
        WHERE code = ? ORDER BY screen, position"""
    db = sqlite3.connect(store.path)
    rows = db.execute(query, (code,)).fetchall()
    db.close()
    count = len(store.methods)
    names = [store.methods[method] for _, method in rows]
    return [names[i : i + count] for i in range(0, len(names), count)]
