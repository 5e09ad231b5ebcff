import numpy as np
import pytest
import torch

from star.registry import DATASETS

PACK = [{'type': 'PackVideoInputs'}]


@pytest.fixture
def folder(tmp_path):
    """Three pairs whose pixels state their clip, frame and low-quality row."""
    n, t, h, w = np.indices((3, 6, 8, 12))
    gt = np.stack([80 * n + 10 * t, h // 4 + 0 * w, w // 4 + 0 * h], axis=-1)
    np.save(tmp_path / 'gt.npy', gt.astype(np.uint8))
    np.save(tmp_path / 'lq.npy', gt[:, :, ::4, ::4].astype(np.uint8))
    return tmp_path


def build(folder, **options):
    config = {
        'type': 'PairArrays',
        'data_root': str(folder),
        'num_frames': 4,
        'pipeline': PACK,
    }
    return DATASETS.build({**config, **options})


def test_windows_of_both_clips(folder):
    dataset = build(folder)
    assert len(dataset) == 3
    names = set()
    for item in (dataset[i] for i in range(60)):
        sample = item['data_samples']
        assert item['inputs'].shape == (4, 3, 2, 3)
        assert torch.equal(sample.gt[..., ::4, ::4], item['inputs'])
        which, start = divmod(int(sample.gt[0, 0, 0, 0]), 80)
        assert sample.name == f'{which}@{start // 10}'
        frames = sample.gt[:, 0, 0, 0].int()
        assert frames.diff().tolist() == [10, 10, 10]
        names.add(sample.name)
    assert names == {f'{n}@{t}' for n in range(3) for t in range(3)}


def test_flips_and_crops_keep_pairs_together(folder):
    crop = {'type': 'RandomCropClip', 'height': 4, 'width': 8}
    dataset = build(folder, pipeline=[{'type': 'RandomFlipClip'}, crop, *PACK])
    for item in (dataset[i] for i in range(20)):
        gt = item['data_samples'].gt
        assert gt.shape == (4, 3, 4, 8)
        assert torch.equal(gt[..., ::4, ::4], item['inputs'])


def test_reproducible(folder):
    def names(dataset, draws):
        return [dataset[i]['data_samples'].name for i in draws]

    first = names(build(folder), range(30))
    assert names(build(folder), range(29, -1, -1)) == first[::-1]
    assert names(build(folder, seed=1), range(30)) != first


def test_errors(folder):
    with pytest.raises(
        ValueError, match=r'`num_frames` is 7, but .* 6 frames'
    ):
        build(folder, num_frames=7)
    np.save(folder / 'lq.npy', np.zeros((3, 6, 2, 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r'gt.npy and lq.npy in .* differ'):
        build(folder)
    np.save(folder / 'lq.npy', np.zeros((3, 6, 2, 3), np.uint8))
    with pytest.raises(ValueError, match=r'lq.npy must be .*\(3, 6, 2, 3\)'):
        build(folder)
    (folder / 'lq.npy').unlink()
    with pytest.raises(ValueError, match=r'lacks lq.npy: .*degrade_clips.py'):
        build(folder)
