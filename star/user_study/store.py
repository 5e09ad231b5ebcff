"""Database of a study: one SQLite file that survives a killed server.

Each vote is one transaction that is on the disk before the browser gets its
answer (write-ahead log, `synchronous=FULL`). Votes are never changed, only
added.
"""

import json
import secrets
import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timezone
from fractions import Fraction
from pathlib import Path
from typing import TypedDict

from star.user_study.order import plan_screens

QUESTIONS = ('quality', 'consistency')
FORMAT = 'star-study/1'
_LETTERS = 'abcdefghjkmnpqrstuvwxyz23456789'  # without lookalikes
_CODE_LENGTH = 12
TABLES = """
CREATE TABLE study (name TEXT PRIMARY KEY, value TEXT NOT NULL);
CREATE TABLE clip (
    id INTEGER PRIMARY KEY, dataset TEXT NOT NULL, name TEXT NOT NULL,
    fps TEXT NOT NULL, num_frames INTEGER NOT NULL,
    width INTEGER NOT NULL, height INTEGER NOT NULL
);
CREATE TABLE version (
    id TEXT PRIMARY KEY, clip INTEGER NOT NULL REFERENCES clip,
    method INTEGER NOT NULL, file TEXT NOT NULL
);
CREATE TABLE participant (
    id INTEGER PRIMARY KEY, code TEXT UNIQUE NOT NULL,
    started TEXT NOT NULL, finished TEXT
);
CREATE TABLE tile (
    participant INTEGER NOT NULL REFERENCES participant,
    screen INTEGER NOT NULL, position INTEGER NOT NULL,
    version TEXT NOT NULL REFERENCES version,
    PRIMARY KEY (participant, screen, position)
);
CREATE TABLE vote (
    id INTEGER PRIMARY KEY AUTOINCREMENT,
    participant INTEGER NOT NULL REFERENCES participant,
    screen INTEGER NOT NULL, question TEXT NOT NULL,
    position INTEGER NOT NULL, time TEXT NOT NULL,
    FOREIGN KEY (participant, screen, position) REFERENCES tile
);
"""


class StudyError(ValueError):
    """A request of a participant that the study does not allow."""


class ScreenRecord(TypedDict):
    """One screen for the browser.

    `videos` are ids in the order of positions; `votes` are positions from 0
    by question.
    """

    fps: float
    frames: int
    width: int
    height: int
    videos: list[str]
    votes: dict[str, int]


class ParticipantRecord(TypedDict):
    """All screens of a participant for the browser."""

    finished: bool
    screens: list[ScreenRecord]


@dataclass(frozen=True)
class Vote:
    """One answer of a participant.

    Args:
        participant: number, from 1.
        finished: the participant has finished the study.
        dataset: set of the clip.
        clip: its name.
        screen: number of the clip in the participant's order, from 1.
        question: one of `QUESTIONS`.
        method: the chosen one.
        position: of the method on the screen, from 1.
        time: UTC, ISO 8601.
        counts: no later vote replaces this one.
    """

    participant: int
    finished: bool
    dataset: str
    clip: str
    screen: int
    question: str
    method: str
    position: int
    time: str
    counts: bool


