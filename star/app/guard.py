"""`Guard`: refuses requests that the page never makes."""

from collections.abc import Sequence
from typing import TYPE_CHECKING
from urllib.parse import unquote

from star.utils import compat

if TYPE_CHECKING:
    from starlette.types import ASGIApp, Receive, Scope, Send

LOCAL = ('127.0.0.1', 'localhost', '::1')
# Gradio fetches an address there in the browser's place
_FETCHED = ('/gradio_api/proxy=', '/gradio_api/file=http', '/proxy=')


class Guard:
    """Answers 403 to a foreign name of the server and to fetched addresses.

    A page elsewhere can let its own name lead to this machine; the request
    has that name as its host.

    Args:
        app: that answers the others.
        hosts: names that the server may have; empty for any.
    """

    def __init__(self, app: 'ASGIApp', hosts: Sequence[str] = ()) -> None:
        self._app, self._hosts = app, hosts

    async def __call__(
        self, scope: 'Scope', receive: 'Receive', send: 'Send'
    ) -> None:
        """Answer a request."""
        if scope['type'] in ('http', 'websocket') and not self._allows(scope):
            responses = compat.require('starlette.responses', 'app')
            answer = responses.PlainTextResponse('forbidden', 403)
            await answer(scope, receive, send)
            return
        await self._app(scope, receive, send)

    def _allows(self, scope: 'Scope') -> bool:
        path = unquote(scope['path']).lower()
        if path.startswith(_FETCHED):
            return False
        headers = dict(scope['headers'])
        host = headers.get(b'host', b'').decode('latin-1')
        return not self._hosts or host_name(host) in self._hosts


def host_name(text: str) -> str:
    """Return the name in a Host header, without its port."""
    if text.startswith('['):
        return text[1:].partition(']')[0]
    return text.rpartition(':')[0] if ':' in text else text
