"""Sealed files on a disk without room."""

import errno
import resource
from pathlib import Path

import pytest
import torch

from star.utils.sealed_files import read_sealed, write_sealed


def test_no_room_is_an_error_of_the_system(tmp_path: Path) -> None:
    path = tmp_path / 'a.piece'
    write_sealed(path, {'x': torch.arange(3)}, [1])
    before = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (1000, before[1]))
    try:
        with pytest.raises(OSError) as caught:
            write_sealed(path, {'x': torch.zeros(5000)}, [2])
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, before)
    assert caught.value.errno == errno.EFBIG
    assert [p.name for p in tmp_path.iterdir()] == ['a.piece']
    tensors, record = read_sealed(path)
    assert (tensors['x'].tolist(), record) == ([0, 1, 2], [1])
