import numpy as np
import pytest
import torch

from star.apis.test.clip_files import digest_of, read_clip, write_clip
from star.video.io import VideoError, VideoReader
from tests.test_models.fakes import random_clip


def noise(frames=4, seed=0):
    return random_clip(frames, 17, 22, seed)


def read(path):
    with VideoReader(path) as reader:
        frames = np.stack([frame.image for frame in reader])
        return torch.from_numpy(frames).permute(0, 3, 1, 2), reader.info


@pytest.mark.parametrize(
    ('kind', 'name'), [('png', 'a.b'), ('mkv', 'a.b.mkv')]
)
def test_nothing_is_lost(tmp_path, kind, name):
    path = write_clip(tmp_path / 'x' / 'a.b', kind, noise(), 23.976)
    assert path == tmp_path / 'x' / name
    clip, info = read(path)
    assert torch.equal(clip, noise())
    assert torch.equal(read_clip(path, digest_of(noise())), noise())
    with pytest.raises(ValueError, match='no longer the clip that was'):
        read_clip(path, digest_of(noise(seed=1)))
    if kind == 'mkv':
        assert float(info.fps) == pytest.approx(23.976, abs=1e-3)


@pytest.mark.parametrize('kind', ['png', 'mkv'])
def test_an_earlier_result_is_replaced(tmp_path, kind):
    write_clip(tmp_path / 'a', kind, noise(), None)
    path = write_clip(tmp_path / 'a', kind, noise(2, seed=1), None)
    assert torch.equal(read(path)[0], noise(2, seed=1))
    assert list(tmp_path.iterdir()) == [path]


def test_other_peoples_files_stay(tmp_path):
    (tmp_path / 'a').mkdir()
    (tmp_path / 'a' / 'mine.txt').write_text('x')
    with pytest.raises(VideoError, match=r'other files, such as mine\.txt'):
        write_clip(tmp_path / 'a', 'png', noise(), None)
