import logging

import numpy as np
import pytest
import torch
from torch.utils.data import DataLoader

from star.datasets import indexed_video, openvid
from star.datasets.openvid import PackedTexts
from star.registry import DATASETS
from tests.test_datasets.openvid_tables import (
    make_row,
    write_table,
    write_video,
)

PACK = [{'type': 'PackVideoInputs'}]
LEVELS = {'a.mp4': 20, 'b_0_0to20.mp4': 100, 'c.mp4': 150}


@pytest.fixture
def root(tmp_path):
    """Three videos of 20 frames, and their table."""
    for name, level in LEVELS.items():
        write_video(tmp_path / 'video' / name, level=level)
    write_table(tmp_path / 'table.csv', [make_row(name) for name in LEVELS])
    return tmp_path


def build(root, **options):
    config = {
        'type': 'OpenVid',
        'annotation': str(root / 'table.csv'),
        'data_root': str(root / 'video'),
        'num_frames': 4,
        'pipeline': PACK,
    }
    return DATASETS.build({**config, **options})


@pytest.fixture
def logged(monkeypatch):
    lines = []

    def listen(text, logger, level=logging.INFO):
        lines.append((text, level))

    monkeypatch.setattr(openvid, 'print_log', listen)
    return lines


def seen(dataset, draws):
    """Names, prompts, pixels and seeds of items."""
    items = [dataset[draw] for draw in draws]
    samples = [item['data_samples'] for item in items]
    return [
        (s.name, s.prompt, i['inputs'].sum().item(), s.seed)
        for i, s in zip(items, samples, strict=True)
    ]


def test_clips_with_their_captions(root):
    dataset = build(root, interval=3)
    assert len(dataset) == 3
    starts = {name.rpartition('.')[0]: set() for name in LEVELS}
    for draw in range(60):
        item = dataset[draw]
        clip, sample = item['inputs'], item['data_samples']
        assert clip.shape == (4, 3, 48, 64) and clip.dtype == torch.uint8
        name, _, start = sample.name.partition('@')
        assert sample.prompt == f'What {name}.mp4 shows, in words.'
        assert (sample.dataset, sample.fps) == ('openvid', 25 / 3)
        level = LEVELS[f'{name}.mp4'] + 4 * (int(start) + 3 * torch.arange(4))
        # limited range has not all levels
        assert (clip.float().mean((1, 2, 3)) - level).abs().max() <= 1.5
        starts[name].add(int(start))
    for found in starts.values():
        assert min(found) < 3 and max(found) > 7 and max(found) <= 10


def test_an_item_is_its_draw(root):
    expected = seen(build(root), range(12))
    assert seen(build(root), reversed(range(12))) == expected[::-1]
    assert seen(build(root, seed=1), range(12)) != expected
    for epoch in range(4):
        names = {n.split('@')[0] for n, *_ in expected[3 * epoch :][:3]}
        assert names == {'a', 'b_0_0to20', 'c'}


@pytest.mark.parametrize('workers', [1, 2])
def test_same_through_workers(root, workers):
    loader = DataLoader(
        build(root),
        sampler=range(5, 15),
        num_workers=workers,
        collate_fn=lambda items: items[0],
    )
    found = [
        (i['data_samples'].name, i['inputs'].sum().item()) for i in loader
    ]
    assert found == [
        (name, pixels)
        for name, _, pixels, _ in seen(build(root), range(5, 15))
    ]


def test_same_without_decord(root, monkeypatch):
    expected = seen(build(root), range(9))
    monkeypatch.setattr(indexed_video, '_import_decord', lambda: None)
    assert seen(build(root), range(9)) == expected


def test_captions_are_dropped(root):
    def prompts(share):
        dataset = build(root, drop_caption=share, pipeline=[])
        dataset._read = lambda which, position: {'position': position}
        items = [dataset[draw] for draw in range(300)]
        return [i['prompt'] for i in items], [i['position'] for i in items]

    kept, half = prompts(0.0), prompts(0.5)
    assert all(kept[0]) and not any(prompts(1.0)[0])
    assert 110 < sum(not prompt for prompt in half[0]) < 190
    assert kept[1] == half[1]  # the clips stay the same
    for prompt, other in zip(*(p[0] for p in (kept, half)), strict=True):
        assert other in ('', prompt)


def test_held_out_clips_are_not_trained_on(root):
    held_out = 'clip527_1_0to20.mp4'
    write_video(root / 'video' / held_out)
    rows = [make_row(name) for name in (*LEVELS, held_out)]
    write_table(root / 'table.csv', rows)
    train, test = build(root), build(root, split='test')
    assert [train.names[i] for i in range(len(train))] == list(LEVELS)
    assert len(test) == 1 and test.names[0] == held_out
    with pytest.raises(ValueError, match=r"`split` must .* got 'val'"):
        build(root, split='val')


