"""JSON files that are whole or not there, and numbers that JSON lacks."""

import json
import math
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any


def write_json(path: str | Path, value: Any) -> None:
    """Write a file in one step; its folder is made if need be.

    Args:
        path: the file.
        value: builtin types; infinities and NaN become 'inf', '-inf' and
            'nan', which `float` reads.
    """
    text = json.dumps(_plain(value), indent=1, allow_nan=False)
    write_text(path, text + '\n')


def write_text(path: str | Path, text: str) -> None:
    """Write a text file in one step; its folder is made if need be.

    Args:
        path: the file.
        text: what is to be in it.
    """
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    part = path.with_name(f'.{path.name}.part-{os.getpid()}')
    with open(part, 'w', encoding='utf-8', newline='') as file:
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    part.replace(path)


def read_json(path: str | Path) -> Any:
    """Read a file.

    Args:
        path: the file.

    Raises:
        ValueError: it is missing, or no JSON.
    """
    try:
        return json.loads(Path(path).read_text(encoding='utf-8'))
    except (OSError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f'{path} cannot be read: {reason}') from error


def _plain(value: Any) -> Any:
    if isinstance(value, float) and not math.isfinite(value):
        return str(value)
    if isinstance(value, Mapping):
        return {str(key): _plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [_plain(item) for item in value]
    return value
