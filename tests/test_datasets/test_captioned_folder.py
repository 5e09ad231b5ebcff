import numpy as np
import pytest
import torch

from star.datasets.indexed_video import IndexedVideo
from star.registry import DATASETS
from tests.test_datasets.openvid_tables import write_video
from tests.test_video.clips import pictures, write_clip

PACK = [{'type': 'PackVideoInputs'}]


@pytest.fixture
def root(tmp_path):
    """A video and a folder of frames, each with its caption."""
    write_video(tmp_path / 'gt' / 'v.mp4', 12)
    (tmp_path / 'gt' / 'w').mkdir()
    for i, frame in enumerate(pictures(12)):
        write_image(tmp_path / 'gt' / 'w' / f'{i:03}.png', frame)
    (tmp_path / 'text').mkdir()
    for name in 'vw':
        (tmp_path / 'text' / f'{name}.txt').write_text(f'caption of {name}\n')
    return tmp_path


def write_image(path, frame):
    options = {'container': {'update': '1'}, 'format': 'image2'}
    write_clip(path, [frame], codec='png', pix_fmt='rgb24', **options)


def add_lq(root, scale=4, count=12):
    """Low-quality counterparts: every `scale`th pixel of each frame."""
    for name in ('v.mp4', 'w'):
        video = IndexedVideo(root / 'gt' / name)
        frames = video.read(range(count))[:, ::scale, ::scale]
        folder = root / 'lq' / name.split('.')[0]
        folder.mkdir(parents=True)
        for i, frame in enumerate(frames):
            write_image(folder / f'{i:03}.png', frame)


def build(root, **options):
    config = {
        'type': 'CaptionedFolder',
        'data_root': str(root),
        'num_frames': 4,
        'pipeline': PACK,
    }
    return DATASETS.build({**config, **options})


def test_clips_with_their_captions(root):
    dataset = build(root, interval=2)
    assert len(dataset) == 2
    whole = {
        name: IndexedVideo(root / 'gt' / file).read(range(12))
        for name, file in (('v', 'v.mp4'), ('w', 'w'))
    }
    starts = set()
    for draw in range(80):
        item = dataset[draw]
        sample = item['data_samples']
        name, _, start = sample.name.partition('@')
        assert sample.prompt == f'caption of {name}'
        assert (sample.dataset, sample.fps) == (root.name, 12.5)
        expected = whole[name][int(start) : int(start) + 7 : 2]
        clip = item['inputs'].permute(0, 2, 3, 1).numpy()
        assert np.array_equal(clip, expected)
        starts.add(int(start))
    assert starts == set(range(6))


def test_an_item_is_its_draw(root):
    first, again = build(root), build(root)
    for draw in (7, 2, 30):
        one, other = first[draw], again[draw]
        assert one['data_samples'].name == other['data_samples'].name
        assert torch.equal(one['inputs'], other['inputs'])
    names = [build(root, seed=s)[0]['data_samples'].name for s in range(9)]
    assert len(set(names)) > 3


def test_captions_are_dropped(root):
    def prompts(share):
        dataset = build(root, drop_caption=share)
        return [dataset[i]['data_samples'].prompt for i in range(24)]

    assert not any(prompts(1.0)) and all(prompts(0.0))
    assert 3 < sum(not prompt for prompt in prompts(0.5)) < 21


@pytest.mark.parametrize('scale', [1, 4])
def test_ready_low_quality_is_cropped_alike(root, scale):
    add_lq(root, scale)
    pipeline = [
        {'type': 'RandomFlipClip', 'transpose': False},
        {'type': 'RandomCropClip', 'height': 24, 'width': 32},
        *PACK,
    ]
    dataset = build(root, scale=scale, pipeline=pipeline)
    for draw in range(12):
        item = dataset[draw]
        lq, gt = item['inputs'], item['data_samples'].gt
        assert gt.shape == (4, 3, 24, 32)
        assert lq.shape == (4, 3, 24 // scale, 32 // scale)
        # mirrored, the pixel of a block that was taken is the last of its row
        corners = gt[..., ::scale, :].unfold(-1, scale, scale)
        assert any(torch.equal(lq, corners[..., i]) for i in (0, -1))


def test_unpaired_names(root):
    (root / 'text' / 'w.txt').rename(root / 'text' / 'x.txt')
    with pytest.raises(ValueError, match=r'text/ lacks w; gt/ lacks x; add'):
        build(root)
    (root / 'text' / 'x.txt').rename(root / 'text' / 'w.txt')
    add_lq(root)
    (root / 'lq' / 'v').rename(root / 'lq' / 'u')
    with pytest.raises(ValueError, match=r'lq/ lacks v; gt/ lacks u; add'):
        build(root)
    (root / 'text' / 'w.txt').rename(root / 'text' / 'w.md')
    with pytest.raises(ValueError, match=r'must be \.txt files, .* is w\.md'):
        build(root)


def test_short_clips(root):
    write_video(root / 'gt' / 'v.mp4', 6)
    with pytest.raises(ValueError) as error:
        build(root, interval=2)
    assert 'need 7 frames, but too short are v (6); remove' in str(error.value)
    build(root, interval=1)


def test_missing_frames(root):
    add_lq(root)
    (root / 'gt' / 'w' / '002.png').unlink()
    (root / 'lq' / 'w' / '003.png').unlink()
    with pytest.raises(ValueError) as error:
        build(root)
    assert f'{root}/gt/w lacks 002.png and ' in str(error.value)
    assert f'{root}/lq/w lacks 003.png;' in str(error.value)
    (root / 'lq' / 'w' / '002.png').unlink()
    (root / 'gt' / 'w' / '003.png').unlink()
    with pytest.raises(ValueError, match=r'gt/w: frame 002\.png is missing'):
        build(root)


def test_low_quality_that_does_not_fit(root):
    add_lq(root, scale=2)
    with pytest.raises(ValueError) as error:
        build(root, scale=4)
    assert 'v is 64x48 in gt/ and 32x24 in lq/; `scale` ' in str(error.value)
    assert str(error.value).endswith('got 4')
    (root / 'lq' / 'w' / '011.png').unlink()
    with pytest.raises(ValueError, match=r'/lq/w lacks 011\.png; add them'):
        build(root, scale=2)


def test_missing_parts(root):
    with pytest.raises(ValueError, match=r'no such folder: .*gt'):
        build(root / 'text')
    with pytest.raises(ValueError, match=r'`drop_caption` .* got -1'):
        build(root, drop_caption=-1)
    (root / 'gt' / 'v.mp4').write_bytes(b'no video')
    with pytest.raises(ValueError, match=r'v\.mp4: cannot be opened'):
        build(root)
