"""The preview of `star restore`, and the question whether to go on."""

import argparse
import sys
from datetime import timedelta

from star.apis.inference.preview import (
    PreviewReport,
    PreviewRequest,
    make_preview,
)
from star.apis.inference.restore import FileOptions
from star.cli.common import say
from star.cli.progress import ProgressBar
from star.models.contracts import Restorer
from star.models.restoration.options import RestoreOptions


def preview(
    model: Restorer,
    request: PreviewRequest,
    options: RestoreOptions,
    files: FileOptions,
) -> PreviewReport:
    """Make a preview and print where it lies."""
    name = f'preview of {request.src.name}'
    with ProgressBar(name) as bar:
        made = make_preview(model, request, options, files, bar)
    whole = timedelta(seconds=round(made.whole))
    say(
        f'{made.path}: {made.frames} frames in {made.seconds:.1f} s, input on '
        f'the left; the whole will take about {whole}'
    )
    return made


def goes_on(args: argparse.Namespace) -> bool:
    """Return whether to restore the whole after a preview.

    Args:
        args: with `yes`. Without it a person is asked, on a terminal.
    """
    if args.yes:
        return True
    if not (sys.stdin is not None and sys.stdin.isatty()):
        say('nothing more was done: --yes goes on after a preview')
        return False
    print('go on? [y/N] ', end='', file=sys.stderr, flush=True)
    answer = sys.stdin.readline()
    return answer.strip().lower() in ('y', 'yes')
