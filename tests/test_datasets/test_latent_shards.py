import json
import os
from dataclasses import replace

import pytest
import torch
from safetensors import safe_open

from star.datasets.latent_shards import (
    Shard,
    missing_shards,
    read_index,
    shard_path,
    start_cache,
    write_shard,
)
from tests.test_datasets.latents import (
    INDEX,
    embed,
    make_sample,
    write_cache,
    write_shards,
)


def test_index_divides_items():
    assert INDEX.num_shards == 3
    assert [list(INDEX.items(i)) for i in range(3)] == [
        [0, 1, 2],
        [3, 4, 5],
        [6],
    ]


def test_index_there_and_back(tmp_path):
    start_cache(tmp_path / 'new' / 'cache', INDEX)
    assert read_index(tmp_path / 'new' / 'cache') == INDEX


def test_items_there_and_back(tmp_path):
    index = write_cache(tmp_path, keep_gt=True)
    shard = Shard(shard_path(tmp_path, 1), index.key())
    assert len(shard) == 3
    for position, draw in enumerate(index.items(1)):
        sample, wanted = shard.sample(position, True), make_sample(draw)
        assert torch.equal(sample.z0, wanted.z0)
        assert torch.equal(sample.z_lq, wanted.z_lq)
        assert torch.equal(sample.gt, wanted.gt)
        assert torch.equal(sample.text, embed(wanted.prompt))
        for name in ('prompt', 'name', 'dataset', 'fps', 'record', 'seed'):
            assert getattr(sample, name) == getattr(wanted, name)
    assert shard.sample(0, False).gt is None


@pytest.mark.parametrize(
    ('dtype', 'error'), [('float16', 2**-11), ('bfloat16', 2**-8)]
)
def test_rounding(tmp_path, dtype, error):
    index = replace(INDEX, num_items=1, dtype=dtype)
    path = shard_path(tmp_path, 0)
    write_shard(path, index, [make_sample(0, 1 / 3)], embed)
    z0 = Shard(path, index.key()).sample(0, False).z0
    assert z0.dtype == torch.float32
    assert 0 < (z0 - 1 / 3).abs().max() <= error / 3


def test_each_text_once_and_no_pixels(tmp_path):
    write_cache(tmp_path)
    with safe_open(shard_path(tmp_path, 0), framework='pt') as file:
        keys = set(file.keys())
    latents = {f'{z}.{i}' for z in ('z0', 'z_lq') for i in range(3)}
    assert keys == latents | {'text.0', 'text.1'}


def test_missing_shards(tmp_path):
    start_cache(tmp_path, INDEX)
    assert missing_shards(tmp_path, INDEX) == [0, 1, 2]
    write_shards(tmp_path, INDEX, [1])
    assert missing_shards(tmp_path, INDEX) == [0, 2]
    write_shards(tmp_path, INDEX, [0, 2])
    assert missing_shards(tmp_path, INDEX) == []
    more = replace(INDEX, num_items=11)
    start_cache(tmp_path, more)
    assert missing_shards(tmp_path, more) == [2, 3]  # 2 had one item
    assert read_index(tmp_path).num_items == 11


def test_a_shard_is_there_whole_or_not_at_all(tmp_path, monkeypatch):
    start_cache(tmp_path, INDEX)

    def die(*_):
        raise KeyboardInterrupt

    with monkeypatch.context() as patch:
        patch.setattr(os, 'fsync', die)
        with pytest.raises(KeyboardInterrupt):
            write_shards(tmp_path, INDEX, [0])
    assert missing_shards(tmp_path, INDEX) == [0, 1, 2]
    write_shards(tmp_path, INDEX, range(3))
    assert missing_shards(tmp_path, INDEX) == []
    names = ['index.json', *(shard_path('', i).name for i in range(3))]
    assert sorted(os.listdir(tmp_path)) == names  # nothing left over


@pytest.mark.parametrize(
    ('change', 'text'),
    [
        ({'shard_size': 2}, 'shard_size is 3 there and 2 here'),
        ({'dtype': 'float16'}, "dtype is 'float32' there"),
        ({'keep_gt': True}, 'keep_gt is False there and True here'),
        ({'num_clips': 5}, 'num_clips is 4 there and 5 here'),
        (
            {'weights': {'autoencoder': 'c', 'text_encoder': 'b'}},
            "weights.autoencoder is 'a' there and 'c' here",
        ),
        ({'num_items': 6}, 'holds 7 items; .* must not be less, got 6'),
    ],
)
def test_another_cache_is_not_overwritten(tmp_path, change, text):
    start_cache(tmp_path, INDEX)
    with pytest.raises(ValueError, match=text):
        start_cache(tmp_path, replace(INDEX, **change))
    assert read_index(tmp_path) == INDEX


def test_errors_of_index(tmp_path):
    with pytest.raises(ValueError, match=r'`cache_root` holds no cache: .*'):
        read_index(tmp_path)
    start_cache(tmp_path, INDEX)
    path = tmp_path / 'index.json'
    content = json.loads(path.read_text())
    path.write_text(json.dumps({**content, 'dtype': 'float16'}))
    with pytest.raises(ValueError, match=r'was changed after it was written'):
        read_index(tmp_path)
    path.write_text(json.dumps({**content, 'format': 2}))
    with pytest.raises(ValueError, match=r'has format 2, this .* reads 1'):
        read_index(tmp_path)
    for broken in ('', '[]', '{"key": ""}', '{"dtype": "float16"}'):
        path.write_text(broken)
        with pytest.raises(ValueError, match=r'is no index of a cache'):
            read_index(tmp_path)
    with pytest.raises(ValueError, match=r'`num_items` must be at least 1'):
        replace(INDEX, num_items=0)
    with pytest.raises(ValueError, match=r'`shard_size` must be at least 1'):
        replace(INDEX, shard_size=-1)
    with pytest.raises(ValueError, match=r"`dtype` must be .*, got 'int8'"):
        replace(INDEX, dtype='int8')


def test_errors_of_shards(tmp_path):
    index = write_cache(tmp_path)
    path = shard_path(tmp_path, 0)
    with pytest.raises(ValueError, match=r'belongs to another cache: remove'):
        Shard(path, replace(index, dtype='float16').key())
    path.write_bytes(path.read_bytes()[:-5])
    with pytest.raises(ValueError, match=r'00000.* cannot be read .*: remove'):
        Shard(path, index.key())
    for value in (float('nan'), 1e6):
        bad = make_sample(0, value)
        half = replace(index, dtype='float16')
        with pytest.raises(ValueError, match=r"'clip0' .* torch.float16"):
            write_shard(path, half, [bad], embed)
