"""Requests that are refused before Gradio sees them."""

import asyncio

import pytest

from star.app.guard import LOCAL, Guard, host_name

pytest.importorskip('starlette')


def answer(path: str, host: str, hosts: tuple[str, ...] = LOCAL) -> int:
    """Return the status of a request; 200 if it came through."""
    sent = []

    async def app(scope, receive, send):
        await send({'type': 'http.response.start', 'status': 200})

    async def send(message):
        sent.append(message)

    scope = {
        'type': 'http',
        'path': path,
        'headers': [(b'host', host.encode())],
    }
    asyncio.run(Guard(app, hosts)(scope, None, send))
    return sent[0]['status']


@pytest.mark.parametrize(
    ('path', 'host', 'status'),
    [
        ('/', '127.0.0.1:7860', 200),
        ('/', 'localhost', 200),
        ('/', '[::1]:7860', 200),
        ('/', 'evil.example:7860', 403),
        ('/', '', 403),
        ('/gradio_api/file=/a/b.mp4', 'localhost', 200),
        ('/gradio_api/file=http://a/b', 'localhost', 403),
        ('/gradio_api/file=HTTPS%3A//a/b', 'localhost', 403),
        ('/gradio_api/proxy=http://a', 'localhost', 403),
    ],
)
def test_guard(path: str, host: str, status: int):
    assert answer(path, host) == status


def test_any_host_where_others_are_wanted():
    assert answer('/', 'box.example', ()) == 200


def test_host_names():
    names = ['a:1', 'a', '[::1]:1', '[::1]', '127.0.0.1:80']
    assert [host_name(name) for name in names] == [
        'a',
        'a',
        '::1',
        '::1',
        '127.0.0.1',
    ]
