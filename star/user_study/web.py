"""Web application of a study, with Flask.

Browsers do not get the names of methods, sets and clips, only positions on a
screen and random ids of versions.
"""

import hmac
import secrets
import socket
from collections.abc import Callable
from importlib import resources
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from star.user_study.store import QUESTIONS, Store, StudyError
from star.utils import compat

if TYPE_CHECKING:
    from flask import Flask, Response
    from werkzeug.serving import BaseWSGIServer

LOCAL = ('127.0.0.1', 'localhost', '::1')
QUESTION_TEXTS = {
    'quality': 'Which version has the best visual quality?',
    'consistency': 'Which version has the best temporal consistency?',
}
assert tuple(QUESTION_TEXTS) == QUESTIONS
_HEADERS = {
    'Content-Security-Policy': (
        "default-src 'none'; script-src 'self'; style-src 'self'; "
        "media-src blob:; connect-src 'self'; img-src data:; "
        "form-action 'self'; base-uri 'none'; frame-ancestors 'none'"
    ),
    'X-Content-Type-Options': 'nosniff',
    'X-Frame-Options': 'DENY',
    # with 'no-referrer' the origin of forms would be unknown
    'Referrer-Policy': 'same-origin',
    'Cross-Origin-Resource-Policy': 'same-origin',
    'Cross-Origin-Opener-Policy': 'same-origin',
}
_ASSETS = {'study.css': 'text/css', 'study.js': 'text/javascript'}
_VISITOR, _CODE = 'study_visitor', 'study_code'  # cookies
_MONTH = 30 * 24 * 3600  # seconds


def create_app(
    store: Store, cache: Path, hosts: tuple[str, ...] = ()
) -> 'Flask':
    """Create the web application of a study.

    Args:
        store: the study.
        cache: folder of the files that browsers play.
        hosts: names of the server that requests may have; empty for any.

    Raises:
        ImportError: Flask is not installed.
        ValueError: a file is missing.
    """
    flask = compat.require('flask', 'study')
    cache = cache.resolve()  # Flask takes a relative path as its own
    files = {id_: cache / f'{f}.mp4' for id_, f in store.files().items()}
    missing = [str(file) for file in files.values() if not file.is_file()]
    if missing:
        raise ValueError(f'`cache` lacks {missing[0]}')
    app = flask.Flask(
        'star.user_study', static_folder=None, template_folder='pages'
    )
    app.config['MAX_CONTENT_LENGTH'] = 4096  # bytes of a request
    app.after_request(_add_headers)
    app.before_request(lambda: _refuse_hosts(hosts))
    app.before_request(lambda: _refuse_foreign(store))
    app.register_error_handler(StudyError, _explain)
    _add_pages(app, store)
    _add_answers(app, store)
    _add_files(app, files)
    return app


def make_server(app: 'Flask', host: str, port: int) -> 'BaseWSGIServer':
    """Bind a server, which answers once `serve_forever` is called.

    Args:
        app: from `create_app`.
        host: address to listen at.
        port: 0 for any free one.

    Raises:
        ValueError: the address is in use, or is none of this machine.
    """
    serving = compat.require('werkzeug.serving', 'study')

    class Quiet(serving.WSGIRequestHandler):  # type: ignore[name-defined]
        """Keeps the participants' codes out of the terminal."""

        protocol_version = 'HTTP/1.1'

        def log_request(self, *_: object) -> None:
            """Log nothing."""

    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        # Werkzeug itself would print an error and end the process
        bound = socket.create_server((host, port), family=family)
    except OSError as error:
        reason = str(error.strerror).partition(' (')[0]
        raise ValueError(
            f'`port`: {host}:{port} cannot be used ({reason})'
        ) from error
    with bound:
        return serving.make_server(
            host,
            bound.getsockname()[1],
            app,
            threaded=True,
            request_handler=Quiet,
            fd=bound.fileno(),  # Werkzeug copies it
        )


def _add_headers(response: 'Response') -> 'Response':
    for name, value in _HEADERS.items():
        response.headers[name] = value
    response.headers.setdefault('Cache-Control', 'no-store')
    return response


def _token(store: Store, visitor: str) -> str:
    """Sign a visitor's cookie; other sites can neither read nor forge it."""
    key = store.secret.encode()
    return hmac.new(key, visitor.encode(), 'sha256').hexdigest()


def _refuse_hosts(hosts: tuple[str, ...]) -> None:
    """Refuse requests to other host names: a foreign page can use one.

    Flask's own list of trusted hosts cannot hold an IPv6 address.
    """
    from flask import abort, request

    if hosts and urlsplit(f'//{request.host}').hostname not in hosts:
        abort(400)


