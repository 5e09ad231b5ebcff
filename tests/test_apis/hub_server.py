"""A stand-in for the hub on this machine, with what a download asks for."""

import hashlib
import json
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread

import huggingface_hub.constants as hub_constants
import pytest

COMMIT = '0123456789abcdef' * 2 + '01234567'


class Hub(ThreadingHTTPServer):
    """Serves the files of one repository, owner/model.

    Attributes:
        files: content by path.
        gated: files are not given.
        asked: paths of the files that were downloaded.
    """

    daemon_threads = True

    def __init__(self) -> None:
        super().__init__(('127.0.0.1', 0), _Handler)
        self.files: dict[str, bytes] = {}
        self.gated = False
        self.asked: list[str] = []


class _Handler(BaseHTTPRequestHandler):
    server: Hub

    def do_HEAD(self) -> None:
        self._answer()

    def do_GET(self) -> None:
        self._answer()

    def _answer(self) -> None:
        path = self.path.partition('?')[0].strip('/')
        if path.startswith('api/models/owner/model/revision/'):
            self._revision(path.rpartition('/')[2])
        elif path.startswith('api/models/owner/model/tree/'):
            self._send(json.dumps(self._tree()).encode())
        elif path.startswith(f'owner/model/resolve/{COMMIT}/'):
            self._file(path.rpartition('/')[2])
        else:
            self._refuse(401, 'RepoNotFound')

    def _revision(self, revision: str) -> None:
        if revision not in ('main', 'v1', COMMIT):
            self._refuse(404, 'RevisionNotFound')
            return
        self._send(json.dumps({'id': 'owner/model', 'sha': COMMIT}).encode())

    def _tree(self) -> list[dict]:
        return [
            {
                'type': 'file',
                'path': name,
                'size': len(content),
                'oid': hashlib.sha1(content).hexdigest(),
            }
            for name, content in self.server.files.items()
        ]

    def _file(self, name: str) -> None:
        if self.server.gated:
            self._refuse(403, 'GatedRepo')
            return
        if self.command == 'GET':
            self.server.asked.append(name)
        content = self.server.files[name]
        self._send(content, hashlib.sha1(content).hexdigest())

    def _refuse(self, code: int, reason: str) -> None:
        self.send_response(code)
        self.send_header('X-Error-Code', reason)
        self.send_header('Content-Length', '0')
        self.end_headers()

    def _send(self, content: bytes, etag: str = 'x') -> None:
        self.send_response(200)
        self.send_header('Content-Length', str(len(content)))
        self.send_header('ETag', f'"{etag}"')
        self.send_header('X-Repo-Commit', COMMIT)
        self.end_headers()
        if self.command == 'GET':
            self.wfile.write(content)

    def log_message(self, *words: object) -> None:
        """Print nothing."""


@contextmanager
def serve(monkeypatch: pytest.MonkeyPatch, cache: str) -> Iterator[Hub]:
    """Serve in place of the hub; the cache is empty."""
    with Hub() as hub:
        Thread(target=hub.serve_forever, args=(0.02,), daemon=True).start()
        address = f'http://127.0.0.1:{hub.server_address[1]}'
        monkeypatch.setattr(hub_constants, 'ENDPOINT', address)
        template = f'{address}/{{repo_id}}/resolve/{{revision}}/{{filename}}'
        monkeypatch.setattr(
            hub_constants, 'HUGGINGFACE_CO_URL_TEMPLATE', template
        )
        monkeypatch.setattr(hub_constants, 'HF_HUB_CACHE', cache)
        monkeypatch.setenv('NO_PROXY', '127.0.0.1')
        yield hub
        hub.shutdown()
