"""A headless Chromium that is driven by the W3C WebDriver protocol.

Only what the tests of the page need, over plain HTTP: chromedriver of the
Debian package chromium-driver answers it, and no Python package is needed.
"""

import base64
import json
import os
import shutil
import socket
import subprocess
import time
from pathlib import Path
from typing import Any
from urllib.error import HTTPError, URLError
from urllib.request import Request, urlopen

import pytest

CHROMIUM = shutil.which('chromium')
DRIVER = shutil.which('chromedriver')
needs_browser = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason='no chromium (Debian: apt-get install chromium chromium-driver)',
)
_FLAGS = (
    *('headless', 'no-sandbox', 'disable-gpu', 'disable-quic'),
    *('no-first-run', 'disable-background-networking', 'hide-scrollbars'),
    *('disable-component-update', 'disable-sync', 'disable-dev-shm-usage'),
)
_ELEMENT = 'element-6066-11e4-a52e-4f735466cecf'
_KEYS = {'ArrowLeft': '\ue012', 'ArrowRight': '\ue014', 'End': '\ue010'}


class Browser:
    """One window; a context manager.

    Args:
        folder: empty; takes the profile and what is left in passing.
        width: of the page's window in CSS pixels, may be a telephone's.
        height: likewise.
        dark: ask pages for their dark colours.
    """

    def __init__(
        self, folder: Path, width: int, height: int, dark: bool = False
    ) -> None:
        with socket.socket() as free:
            free.bind(('127.0.0.1', 0))
            port = free.getsockname()[1]
        self._url = f'http://127.0.0.1:{port}'
        self._server = subprocess.Popen(
            [str(DRIVER), f'--port={port}'],
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            env={**os.environ, 'TMPDIR': str(folder)},
        )
        flags = [*_FLAGS, f'user-data-dir={folder / "profile"}']
        flags += ['force-dark-mode'] if dark else []
        screen = {'width': width, 'height': height, 'pixelRatio': 1}
        options = {
            'binary': CHROMIUM,
            'args': [f'--{flag}' for flag in flags],
            'mobileEmulation': {'deviceMetrics': {**screen, 'touch': False}},
        }
        wanted = {'browserName': 'chrome', 'goog:chromeOptions': options}
        wanted['goog:loggingPrefs'] = {'browser': 'ALL'}
        try:
            self._wait()
            body = {'capabilities': {'alwaysMatch': wanted}}
            self._session = self._send('POST', '/session', body)['sessionId']
        except BaseException:
            self._server.kill()
            raise

    def __enter__(self) -> 'Browser':
        return self

    def __exit__(self, *error: object) -> None:
        try:
            self._call('DELETE', '')
        finally:
            self._server.terminate()
            self._server.wait(10)

    def open(self, page: Path) -> None:
        self._call('POST', '/url', {'url': page.resolve().as_uri()})

    def run(self, script: str) -> Any:
        """MethodResults JavaScript; what it returns comes back."""
        body = {'script': script, 'args': []}
        return self._call('POST', '/execute/sync', body)

    def wait_for(self, script: str, *args: Any) -> Any:
        """Run JavaScript until it calls its last argument with a value."""
        body = {'script': script, 'args': args}
        return self._call('POST', '/execute/async', body)

    def messages(self) -> list[str]:
        """What the page complained of since the last call."""
        entries = self._call('POST', '/se/log', {'type': 'browser'})
        return [entry['message'] for entry in entries]

    def click(self, selector: str) -> None:
        self._call('POST', f'/element/{self._find(selector)}/click', {})

    def press(self, selector: str, *keys: str) -> None:
        """Focus an element and press keys there."""
        text = ''.join(_KEYS.get(key, key) for key in keys)
        path = f'/element/{self._find(selector)}/value'
        self._call('POST', path, {'text': text})

    def drag(self, selector: str, x: int, y: int) -> None:
        """Press the mouse in the middle of an element, move it, let go."""
        origin = {_ELEMENT: self._find(selector)}
        steps: list[dict[str, Any]] = [
            {'type': 'pointerMove', 'origin': origin, 'x': 0, 'y': 0},
            {'type': 'pointerDown', 'button': 0},
            {'type': 'pointerMove', 'origin': 'pointer', 'x': x, 'y': y},
            {'type': 'pointerUp', 'button': 0},
        ]
        mouse = {'type': 'pointer', 'id': 'mouse', 'actions': steps}
        self._call('POST', '/actions', {'actions': [mouse]})

    def screenshot(self, path: Path) -> None:
        path.write_bytes(base64.b64decode(self._call('GET', '/screenshot')))

    def _find(self, selector: str) -> str:
        body = {'using': 'css selector', 'value': selector}
        return self._call('POST', '/element', body)[_ELEMENT]

    def _call(self, method: str, path: str, body: Any = None) -> Any:
        return self._send(method, f'/session/{self._session}{path}', body)

    def _send(self, method: str, path: str, body: Any = None) -> Any:
        data = None if body is None else json.dumps(body).encode()
        request = Request(self._url + path, data, method=method)
        try:
            with urlopen(request, timeout=60) as answer:
                return json.load(answer)['value']
        except HTTPError as error:
            raise RuntimeError(error.read().decode()) from None

    def _wait(self) -> None:
        """Wait until the driver listens."""
        for _ in range(100):
            try:
                self._send('GET', '/status')
                return
            except URLError:
                time.sleep(0.1)
        raise RuntimeError('chromedriver does not answer')
