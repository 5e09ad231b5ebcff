"""`star study` as a user calls it, and kills it."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from http.cookiejar import CookieJar
from pathlib import Path
from urllib.request import HTTPCookieProcessor, Request, build_opener

import pytest

from star.user_study.store import Store
from tests.paths import ROOT
from tests.test_cli.conftest import Star
from tests.test_user_study.made import prepare, save_clip, save_methods

pytest.importorskip('flask', reason='no flask (extra study)')
SERVE = [sys.executable, '-m', 'star', 'study', 'serve']


@contextmanager
def serving(*args: object) -> Iterator[tuple[subprocess.Popen, str]]:
    """Start a server; give its process and address; kill it."""
    process = subprocess.Popen(
        [*SERVE, '--port', '0', *map(str, args)],
        stderr=subprocess.PIPE,
        text=True,
        cwd=ROOT,
    )
    assert process.stderr is not None
    try:
        told = []
        for line in process.stderr:
            told.append(line)
            if found := re.match(r'http://127\.0\.0\.1:\d+', line):
                yield process, found[0]
                break
        else:
            raise RuntimeError(''.join(told))
    finally:
        process.kill()
        process.wait(30)
        process.stderr.close()


class Person:
    """Somebody with cookies, but without a browser."""

    def __init__(self, address: str) -> None:
        self.address = address
        self._opener = build_opener(HTTPCookieProcessor(CookieJar()))

    def ask(self, path: str, data: bytes | None = None, **headers: str) -> str:
        request = Request(self.address + path, data, headers)
        with self._opener.open(request, timeout=30) as answer:
            self.url = answer.url
            return answer.read().decode()

    def token(self, path: str) -> str:
        return re.findall(r'[0-9a-f]{64}', self.ask(path))[0]

    def join(self) -> str:
        self.ask('/join', f'token={self.token("/")}'.encode())
        return self.url.removeprefix(self.address)

    def vote(self, page: str, screen: int, position: int) -> str:
        body = {'screen': screen, 'position': position, 'question': 'quality'}
        headers = {'Content-Type': 'application/json'}
        headers['X-Token'] = self.token(page)
        data = json.dumps(body).encode()
        return self.ask(f'{page}/vote', data, **headers)


def test_kill_9_loses_no_vote(tmp_path: Path):
    """Votes reported as saved are there, and the study continues."""
    args = ['--methods', *save_methods(tmp_path)]
    args += ['--db', str(tmp_path / 'study.db')]
    pages = []
    for position in range(2):
        with serving(*args) as (process, address):
            person = Person(address)
            page = person.join()
            assert json.loads(person.vote(page, 1, position))['saved'] is True
            os.kill(process.pid, signal.SIGKILL)
            process.wait(30)
        pages.append(page)
        store = Store(tmp_path / 'study.db')
        assert [v.position for v in store.votes()] == [*range(1, position + 2)]
    with serving(*args) as (_, address):
        plan = json.loads(Person(address).ask(f'{pages[1]}/screens'))
        assert [s['votes'] for s in plan['screens']] == [{}, {'quality': 1}]


def test_killed_while_it_prepares(tmp_path: Path):
    """Half a file is never taken for a whole one."""
    args = ['--methods', *save_methods(tmp_path)]
    args += ['--db', str(tmp_path / 'study.db')]
    process = subprocess.Popen(
        [*SERVE, *args], stderr=subprocess.PIPE, text=True, cwd=ROOT
    )
    assert process.stderr is not None
    with process.stderr as lines:
        assert next(iter(lines)).startswith('preparing set/one of alpha')
        process.kill()
        process.wait(30)
    assert not (tmp_path / 'study.db').exists()
    with serving(*args) as (_, address):
        person = Person(address)
        plan = json.loads(person.ask(f'{person.join()}/screens'))
    assert [screen['frames'] for screen in plan['screens']] == [6, 6]
    files = [*(tmp_path / 'study.clips').glob('[!.]*')]
    assert len(files) == 6 and all(file.stat().st_size for file in files)


def test_listens_here_only(tmp_path: Path):
    args = ['--methods', *save_methods(tmp_path, ('set/one',))]
    with serving(*args, '--db', tmp_path / 'study.db') as (process, address):
        port = int(address.rpartition(':')[2])
        table = Path(f'/proc/{process.pid}/net/tcp')
        if not table.exists():
            pytest.skip('the system has no list of sockets')
        lines = table.read_text().splitlines()[1:]
        local = [line.split()[1] for line in lines if line.split()[3] == '0A']
        # 127.0.0.1, in the machine's own order of bytes
        hosts = {a.split(':')[0] for a in local if int(a[-4:], 16) == port}
        assert hosts == {'0100007F'}


def test_export(star: Star, tmp_path: Path):
    args = ['--methods', *save_methods(tmp_path, ('set/one',))]
    db, out = tmp_path / 'study.db', tmp_path / 'out'
    with serving(*args, '--db', db) as (_, address):
        person = Person(address)
        person.vote(person.join(), 0, 0)
    (vote,) = Store(db).votes()
    done = star('study', 'export', '--db', db, '--out', out)
    assert (done.code, done.err) == (0, '')
    assert (
        f'quality: {vote.method} 100.0 % [20.7, 100.0] of 1 votes\n'
        in done.out
    )
    assert {path.name for path in out.iterdir()} == {
        *('votes.csv', 'summary.csv', 'pies.png', 'bars.png')
    }


@pytest.fixture
def refused(star: Star) -> Callable[..., str]:
    """Run the command in this process; return its one line."""
    return lambda *args: star('study', *args).error


def test_mistakes_take_one_line(tmp_path: Path, refused: Callable[..., str]):
    sources = save_methods(tmp_path, ('set/one',))
    db = ['--db', tmp_path / 'study.db']
    serve = ['serve', *db, '--methods']
    assert refused(*serve, *sources[:1]) == (
        '`methods` must be two or more to compare, got 1'
    )
    assert refused(*serve, *sources, '--fps', '0').endswith("got '0'")
    assert refused(*serve, *sources, '--crf', '52').endswith("got '52'")
    assert refused(*serve, *sources, '--port', 'x').endswith("got 'x'")
    assert refused('export', *db, '--out', tmp_path) == (
        f'`db`: there is no study {tmp_path / "study.db"}'
    )
    save_clip(tmp_path / 'beta' / 'set' / 'more', 'beta')
    assert refused(*serve, *sources) == (
        'alpha lacks 1 of 2 clips of set: more'
    )
    assert not (tmp_path / 'study.db').exists()


def test_a_port_in_use_takes_one_line(
    tmp_path: Path, refused: Callable[..., str], capsys: pytest.CaptureFixture
):
    sources = save_methods(tmp_path, ('set/one',))
    args: list[object] = ['serve', '--methods', *sources]
    prepare(tmp_path, sources)
    capsys.readouterr()
    args += ['--db', tmp_path / 'study.db', '--cache', tmp_path / 'cache']
    with socket.socket() as taken:
        taken.bind(('127.0.0.1', 0))
        taken.listen()
        port = taken.getsockname()[1]
        assert refused(*args, '--port', port) == (
            f'`port`: 127.0.0.1:{port} cannot be used (Address already in use)'
        )
