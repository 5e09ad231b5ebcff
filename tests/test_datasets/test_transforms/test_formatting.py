import numpy as np
import torch

from star.datasets.transforms import compose
from star.registry import TRANSFORMS
from star.structures import VideoSample
from tests.test_datasets.sets import clip_of_noise


def pack(**results):
    return TRANSFORMS.build({'type': 'PackVideoInputs'})(results)


def test_shapes_and_values():
    gt, lq = clip_of_noise(3, 8, 12), clip_of_noise(3, 2, 3, seed=1)
    about = {'prompt': 'a cat', 'name': 'x', 'dataset': 'd', 'fps': 25.0}
    about['files'] = {'lq': 'x.mkv'}
    rng = np.random.default_rng(3)
    item = pack(gt=gt, lq=lq, rng=rng, record={'blur': 1}, **about)
    assert set(item) == {'inputs', 'data_samples'}
    inputs, sample = item['inputs'], item['data_samples']
    assert inputs.shape == (3, 3, 2, 3) and inputs.dtype == torch.uint8
    assert sample.gt.shape == (3, 3, 8, 12)
    for c in range(3):
        assert np.array_equal(inputs[:, c], lq[..., c])
        assert np.array_equal(sample.gt[:, c], gt[..., c])
    seed = int(np.random.default_rng(3).integers(2**31))
    assert sample == VideoSample(
        sample.gt, record={'blur': 1}, seed=seed, **about
    )


def test_what_may_be_missing():
    gt = clip_of_noise()
    item = pack(gt=gt, name='x')
    assert torch.equal(item['inputs'], item['data_samples'].gt)
    item = pack(lq=gt, name='x')
    assert item['data_samples'] == VideoSample(name='x')


def test_views_become_memory_of_their_own():
    gt = clip_of_noise()
    item = pack(gt=gt[::-1, :, ::-1], name='x')
    expected = torch.from_numpy(gt).flip(0, 2).permute(0, 3, 1, 2)
    assert torch.equal(item['inputs'], expected)
    assert item['inputs'].is_contiguous()
    before = gt.copy()
    gt.setflags(write=False)  # as a memory map is
    pack(gt=gt, name='x')['inputs'].add_(1)
    assert np.array_equal(gt, before)


def test_compose_in_order():
    pipeline = [
        {'type': 'RandomCropClip', 'height': 8, 'width': 8},
        {'type': 'RealESRGANVideoDegradation', 'preset': 'light'},
        {'type': 'PackVideoInputs'},
    ]
    rng = np.random.default_rng(0)
    item = compose(pipeline)({'gt': clip_of_noise(), 'rng': rng, 'name': 'x'})
    assert item['inputs'].shape == (3, 3, 2, 2)
    assert compose([])({'a': 1}) == {'a': 1}
