"""Clusters that are not there are named in one line, soon."""

import os
import socket
import sys
import time
from types import SimpleNamespace

import pytest

from star.apis.cluster.actors import Share, share_cluster
from star.apis.cluster.connection import connected


def connect(address: str) -> None:
    with connected(address):
        raise AssertionError('there is no cluster')


@pytest.mark.parametrize('address', ['here', 'host:', ':1', 'host:port'])
def test_wrong_address(address: str) -> None:
    with pytest.raises(ValueError, match='--ray must be local, auto or HOST'):
        connect(address)


def test_nothing_answers() -> None:
    with socket.socket() as free:
        free.bind(('127.0.0.1', 0))
        port = free.getsockname()[1]
    begin = time.monotonic()
    with pytest.raises(ValueError, match=f'no Ray cluster at .*{port}: Conn'):
        connect(f'127.0.0.1:{port}')
    assert time.monotonic() - begin < 5
    assert 'RAY_USAGE_STATS_ENABLED' not in os.environ


def test_ray_is_missing(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, 'ray', None)
    with pytest.raises(ImportError, match=r'pip install "star-vsr\[ray\]"'):
        connect('local')


def cluster(*nodes: dict[str, float]) -> SimpleNamespace:
    found = [
        {'Alive': True, 'Resources': {f'node:10.0.0.{i}': 1.0, **node}}
        for i, node in enumerate(nodes)
    ]
    dead = {'Alive': False, 'Resources': {'CPU': 64.0, 'GPU': 8.0}}
    return SimpleNamespace(nodes=lambda: [*found, dead])


@pytest.mark.parametrize(
    ('cpus', 'device', 'expected'),
    [
        (None, 'cpu', Share(10, 1, 0, {'10.0.0.0': 8, '10.0.0.1': 2})),
        (3, 'cpu', Share(2, 3, 0, {'10.0.0.0': 2, '10.0.0.1': 0})),
        (None, None, Share(2, 4, 1, {'10.0.0.0': 2, '10.0.0.1': 0})),
        (1, 'cuda', Share(2, 1, 1, {'10.0.0.0': 2, '10.0.0.1': 0})),
    ],
)
def test_shares_of_a_cluster(
    cpus: int | None, device: str | None, expected: Share
) -> None:
    ray = cluster({'CPU': 8.0, 'GPU': 2.0}, {'CPU': 2.0})
    assert share_cluster(ray, cpus, device) == expected


@pytest.mark.parametrize(
    ('cpus', 'device', 'message'),
    [
        (9, None, '--ray-cpus 9: .* the largest has 8'),
        (None, 'cuda', '--device cuda: the cluster has no GPU'),
        (None, 'cuda:1', '--device cuda:1 is one GPU'),
    ],
)
def test_clusters_that_are_too_small(
    cpus: int | None, device: str | None, message: str
) -> None:
    with pytest.raises(ValueError, match=message):
        share_cluster(cluster({'CPU': 8.0}), cpus, device)
