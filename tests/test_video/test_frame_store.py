import os

import pytest
import torch

from star.video import frame_store
from star.video.frame_store import FrameStore, kept_in_memory

SIZE = (6, 10)


def make_clip(dtype, count=3):
    values = torch.arange(count * 3 * 60).view(count, 3, *SIZE)
    return (values % 250).to(dtype)


@pytest.fixture(params=[False, True], ids=['memory', 'file'])
def filed(request, monkeypatch):
    if request.param:
        monkeypatch.setattr(frame_store, '_IN_MEMORY', 0)
    return request.param


@pytest.mark.parametrize('dtype', [torch.uint8, torch.uint16, torch.float32])
def test_areas_become_frames(filed, dtype, tmp_path):
    clip = make_clip(dtype)
    store = FrameStore(SIZE, dtype, 3, tmp_path)
    for columns in (slice(0, 3), slice(3, 10)):
        for frame, image in enumerate(clip):
            for rows in (slice(0, 4), slice(4, 6)):
                part = image[:, rows, columns]
                store.put(frame, rows.start, columns.start, part)
    for frame in (1, 0, 2):
        assert torch.equal(store.take(frame), clip[frame])
    store.put(7, 0, 0, clip[0])
    assert torch.equal(store.take(7), clip[0])
    assert not os.listdir(tmp_path), 'the file has a name'
    store.close()


def test_rows_of_a_frame(filed):
    clip = make_clip(torch.uint8)
    store = FrameStore(SIZE, torch.uint8, 3)
    for frame, image in enumerate(clip):
        store.put(frame, 0, 0, image)
    assert torch.equal(store.rows(1, 2, 5), clip[1, :, 2:5])
    store.drop(1)
    assert torch.equal(store.rows(2, 0, 6), clip[2])
    with pytest.raises((KeyError, ValueError)):
        store.rows(0, 0, 6)


def test_large_frames_are_not_held():
    size, kind = (2880, 5120), torch.uint8
    assert kept_in_memory(size, kind, 64) == 2 * 3 * 2880 * 5120
    assert kept_in_memory(SIZE, kind, 64) == 64 * 180
