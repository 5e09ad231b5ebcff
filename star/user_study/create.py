"""Creation of a study's database, and checks of an existing one."""

import json
import secrets
from collections.abc import Mapping, Sequence
from pathlib import Path

from star.user_study.sources import Key, StudyClip
from star.user_study.store import FORMAT, TABLES, Store, connect
from star.utils.files import atomic_path

Files = Mapping[Key, Mapping[str, str]]


def open_study(
    path: Path, clips: Sequence[StudyClip], files: Files, seed: int
) -> Store:
    """Open a study's database; create it if it does not exist.

    Args:
        path: of the database.
        clips: from `inspect`, all with the same methods.
        files: names of the files that browsers play, by clip and method.
        seed: of all random orders.

    Raises:
        ValueError: the database belongs to a study with other methods,
            clips, files or seed.
    """
    methods = list(clips[0].files)
    if not path.exists():
        _create(path, clips, files, seed)
    store = Store(path)
    _same(path, 'methods', store.methods, methods)
    _same(path, 'seed', store.seed, seed)
    _check_clips(store, clips, files)
    return store


def _create(
    path: Path, clips: Sequence[StudyClip], files: Files, seed: int
) -> None:
    methods = list(clips[0].files)
    facts = {
        'format': FORMAT,
        'methods': json.dumps(methods),
        'seed': str(seed),
        'secret': secrets.token_hex(32),
    }
    versions = [
        (secrets.token_urlsafe(16), i, j, files[clip.key][method])
        for i, clip in enumerate(clips)
        for j, method in enumerate(methods)
    ]
    # closing the database empties its log into the file
    with atomic_path(path) as temporary, connect(temporary) as db:
        # not `executescript`, which would commit halfway
        for table in filter(str.strip, TABLES.split(';')):
            db.execute(table)
        db.executemany('INSERT INTO study VALUES (?, ?)', facts.items())
        rows = [(i, *_row(clip)) for i, clip in enumerate(clips)]
        db.executemany('INSERT INTO clip VALUES (?, ?, ?, ?, ?, ?, ?)', rows)
        db.executemany('INSERT INTO version VALUES (?, ?, ?, ?)', versions)


def _row(clip: StudyClip) -> tuple[str, str, str, int, int, int]:
    size = clip.num_frames, clip.width, clip.height
    return (*clip.key, str(clip.fps), *size)


def _check_clips(
    store: Store, clips: Sequence[StudyClip], files: Files
) -> None:
    with connect(store.path) as db:
        rows = db.execute(
            'SELECT dataset, name, method, file FROM version '
            'JOIN clip ON clip.id = version.clip ORDER BY clip, method'
        ).fetchall()
    known = {(d, n, store.methods[m]): file for d, n, m, file in rows}
    names = list(dict.fromkeys('/'.join(key[:2]) for key in known))
    _same(store.path, 'clips', names, ['/'.join(c.key) for c in clips])
    for (dataset, name, method), file in known.items():
        if files[dataset, name][method] != file:
            raise ValueError(
                f'{dataset}/{name} of {method} has changed since the study '
                f'{store.path} began; start a new study with another --db'
            )


def _same(path: Path, what: str, known: object, given: object) -> None:
    if known != given:
        raise ValueError(
            f'`{what}` must be {known} as in the study {path}, got {given}'
        )
