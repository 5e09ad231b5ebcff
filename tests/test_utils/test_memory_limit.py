"""The memory that a process may take, read from made-up files of a kernel."""

from mmap import mmap
from pathlib import Path

import pytest

from star.utils import memory_limit
from star.utils.memory_limit import (
    _available,
    _left_in_groups,
    free_memory,
    memory_of_process,
)

MIB = 2**20


def write(path: Path, text: object) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(f'{text}\n')


def test_version_2_takes_the_strictest_group(tmp_path: Path) -> None:
    write(tmp_path / 'self/cgroup', '0::/user/job')
    root = tmp_path / 'groups'
    write(root / 'user/memory.max', 900 * MIB)
    write(root / 'user/memory.current', 100 * MIB)
    write(root / 'user/job/memory.max', 500 * MIB)
    write(root / 'user/job/memory.current', 200 * MIB)
    write(root / 'user/job/memory.stat', f'anon 5\ninactive_file {50 * MIB}')
    write(root / 'memory.max', 'max')
    left = list(_left_in_groups(tmp_path, root))
    assert left == [350 * MIB, 800 * MIB]


def test_in_a_container_its_group_is_the_root(tmp_path: Path) -> None:
    write(tmp_path / 'self/cgroup', '0::/docker/0123')
    root = tmp_path / 'groups'
    write(root / 'memory.max', 300 * MIB)
    write(root / 'memory.current', 400 * MIB)
    assert list(_left_in_groups(tmp_path, root)) == [0]


def test_version_1(tmp_path: Path) -> None:
    write(tmp_path / 'self/cgroup', '3:cpu:/x\n5:memory,hugetlb:/x')
    root = tmp_path / 'groups'
    write(root / 'memory/memory.limit_in_bytes', 2**63 - 4096)
    group = root / 'memory/x'
    write(group / 'memory.limit_in_bytes', 64 * MIB)
    write(group / 'memory.usage_in_bytes', 30 * MIB)
    write(group / 'memory.stat', f'total_inactive_file {10 * MIB}')
    assert list(_left_in_groups(tmp_path, root)) == [44 * MIB]


def test_the_least_counts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(memory_limit, '_PROC', tmp_path)
    monkeypatch.setattr(memory_limit, '_GROUPS', tmp_path / 'groups')
    cpu = memory_limit.torch.device('cpu')
    assert free_memory(cpu) is None  # the system says nothing
    write(tmp_path / 'meminfo', 'MemTotal: 9 kB\nMemAvailable:   2048 kB')
    assert _available(tmp_path) == free_memory(cpu) == 2 * MIB
    write(tmp_path / 'self/cgroup', '0::/')
    write(tmp_path / 'groups/memory.max', MIB)
    assert free_memory(cpu) == MIB


def test_the_process_is_resident() -> None:
    before = memory_of_process()
    with mmap(-1, 64 * MIB) as block:  # not from memory that was freed
        block.write(bytes(64 * MIB))
        assert 48 * MIB < memory_of_process() - before < 200 * MIB
