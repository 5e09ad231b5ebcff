"""Sizes of memory as options."""

import argparse

import pytest

from star.cli.options.memory import memory_size


@pytest.mark.parametrize(
    'text, size',
    [
        ('6GB', 6 * 10**9),
        ('500MiB', 500 * 2**20),
        ('1.5gib', 3 * 2**29),
        ('2 tb', 2 * 10**12),
        ('64kB', 64000),
    ],
)
def test_sizes(text: str, size: int) -> None:
    assert memory_size(text) == size


@pytest.mark.parametrize('text', ['6', '6G', 'GB', '-1GB', '0MB', '1e3MB', ''])
def test_wrong_sizes(text: str) -> None:
    with pytest.raises(argparse.ArgumentTypeError, match='such as 6GB'):
        memory_size(text)
