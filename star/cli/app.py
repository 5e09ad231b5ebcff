"""Restore videos from a browser: `star app`."""

import argparse
import webbrowser

from star.cli.common import DONE, say
from star.utils import compat
from star.utils.addresses import is_local
from star.utils.signals import raise_on_signals


def run(args: argparse.Namespace) -> int:
    """Serve the page until Ctrl-C; what is not done goes on next time."""
    say('star app: loading the program')
    compat.require('gradio', 'app')
    from star.app.core import AppCore  # after the line above
    from star.app.server import allowed_hosts, find_port, serve

    port, local = find_port(args.host, args.port), is_local(args.host)
    core = AppCore(args.folder)
    try:
        with raise_on_signals():
            core.start()
            names = allowed_hosts(args.host, local)
            serve(core, args.host, port, names, lambda n: tell(args, n))
    except KeyboardInterrupt:
        say('stopped; what is not done goes on with the next start')
    finally:
        core.close()
    return DONE


def tell(args: argparse.Namespace, port: int) -> None:
    """Print where the page is, and open it."""
    if not is_local(args.host):
        say(
            f'note: {args.host} can be reached by others, unencrypted; '
            'whoever reaches it can restore videos and remove them'
        )
    name = f'[{args.host}]' if ':' in args.host else args.host
    say(f'http://{name}:{port}/ (Ctrl-C stops, nothing is lost)')
    if args.browser:
        webbrowser.open(f'http://{name}:{port}/')
