"""`serve`: answers browsers until it is interrupted."""

import os
import socket
import threading
from collections.abc import Callable
from pathlib import Path

from star.app.core import AppCore
from star.app.guard import LOCAL, Guard
from star.app.page import Page
from star.utils import compat

gr = compat.require('gradio', 'app')
middleware = compat.require('starlette.middleware', 'app')

_CSS = Path(__file__).with_name('app.css')


def serve(
    core: AppCore,
    host: str,
    port: int,
    hosts: tuple[str, ...],
    ready: Callable[[int], None],
) -> None:
    """Answer browsers until KeyboardInterrupt.

    Args:
        core: of the app, started.
        host: address to listen at.
        port: that is free.
        hosts: names of the server that requests may have; empty for any.
        ready: called with the port once the server answers.
    """
    # the only ways to tell Gradio where uploads go, and that it is not to
    # ask for newer versions of itself
    os.environ['GRADIO_TEMP_DIR'] = str(core.store.uploads)
    os.environ['GRADIO_ANALYTICS_ENABLED'] = 'False'
    page = Page(core).blocks
    page.queue().launch(
        prevent_thread_lock=True,
        quiet=True,
        share=False,
        server_name=host,
        server_port=port,
        allowed_paths=[str(core.store.files)],
        app_kwargs={'middleware': [middleware.Middleware(Guard, hosts=hosts)]},
        footer_links=[],
        enable_monitoring=False,
        ssr_mode=False,
        mcp_server=False,
        theme=gr.themes.Default(
            font=['system-ui', 'sans-serif'],  # none from elsewhere
            font_mono=['ui-monospace', 'monospace'],
        ),
        css=_CSS.read_text(encoding='utf-8'),
    )
    try:
        ready(page.server_port)
        threading.Event().wait()
    finally:
        page.close(verbose=False)


def find_port(host: str, port: int) -> int:
    """Return the port to listen at, before anything else happens.

    Args:
        host: address to listen at.
        port: 0 for any free one.

    Raises:
        ValueError: another program listens there, or the address is none of
            this machine.
    """
    family = socket.AF_INET6 if ':' in host else socket.AF_INET
    try:
        with socket.socket(family, socket.SOCK_STREAM) as tried:
            tried.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            tried.bind((host, port))
            return tried.getsockname()[1]
    except OSError as error:
        reason = error.strerror or error
        raise ValueError(
            f'`port`: {host}, port {port} cannot be used ({reason}); give '
            'another --port'
        ) from None


def allowed_hosts(host: str, local: bool) -> tuple[str, ...]:
    """Return the names that the server may have in a request.

    Args:
        host: address to listen at.
        local: only this machine can reach it.
    """
    return (*LOCAL, host) if local else ()
