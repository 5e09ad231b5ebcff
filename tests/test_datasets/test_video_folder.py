import numpy as np
import pytest
import torch
from torch.utils.data import ConcatDataset

from star.registry import DATASETS
from star.video.io import VideoError, VideoReader
from tests.test_datasets.test_captioned_folder import write_image
from tests.test_video.clips import pictures, write_clip


@pytest.fixture
def root(tmp_path):
    """`one`, a video, and `two`, a folder of frames, with ground truth."""
    for key, scale in (('gt', 1), ('lq', 4)):
        folder = tmp_path / 'udm' / key
        (folder / 'two').mkdir(parents=True)
        frames = np.ascontiguousarray(pictures(6)[:, ::scale, ::scale])
        write_clip(folder / 'one.mp4', frames)
        for i, frame in enumerate(frames):
            write_image(folder / 'two' / f'{i}.png', frame)
    return tmp_path / 'udm'


def build(root, **options):
    config = {'type': 'VideoFolder', 'data_root': str(root)}
    return DATASETS.build({**config, **options})


def read(path):
    with VideoReader(path) as reader:
        frames = np.stack([frame.image for frame in reader])
    return torch.from_numpy(frames).permute(0, 3, 1, 2)


def test_whole_clips_in_order(root):
    dataset = build(root)
    assert len(dataset) == 2
    for i, (name, file) in enumerate((('one', 'one.mp4'), ('two', 'two'))):
        item = dataset[i]
        sample = item['data_samples']
        assert (sample.name, sample.dataset) == (name, 'udm')
        assert (sample.prompt, sample.fps) == ('', 25.0)
        assert torch.equal(item['inputs'], read(root / 'lq' / file))
        assert torch.equal(sample.gt, read(root / 'gt' / file))
    assert item['inputs'].shape == (6, 3, 12, 16)


def test_first_frames_and_name(root):
    dataset = build(root, num_frames=4, name='UDM10')
    for i, name in enumerate(('one.mp4', 'two')):
        item = dataset[i]
        assert item['data_samples'].dataset == 'UDM10'
        assert torch.equal(item['inputs'], read(root / 'lq' / name)[:4])
        gt = item['data_samples'].gt
        assert torch.equal(gt, read(root / 'gt' / name)[:4])
    with pytest.raises(ValueError, match='`num_frames` must be >= 1, got 0'):
        build(root, num_frames=0)


def test_without_ground_truth(root):
    (root / 'gt').rename(root / 'elsewhere')
    item = build(root)[1]
    assert item['data_samples'].gt is None
    assert torch.equal(item['inputs'], read(root / 'lq' / 'two'))


def test_inputs_that_the_pipeline_makes(root):
    (root / 'lq').rename(root / 'elsewhere')
    pipeline = [
        {'type': 'PlainDegradation', 'scale': 4, 'plain': 0.0},
        {'type': 'PackVideoInputs'},
    ]
    dataset = build(root, pipeline=pipeline)
    second, first = dataset[1], dataset[0]
    assert first['inputs'].shape == (6, 3, 12, 16)
    assert torch.equal(first['data_samples'].gt, read(root / 'gt' / 'one.mp4'))
    again = build(root, pipeline=pipeline)
    assert torch.equal(again[0]['inputs'], first['inputs'])
    assert torch.equal(again[1]['inputs'], second['inputs'])
    other = build(root, pipeline=pipeline, seed=1)
    assert not torch.equal(other[1]['inputs'], second['inputs'])


def test_prompts(root):
    (root / 'text').mkdir()
    for name in ('one', 'two'):
        (root / 'text' / f'{name}.txt').write_text(f'see {name}')
    dataset = build(root)
    assert [i['data_samples'].prompt for i in map(dataset.__getitem__, (0, 1))]
    assert dataset[1]['data_samples'].prompt == 'see two'
    (root / 'text' / 'two.txt').unlink()
    with pytest.raises(ValueError, match='text/ lacks two'):
        build(root)


def test_sets_can_be_joined(root):
    joined = ConcatDataset([build(root, name='a'), build(root, name='b')])
    assert [joined[i]['data_samples'].dataset for i in range(4)] == [
        *('a', 'a', 'b', 'b')
    ]


def test_errors(root, tmp_path):
    with pytest.raises(ValueError, match=r'must hold a folder lq/ or gt/'):
        build(tmp_path)
    (root / 'lq' / 'one.mp4').rename(root / 'lq' / 'three.mp4')
    with pytest.raises(ValueError, match=r'gt/ lacks three'):
        build(root)
    (root / 'lq' / 'three.mp4').rename(root / 'lq' / 'one.mp4')
    (root / 'lq' / 'two' / '5.png').unlink()
    dataset = build(root)
    with pytest.raises(
        ValueError, match=r'two has 6 frames of 64x48 in gt/, 5'
    ):
        dataset[1]
    assert build(root, num_frames=5)[1]['inputs'].shape == (5, 3, 12, 16)
    write_clip(root / 'lq' / 'one.mp4', pictures(6, 48, 36))
    with pytest.raises(ValueError, match=r'64x48 in gt/, 6 of 48x36 in lq/'):
        dataset[0]
    write_clip(root / 'lq' / 'one.mp4', pictures(6, 16, 16))
    with pytest.raises(ValueError, match=r'64x48 in gt/, 6 of 16x16 in lq/'):
        dataset[0]
    (root / 'lq' / 'one.mp4').write_bytes(b'no video')
    with pytest.raises(VideoError, match=r'one\.mp4: cannot be opened'):
        dataset[0]
