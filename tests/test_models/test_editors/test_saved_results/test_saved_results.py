import numpy as np
import pytest
import torch

from star.models.editors import SavedResults
from star.video.io import VideoError, VideoWriter
from tests.test_models.fakes import random_clip


def save(path, clip, codec='ffv1'):
    """Write a clip (T, 3, H, W); without suffix as PNGs."""
    path.parent.mkdir(parents=True, exist_ok=True)
    height, width = clip.shape[-2:]
    with VideoWriter(path, width, height, codec=codec) as writer:
        for i, frame in enumerate(clip):
            image = np.ascontiguousarray(frame.permute(1, 2, 0).numpy())
            writer.write(image, i, 1)


def noise(frames=3, height=16, width=24, seed=0):
    return random_clip(frames, height, width, seed)


@pytest.fixture
def folder(tmp_path):
    save(tmp_path / 'A' / 'one', noise())
    save(tmp_path / 'A' / 'two', noise(seed=1))
    return tmp_path


def read(model, name='one', lq=None, gt=None):
    lq = noise(3, 4, 6) if lq is None else lq
    return model.read('A', name, lq, gt)[0]


def test_reads_what_was_saved(folder):
    model = SavedResults(str(folder))
    pred, file = model.read('A', 'two', noise(3, 4, 6), None)
    assert torch.equal(pred, noise(seed=1))
    assert file == str((folder / 'A' / 'two').resolve())


def test_videos(folder):
    # FFV1 of RGB is exact, x264 is not
    save(folder / 'B' / 'one.mkv', noise(), 'ffv1')
    model = SavedResults(str(folder))
    assert model.check({'B': ['one']}) == 'ffv1 mkv'
    save(folder / 'C' / 'one.mp4', noise(), 'libx264')
    assert model.check({'C': ['one'], 'A': ['two', 'one']}) == (
        'h264 mp4, png frames'
    )


@pytest.mark.parametrize(
    ('names', 'line'),
    [
        (['one'], '0 missing, 1 unknown: two is no clip of it'),
        (['one', 'three', 'two'], '1 missing, 0 unknown: three is missing'),
        (['four'], '1 missing, 2 unknown: four is missing, one is no'),
    ],
)
def test_names_must_be_those_of_the_set(folder, names, line):
    with pytest.raises(ValueError, match=line):
        SavedResults(str(folder)).check({'A': names})


def test_two_results_of_one_clip(folder):
    save(folder / 'A' / 'one.mkv', noise())
    with pytest.raises(ValueError, match="two results are named 'one'"):
        SavedResults(str(folder)).check({'A': ['one', 'two']})


def test_the_size_is_that_of_the_ground_truth_or_the_scale(folder):
    model = SavedResults(str(folder))
    assert read(model, gt=noise(seed=3)).shape == (3, 3, 16, 24)
    with pytest.raises(ValueError, match='one: must be 48x32, is 24x16'):
        read(model, gt=noise(3, 32, 48))
    with pytest.raises(ValueError, match='one: must be 28x16, is 24x16'):
        read(model, lq=noise(3, 4, 7))
    assert read(SavedResults(str(folder), 2), lq=noise(3, 8, 12)).any()


def test_the_number_of_frames(folder):
    model = SavedResults(str(folder))
    with pytest.raises(ValueError, match='one: must have 4 frames, has 3'):
        read(model, lq=noise(4, 4, 6))
    with pytest.raises(ValueError, match='one: must have 2 frames, has more'):
        read(model, lq=noise(2, 4, 6))
    first = SavedResults(str(folder), first_frames=True)
    assert torch.equal(read(first, lq=noise(2, 4, 6)), noise()[:2])
    with pytest.raises(ValueError, match='must have 4 frames, has 3'):
        read(first, lq=noise(4, 4, 6))


def test_wrong_use(folder):
    with pytest.raises(ValueError, match='does not exist: nowhere'):
        SavedResults('nowhere')
    with pytest.raises(ValueError, match='no results of B'):
        SavedResults(str(folder)).check({'B': ['one']})
    with pytest.raises(ValueError, match='`folder` of SavedResults must be'):
        read(SavedResults())
    with pytest.raises(ValueError, match='clips of test sets only'):
        SavedResults(str(folder)).restore(noise())


def test_a_gap_in_the_frames(folder):
    frames = sorted((folder / 'A' / 'two').iterdir())
    frames[1].rename(frames[1].with_name('00000007.png'))
    names = {'A': ['one', 'two']}
    missing = r'two: frame 0*[12]\.png is missing between'
    with pytest.raises(ValueError, match=missing):
        SavedResults(str(folder)).check(names)
    longer = SavedResults(str(folder), first_frames=True)
    longer.check(names)
    assert len(read(longer, 'two', noise(1, 4, 6))) == 1
    with pytest.raises(ValueError, match=missing):
        read(longer, 'two')


def test_a_longer_result_without_its_first_frame_is_refused(folder, tmp_path):
    """The others would be compared with the wrong frames."""
    source = tmp_path / 'gt'
    save(source, noise(6))
    path = folder / 'A' / 'longer'
    save(path, noise(5))
    model = SavedResults(str(folder), first_frames=True)
    given = ('A', 'longer', noise(3, 4, 6), None, source)
    assert torch.equal(model.read(*given)[0], noise(5)[:3])
    (path / '00000000.png').unlink()
    with pytest.raises(VideoError, match=r'A/longer lacks 00000000\.png'):
        model.read(*given)
    (path / '00000004.png').unlink()  # as many as are compared, from 1
    assert torch.equal(model.read(*given)[0], noise(5)[1:4])
