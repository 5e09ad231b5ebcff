"""`missing_bytes`: how much a file lacks at its end, from its header."""

import os
from pathlib import Path
from typing import BinaryIO


def missing_bytes(path: Path) -> int:
    """Count the bytes that a Matroska or RIFF (AVI) file lacks at its end.

    Returns:
        Missing bytes; 0 or less for a complete file, 0 for other formats.
    """
    with open(path, 'rb') as file:
        head = file.read(8)
        if head[:4] == b'RIFF':
            end = 8 + int.from_bytes(head[4:], 'little')
        elif head[:4] == b'\x1a\x45\xdf\xa3':
            end = _matroska_end(file)
        else:
            return 0
        return end - os.path.getsize(path)


def _matroska_end(file: BinaryIO) -> int:
    file.seek(4)
    file.seek(_ebml_size(file), os.SEEK_CUR)
    if file.read(4) != b'\x18\x53\x80\x67':
        return 0
    size = _ebml_size(file)
    return file.tell() + size if size else 0


def _ebml_size(file: BinaryIO) -> int:
    """Read a variable-length size; 0 for an unknown one."""
    first = file.read(1)
    if not first or not first[0]:
        return 0
    length = 9 - first[0].bit_length()
    value = int.from_bytes(first + file.read(length - 1), 'big')
    mask = (1 << 7 * length) - 1
    return 0 if value & mask == mask else value & mask
