"""Reads sizes of memory that are given as options."""

import argparse
import re

_UNITS = {
    **{name: 1000**i for i, name in enumerate(('b', 'kb', 'mb', 'gb', 'tb'))},
    **{
        name: 1024**i for i, name in enumerate(('kib', 'mib', 'gib', 'tib'), 1)
    },
}


def memory_size(text: str) -> int:
    """Read a size of memory with its unit: bytes."""
    match = re.fullmatch(r'([0-9]+(?:\.[0-9]+)?) *([a-z]+)', text.lower())
    unit = _UNITS.get(match[2]) if match else None
    size = round(float(match[1]) * unit) if match and unit else 0
    if not size:
        raise argparse.ArgumentTypeError(
            'must be a number above 0 with a unit, such as 6GB, 500MB or '
            f'1.5GiB, got {text!r}'
        )
    return size
