import hashlib
import importlib
import json
import shutil

import numpy as np
import pytest
import torch
from mmengine.registry import init_default_scope
from torch.utils.data import ConcatDataset

from star.registry import DATASETS
from star.video.io import VideoError, VideoReader
from tests.test_datasets.sets import write_set
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
        files = {key: str(root / key / file) for key in ('gt', 'lq')}
        assert sample.files == files
    assert item['inputs'].shape == (6, 3, 12, 16)
    assert dataset.manifest is None and dataset.manifest_sha256 is None


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
    assert list(item['data_samples'].files) == ['lq']


def test_inputs_that_the_pipeline_makes(root):
    (root / 'lq').rename(root / 'elsewhere')
    pipeline = [
        {'type': 'RealESRGANVideoDegradation', 'preset': 'light'},
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


def test_sets_in_mmengines_own_wrapper(root):
    """Sets are joined by mmengine's ConcatDataset, as in configs."""
    importlib.import_module('mmengine.dataset')  # as its Runner does
    init_default_scope('star')
    one = {'type': 'VideoFolder', 'data_root': str(root)}
    sets = [{**one, 'name': 'a'}, {**one, 'name': 'b'}]
    joined = DATASETS.build({'type': 'ConcatDataset', 'datasets': sets})
    assert type(joined).__module__.startswith('mmengine')
    found = [joined[i]['data_samples'] for i in range(len(joined))]
    assert [(s.dataset, s.name) for s in found] == [
        *(('a', 'one'), ('a', 'two'), ('b', 'one'), ('b', 'two'))
    ]


def test_set_with_a_manifest(tmp_path):
    root = tmp_path / 'udm'
    write_set(root)
    path = root / 'set.json'
    dataset = build(root)
    assert dataset.name == 'mini' and dataset.names == ['a', 'b']
    assert dataset.manifest.clips['a'].frames == 8
    digest = hashlib.sha256(path.read_bytes()).hexdigest()
    assert dataset.manifest_sha256 == digest
    item = dataset[1]
    assert torch.equal(item['inputs'], read(root / 'lq' / 'b'))
    assert torch.equal(item['data_samples'].gt, read(root / 'gt' / 'b'))
    assert item['data_samples'].fps == 25  # of a folder, as nothing tells
    data = json.loads(path.read_text())
    data['clips']['b']['fps'] = 29.97
    path.write_text(json.dumps(data))
    dataset = build(root, name='UDM10', num_frames=3)
    assert dataset[1]['data_samples'].fps == 29.97
    assert dataset[1]['data_samples'].dataset == 'UDM10'
    assert dataset[1]['inputs'].shape == (3, 3, 12, 16)
    path.rename(root / 'other.json')
    assert build(root, manifest='other.json').manifest.name == 'mini'


def test_scales(root):
    """That of the files; a given one must fit them."""
    dataset = build(root)
    assert dataset.scale == 4 and dataset.has_gt
    assert dataset[1]['data_samples'].scale == 4
    dataset = build(root, scale=1)
    assert dataset.scale == 1
    with pytest.raises(ValueError, match=r'in lq/; .* larger by `scale` 1$'):
        dataset[1]
    with pytest.raises(ValueError, match='`scale` must be positive, got 0'):
        build(root, scale=0)
    (root / 'gt').rename(root / 'elsewhere')
    dataset = build(root)
    assert dataset.scale is None and not dataset.has_gt
    assert dataset[1]['data_samples'].scale is None
    assert build(root, scale=2)[1]['data_samples'].scale == 2


def test_frames_that_are_not_paired(tmp_path, root):
    """With and without a manifest; as many in both is not enough."""
    for path in (root / 'gt/two/2.png', root / 'lq/two/3.png'):
        path.unlink()
    with pytest.raises(ValueError) as error:
        build(root)
    assert f'{root}/gt/two lacks 2.png' in str(error.value)
    assert f'{root}/lq/two lacks 3.png' in str(error.value)
    assert len(build(root, num_frames=2)) == 2
    for path in (root / 'gt/two/3.png', root / 'lq/two/2.png'):
        path.unlink()  # now both lack both
    with pytest.raises(ValueError, match=r'gt/two: frame 2\.png is missing'):
        build(root)
    write_set(tmp_path / 'listed')
    for path in ('gt/a/00000002.png', 'lq/a/00000003.png'):
        (tmp_path / 'listed' / path).unlink()
    with pytest.raises(ValueError, match=r'gt/a lacks 00000002\.png'):
        build(tmp_path / 'listed')


def test_sets_that_are_refused(tmp_path):
    root = tmp_path / 'udm'
    with pytest.raises(ValueError, match=r'no test set .*udm; data/'):
        build(root)
    write_set(root)
    with pytest.raises(ValueError, match=r'none\.json: not a test set'):
        build(root, manifest='none.json')
    frame = root / 'gt' / 'b' / '00000004.png'
    frame.rename(tmp_path / 'frame.png')
    with pytest.raises(ValueError, match=r'json: gt/b lacks 00000004'):
        build(root)
    (tmp_path / 'frame.png').rename(frame)
    shutil.copytree(root / 'gt' / 'a', root / 'gt' / 'c')
    with pytest.raises(ValueError, match='gt/ has c, not listed'):
        build(root)
    shutil.rmtree(root / 'gt' / 'c')
    assert len(build(root)) == 2
    (root / 'set.json').unlink()  # as while it is being prepared
    with pytest.raises(ValueError, match='udm is not finished: run star '):
        build(root)


def test_errors(root, tmp_path):
    with pytest.raises(ValueError, match=r'must hold a folder lq/ or gt/'):
        build(tmp_path)
    (root / 'lq' / 'one.mp4').rename(root / 'lq' / 'three.mp4')
    with pytest.raises(ValueError, match=r'gt/ lacks three'):
        build(root)
    (root / 'lq' / 'three.mp4').rename(root / 'lq' / 'one.mp4')
    (root / 'lq' / 'two' / '5.png').unlink()
    with pytest.raises(ValueError, match=r'but .*/lq/two lacks 5\.png; add'):
        build(root)
    assert build(root, num_frames=5)[1]['inputs'].shape == (5, 3, 12, 16)
    shutil.copy(root / 'gt' / 'two' / '5.png', root / 'lq' / 'two' / '5.png')
    dataset = build(root)
    write_clip(root / 'lq' / 'one.mp4', pictures(5, 16, 12))
    with pytest.raises(ValueError, match=r'6 frames of 64x48 in gt/, 5 of 16'):
        dataset[0]
    write_clip(root / 'lq' / 'one.mp4', pictures(6, 48, 36))
    with pytest.raises(ValueError, match=r'64x48 in gt/, 6 of 48x36 in lq/'):
        dataset[0]
    write_clip(root / 'lq' / 'one.mp4', pictures(6, 16, 16))
    with pytest.raises(ValueError, match=r'64x48 in gt/, 6 of 16x16 in lq/'):
        dataset[0]
    (root / 'lq' / 'one.mp4').write_bytes(b'no video')
    with pytest.raises(VideoError, match=r'one\.mp4: cannot be opened'):
        dataset[0]
