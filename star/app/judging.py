"""`judge`: whether a process has done its task, and if not, why."""

import signal
from collections.abc import Mapping
from typing import Any

from star.app.choice import PLANNED, PREVIEWED

_ONE = 1  # exit code of a plan that does not fit the memory
_PICTURE = 'a picture needs no preview: it is restored as fast'


def judge(task: str, answer: Mapping[str, Any], error: str, code: int) -> str:
    """Return why a process has failed, in one line; empty if it has not.

    Args:
        task: 'restore', 'preview' or 'plan'.
        answer: the JSON that it has printed.
        error: the last error of its log.
        code: its exit code; negative for a signal.
    """
    if 'error' in answer:
        return _first_line(str(answer['error']))
    if task == PLANNED and code in (0, _ONE) and 'frames' in answer:
        return ''
    if task == PREVIEWED and code == 0 and answer:
        return '' if 'preview' in answer else _PICTURE
    if task not in (PLANNED, PREVIEWED) and code == 0 and 'frames' in answer:
        return ''
    return error or _describe(code)


def _describe(code: int) -> str:
    if code == -getattr(signal, 'SIGKILL', 9):
        return (
            'the process was killed, most often for lack of memory; give a '
            'smaller tile or window'
        )
    if code < 0:
        return f'the process was ended by signal {-code}'
    return f'the process ended with exit code {code}'


def _first_line(text: str) -> str:
    lines = [line.strip() for line in text.splitlines() if line.strip()]
    return '; '.join(lines)
