import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from star.registry import DATASETS

PACK = [{'type': 'PackVideoInputs'}]


@pytest.fixture
def folder(tmp_path):
    """Two arrays whose pixels state their clip, frame, row and column."""
    for i, frames in enumerate((5, 9)):
        t, h, w = np.indices((frames, 6, 8))
        clip = np.stack([0 * t + 100 * i, 10 * t, 8 * h + w], axis=-1)
        np.save(tmp_path / f'clip{i}.npy', clip.astype(np.uint8))
    return tmp_path


def build(folder, **options):
    config = {
        'type': 'ClipArrays',
        'data_root': str(folder),
        'num_frames': 4,
        'pipeline': PACK,
    }
    return DATASETS.build({**config, **options})


def test_windows_of_consecutive_frames(folder):
    dataset = build(folder)
    assert len(dataset) == 2
    names = set()
    for item in (dataset[i] for i in range(200)):
        clip, sample = item['inputs'], item['data_samples']
        assert torch.equal(clip, sample.gt)
        assert clip.shape == (4, 3, 6, 8) and clip.dtype == torch.uint8
        which = clip[0, 0, 0, 0].item() // 100
        start = clip[0, 1, 0, 0].item() // 10
        assert sample.name == f'clip{which}@{start}'
        source = np.load(folder / f'clip{which}.npy')
        assert (clip.permute(0, 2, 3, 1).numpy() == source[start:][:4]).all()
        names.add(sample.name)
    assert names == {'clip0@0', 'clip0@1'} | {f'clip1@{i}' for i in range(6)}
    assert (sample.prompt, sample.dataset) == ('', 'clips')


def names(dataset, draws):
    return [dataset[i]['data_samples'].name for i in draws]


def test_reproducible(folder):
    dataset = build(folder)
    first = names(dataset, range(40))
    assert names(dataset, reversed(range(40))) == first[::-1]
    assert names(build(folder), range(40)) == first
    assert names(build(folder, seed=1), range(40)) != first


def test_each_epoch_takes_every_clip_once(folder):
    first = names(build(folder), range(40))
    for pair in zip(first[::2], first[1::2], strict=True):
        assert {name.split('@')[0] for name in pair} == {'clip0', 'clip1'}


@pytest.mark.parametrize('workers', [0, 2])
def test_same_through_a_loader(folder, workers):
    loader = DataLoader(
        build(folder),
        sampler=range(10, 30),
        num_workers=workers,
        collate_fn=lambda items: items,
    )
    seen = [item['data_samples'].name for (item,) in loader]
    assert seen == names(build(folder), range(10, 30))


def test_arrays_stay_on_disk(folder):
    assert all(isinstance(c, np.memmap) for c in build(folder).clips)


def test_whole_pipeline(folder):
    pipeline = [
        {'type': 'RandomFlipClip'},
        {'type': 'RandomCropClip', 'height': 4, 'width': 4, 'shrink': 0.5},
        {'type': 'PlainDegradation', 'scale': 2},
        *PACK,
    ]
    dataset = build(folder, pipeline=pipeline)
    for i in range(20):
        item = dataset[i]
        assert item['inputs'].shape == (4, 3, 2, 2)
        assert item['data_samples'].gt.shape == (4, 3, 4, 4)
    again = build(folder, pipeline=pipeline)
    for i in range(20):
        last = again[i]
    assert torch.equal(last['inputs'], item['inputs'])


def test_errors(folder, tmp_path):
    empty = tmp_path / 'empty'
    empty.mkdir()
    with pytest.raises(ValueError, match=r'`data_root` .*empty.*prepare_clip'):
        build(empty)
    with pytest.raises(ValueError, match=r'6, but clip0.npy has 5 frames'):
        build(folder, num_frames=6)
    with pytest.raises(ValueError, match='`num_frames` is 0'):
        build(folder, num_frames=0)
    np.save(folder / 'grey.npy', np.zeros((9, 6, 8), np.uint8))
    with pytest.raises(ValueError, match=r'grey.npy must be .*\(9, 6, 8\)'):
        build(folder)
    np.save(folder / 'grey.npy', np.zeros((9, 6, 8, 3), np.float32))
    with pytest.raises(ValueError, match=r'grey.npy must be .*float32'):
        build(folder)
