"""The record beside a result, by which a complete one is known again."""

from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path
from typing import Any

from star.apis.inference.fingerprint import digest_of_content, plain
from star.apis.inference.result_names import RECORD
from star.utils.files import beside, read_json


def sidecar_path(dst: Path) -> Path:
    """Return where the record of a result lies."""
    return beside(dst, suffix=RECORD)


def find_complete(dst: Path, key: Mapping[str, Any]) -> dict[str, Any] | None:
    """Return the record of a result that is complete and the same.

    Args:
        dst: the result.
        key: what it depends on, builtin types.

    Returns:
        None unless the result is there, unchanged since it was written, of
        the same input, with the same options and weights.
    """
    with suppress(ValueError, KeyError, TypeError, OSError):
        record = read_json(sidecar_path(dst))
        same = record['key'] == plain(key)
        if same and record['output']['sha256'] == digest_of_content(dst):
            return record
    return None