class Store:
    """Reads and writes a study's database.

    Args:
        path: of the file.

    Raises:
        ValueError: the file is missing, or is no study.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        if not self.path.is_file():
            raise ValueError(f'`db`: there is no study {self.path}')
        try:
            with self._open() as db:
                rows = dict(db.execute('SELECT name, value FROM study'))
        except sqlite3.DatabaseError as error:
            raise ValueError(
                f'`db`: {self.path} is no study ({error})'
            ) from error
        if rows.get('format') != FORMAT:
            raise ValueError(f'`db`: {self.path} is no study of {FORMAT}')
        self.methods: list[str] = json.loads(rows['methods'])
        self.seed, self.secret = int(rows['seed']), rows['secret']

    def files(self) -> dict[str, str]:
        """Return the names of the files by the ids that browsers know."""
        with self._open() as db:
            return dict(db.execute('SELECT id, file FROM version'))

    def join(self) -> str:
        """Add a participant and store a random order of the clips.

        Returns:
            The code with which the participant comes back.
        """
        code = ''.join(secrets.choice(_LETTERS) for _ in range(_CODE_LENGTH))
        with self._open() as db:
            added = db.execute(
                'INSERT INTO participant (code, started) VALUES (?, ?)',
                (code, _now()),
            )
            number = int(added.lastrowid or 0)
            db.executemany(
                'INSERT INTO tile VALUES (?, ?, ?, ?)',
                self._tiles(db, number),
            )
        return code

    def screens(self, code: str) -> ParticipantRecord:
        """Return a participant's screens and answers, without names.

        Args:
            code: of the participant.

        Raises:
            StudyError: nobody has this code.
        """
        with self._open() as db:
            number, finished = _participant(db, code)
            rows = db.execute(
                'SELECT tile.screen, fps, num_frames, width, height, '
                'tile.version FROM tile '
                'JOIN version ON version.id = tile.version '
                'JOIN clip ON clip.id = version.clip WHERE participant = ? '
                'ORDER BY screen, position',
                (number,),
            ).fetchall()
            # the last vote on a question counts: it replaces earlier ones
            votes = db.execute(
                'SELECT screen, question, position FROM vote '
                'WHERE participant = ? ORDER BY id',
                (number,),
            ).fetchall()
        screens: dict[int, ScreenRecord] = {}
        for screen, fps, frames, width, height, version in rows:
            shown: ScreenRecord = {
                'fps': float(Fraction(fps)),
                'frames': frames,
                'width': width,
                'height': height,
                'videos': [],
                'votes': {},
            }
            screens.setdefault(screen, shown)['videos'].append(version)
        for screen, question, position in votes:
            screens[screen]['votes'][question] = position
        return {'finished': finished, 'screens': list(screens.values())}

    def vote(
        self, code: str, screen: int, question: str, position: int
    ) -> None:
        """Add a vote; it is on the disk when this returns.

        Args:
            code: of the participant.
            screen: from 0.
            question: one of `QUESTIONS`.
            position: of the chosen version, from 0.

        Raises:
            StudyError: the code, screen, question or position does not
                exist, or the participant has finished.
        """
        if question not in QUESTIONS:
            raise StudyError(f'there is no question {question!r}')
        with self._open() as db:
            number, finished = _participant(db, code)
            if finished:
                raise StudyError('this participant has finished')
            chosen = (number, screen, position)
            try:
                db.execute(
                    'INSERT INTO vote '
                    '(participant, screen, position, question, time) '
                    'VALUES (?, ?, ?, ?, ?)',
                    (*chosen, question, _now()),
                )
            except (sqlite3.IntegrityError, OverflowError):
                raise StudyError(
                    f'there is no screen {screen} with position {position}'
                ) from None

    def finish(self, code: str) -> None:
        """Finish a participant's study; votes cannot change afterwards.

        Raises:
            StudyError: nobody has this code, or a question is not answered.
        """
        screens = self.screens(code)['screens']
        open_ = sum(len(QUESTIONS) - len(s['votes']) for s in screens)
        if open_:
            raise StudyError(f'{open_} questions are not answered')
        with self._open() as db:
            db.execute(
                'UPDATE participant SET finished = ? '
                'WHERE code = ? AND finished IS NULL',
                (_now(), code),
            )

    def votes(self) -> list[Vote]:
        """Return all votes in the order of their time, also replaced ones."""
        with self._open() as db:
            rows = db.execute(
                'SELECT vote.id, vote.participant, finished IS NOT NULL, '
                'dataset, name, vote.screen, question, method, '
                'vote.position, vote.time FROM vote '
                'JOIN tile USING (participant, screen, position) '
                'JOIN version ON version.id = tile.version '
                'JOIN clip ON clip.id = version.clip '
                'JOIN participant ON participant.id = vote.participant '
                'ORDER BY vote.id'
            ).fetchall()
        last = {(row[1], row[5], row[6]): row[0] for row in rows}
        return [
            Vote(
                participant=row[1],
                finished=bool(row[2]),
                dataset=row[3],
                clip=row[4],
                screen=row[5] + 1,
                question=row[6],
                method=self.methods[row[7]],
                position=row[8] + 1,
                time=row[9],
                counts=last[row[1], row[5], row[6]] == row[0],
            )
            for row in rows
        ]

    def _tiles(
        self, db: sqlite3.Connection, number: int
    ) -> Iterator[tuple[int, int, int, str]]:
        rows = db.execute('SELECT clip, method, id FROM version')
        versions = {(clip, method): id_ for clip, method, id_ in rows}
        clips = sorted({clip for clip, _ in versions})
        plan = plan_screens(self.seed, number, len(clips), len(self.methods))
        for i, screen in enumerate(plan):
            for position, method in enumerate(screen.methods):
                version = versions[clips[screen.clip], method]
                yield number, i, position, version

    @contextmanager
    def _open(self) -> Iterator[sqlite3.Connection]:
        with connect(self.path) as db:
            yield db


@contextmanager
def connect(path: Path) -> Iterator[sqlite3.Connection]:
    """Open a database for one transaction that is safely on the disk.

    Args:
        path: of the file; created if need be.
    """
    # with an `isolation_level`, sqlite3 would commit each new table at once
    db = sqlite3.connect(path, timeout=30, isolation_level=None)
    try:
        db.execute('PRAGMA journal_mode = WAL')
        db.execute('PRAGMA synchronous = FULL')
        db.execute('PRAGMA foreign_keys = ON')
        db.execute('BEGIN IMMEDIATE')
        with db:
            yield db
    finally:
        db.close()


def _participant(db: sqlite3.Connection, code: str) -> tuple[int, bool]:
    row = db.execute(
        'SELECT id, finished IS NOT NULL FROM participant WHERE code = ?',
        (code,),
    ).fetchone()
    if row is None:
        raise StudyError('nobody has this code')
    return int(row[0]), bool(row[1])


def _now() -> str:
    return datetime.now(timezone.utc).isoformat(timespec='milliseconds')