def test_clips_left_out_are_logged(root, logged):
    build(root, filters={'min_aesthetic': 5.0})
    assert logged[0][0].startswith("OpenVid: 3 of 3 clips, split 'train' (no")
    (root / 'video' / 'c.mp4').unlink()
    dataset = build(root, filters={'min_width': 64})
    assert len(dataset) == 2
    assert (
        '2 of 3 clips' in logged[1][0] and '1 without a file' in logged[1][0]
    )
    assert logged[2][1] == logging.WARNING
    assert 'no sizes' in logged[2][0] and '64x0' in logged[2][0]
    assert 'star prepare openvid' in logged[2][0]


def test_nothing_left(root):
    with pytest.raises(ValueError) as error:
        build(root, num_frames=8, interval=3)
    assert 'none of its 3 clips is left' in str(error.value)
    assert '3 of fewer than 22 frames' in str(error.value)
    assert len(str(error.value).splitlines()) == 1
    with pytest.raises(ValueError, match='3 of motion score above 2'):
        build(root, filters={'max_motion': 2})


def test_broken_videos_are_replaced(root, logged):
    whole = seen(build(root), range(30))
    (root / 'video' / 'b_0_0to20.mp4').write_bytes(b'no video')
    write_video(root / 'video' / 'c.mp4', 2)  # shorter than an item
    logged.clear()
    dataset = build(root, max_broken=2)
    found = seen(dataset, range(30))
    assert all(name.startswith('a@') for name, *_ in found)
    assert any(name.startswith('b') for name, *_ in whole)
    for before, after in zip(whole, found, strict=True):
        if before[0].startswith('a@'):
            assert before == after
    # what a process found broken before makes no difference
    assert [seen(build(root), [i])[0] for i in range(30)] == found
    warnings = [t for t, level in logged[:3] if level == logging.WARNING]
    assert len(warnings) == 2 and len(dataset.broken) == 2
    assert sum('b_0_0to20.mp4: cannot be opened' in w for w in warnings) == 1
    assert sum('it has 2 frames, but `num_f' in w for w in warnings) == 1


def test_too_many_broken_videos_stop(root):
    for name in ('a.mp4', 'c.mp4'):
        (root / 'video' / name).write_bytes(b'no video')
    dataset = build(root, max_broken=1)
    with pytest.raises(ValueError) as error:
        seen(dataset, range(30))
    message = str(error.value)
    assert 'could not read 2 videos' in message
    first = next(iter(dataset.broken.values()))
    assert f'the first: {first}' in message and 'cannot be opened' in first
    assert 'star prepare openvid' in message and '\n' not in message
    with pytest.raises(ValueError, match='could not read 1 videos'):
        seen(build(root, max_broken=0), range(30))


def test_small_videos_are_found_when_read(root, logged):
    write_video(root / 'video' / 'a.mp4', width=48)
    dataset = build(root, filters={'min_width': 64}, max_broken=0)
    names = {name[0] for name, *_ in seen(dataset, range(20))}
    assert names == {'b', 'c'} and not dataset.broken
    assert sum('frames of 48x48' in t for t, _ in logged) == 1
    dataset = build(root, filters={'min_width': 65})
    with pytest.raises(
        ValueError, match=r'smaller than 65x0 or broken; star prepare'
    ):
        dataset[0]


def test_sizes_of_a_verified_table(root):
    sizes = zip(LEVELS, (640, 1280, 1920), strict=True)
    rows = [make_row(name, width=w, height=720) for name, w in sizes]
    write_table(root / 'table.csv', rows)
    dataset = build(root, filters={'min_width': 1280, 'min_height': 720})
    assert [dataset.names[i] for i in range(2)] == list(LEVELS)[1:]


def test_whole_pipeline(root):
    pipeline = [
        {'type': 'RandomFlipClip', 'transpose': False, 'reverse': False},
        {'type': 'RandomCropClip', 'height': 32, 'width': 48},
        {'type': 'RealESRGANVideoDegradation', 'preset': 'light'},
        *PACK,
    ]
    dataset = build(root, pipeline=pipeline)
    item = dataset[3]
    assert item['inputs'].shape == (4, 3, 8, 12)
    assert item['data_samples'].gt.shape == (4, 3, 32, 48)
    assert torch.equal(dataset[3]['inputs'], item['inputs'])


def test_wrong_arguments(root):
    with pytest.raises(ValueError, match=r'`drop_caption` .*\[0, 1\], got 2'):
        build(root, drop_caption=2)
    with pytest.raises(ValueError, match='`max_broken` must be >= 0, got -1'):
        build(root, max_broken=-1)
    with pytest.raises(ValueError, match=r'`filters` may have .* got size'):
        build(root, filters={'size': 3})
    with pytest.raises(ValueError, match='no such folder of videos'):
        build(root, data_root=str(root / 'none'))
    with pytest.raises(ValueError, match=r'none\.csv: no such table'):
        build(root, annotation=str(root / 'none.csv'))


def test_texts():
    texts = ['', 'über', 'a', '', '日本語']
    packed = PackedTexts(texts)
    assert len(packed) == 5 and [packed[i] for i in range(5)] == texts
    assert isinstance(packed.ends, np.ndarray)