def _refuse_foreign(store: Store) -> None:
    """Refuse posts that do not come from a page of this visitor."""
    from flask import abort, request

    if request.method in ('GET', 'HEAD', 'OPTIONS'):
        return
    origin = request.headers.get('Origin')
    if origin is not None and urlsplit(origin).netloc != request.host:
        abort(403)
    visitor = request.cookies.get(_VISITOR, '')
    given = request.headers.get('X-Token') or request.form.get('token', '')
    if not visitor or not hmac.compare_digest(
        given.encode(), _token(store, visitor).encode()
    ):
        abort(403)


def _explain(error: StudyError) -> Any:
    return {'error': str(error)}, 400


def _add_pages(app: 'Flask', store: Store) -> None:
    from flask import redirect, request, url_for

    def start() -> Any:
        code = request.cookies.get(_CODE, '')
        return _page(store, 'start.html', code=code)

    def page(code: str) -> Any:
        try:
            shown = store.screens(code)
        except StudyError as error:
            page = _page(store, 'start.html', code='', error=str(error))
            page.status_code = 404
            return page
        answer = _page(
            store,
            'study.html',
            code=code,
            positions=range(1, len(store.methods) + 1),
            questions=QUESTION_TEXTS,
            count=len(shown['screens']),
        )
        _set_cookie(answer, _CODE, code)
        return answer

    def join() -> Any:
        return redirect(url_for('page', code=store.join()), 303)

    def resume() -> Any:
        code = request.form.get('code', '').strip().lower() or '-'
        return redirect(url_for('page', code=code), 303)

    app.add_url_rule('/', 'start', start)
    app.add_url_rule('/study/<code>', 'page', page)
    app.add_url_rule('/join', 'join', join, methods=['POST'])
    app.add_url_rule('/resume', 'resume', resume, methods=['POST'])


def _page(store: Store, template: str, **values: Any) -> Any:
    """Render a template with a token for the visitor's cookie."""
    from flask import make_response, render_template, request

    visitor = request.cookies.get(_VISITOR) or secrets.token_urlsafe(16)
    text = render_template(template, token=_token(store, visitor), **values)
    response = make_response(text)
    _set_cookie(response, _VISITOR, visitor)
    return response


def _set_cookie(response: 'Response', name: str, value: str) -> None:
    response.set_cookie(
        name, value, max_age=_MONTH, httponly=True, samesite='Strict'
    )


def _add_answers(app: 'Flask', store: Store) -> None:
    from flask import request

    def screens(code: str) -> Any:
        return store.screens(code)

    def vote(code: str) -> Any:
        given = request.get_json()
        expected = {'screen': int, 'question': str, 'position': int}
        _check_types(given, expected)
        store.vote(code, **given)
        return {'saved': True}

    def finish(code: str) -> Any:
        store.finish(code)
        return {'finished': True}

    def rule(name: str, view: Callable[[str], Any], method: str) -> None:
        address = f'/study/<code>/{name}'
        app.add_url_rule(address, name, view, methods=[method])

    rule('screens', screens, 'GET')
    rule('vote', vote, 'POST')
    rule('finish', finish, 'POST')


def _check_types(given: Any, expected: dict[str, type]) -> None:
    """Refuse a value that is no object with exactly these fields."""
    if not isinstance(given, dict) or given.keys() != expected.keys():
        raise StudyError(f'a vote has {", ".join(expected)}')
    for name, kind in expected.items():
        if type(given[name]) is not kind:
            raise StudyError(f'`{name}` must be {kind.__name__}')


def _add_files(app: 'Flask', files: dict[str, Path]) -> None:
    from flask import Response, abort, send_file

    texts = {name: _asset(name) for name in _ASSETS}

    def asset(name: str) -> Any:
        if name not in texts:
            abort(404)
        return Response(texts[name], mimetype=_ASSETS[name])

    def video(id_: str) -> Any:
        """Send a listed file, or the requested range of it."""
        if id_ not in files:
            abort(404)
        answer = send_file(
            files[id_],
            'video/mp4',
            download_name='clip.mp4',  # instead of the file's own name
            etag=id_,
            max_age=3600,
        )
        answer.headers['Accept-Ranges'] = 'bytes'
        return answer

    app.add_url_rule('/assets/<name>', 'asset', asset)
    app.add_url_rule('/video/<id_>', 'video', video)


def _asset(name: str) -> str:
    folder = resources.files('star.user_study') / 'pages'
    return (folder / name).read_text('utf-8')
