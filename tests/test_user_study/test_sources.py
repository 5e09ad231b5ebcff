"""Choice of the clips, and refusal of clips that do not match."""

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

from star.user_study.sources import (
    MethodFolder,
    find_clips,
    inspect,
    parse_methods,
)
from star.video.io import VideoInfo, VideoWriter
from tests.test_user_study.made import save_clip, save_methods


def methods(folder: Path, *clips: str) -> list[MethodFolder]:
    return parse_methods(save_methods(folder, clips or ('set/one',)))


def names(*args: object) -> list[str]:
    return ['/'.join(clip.key) for clip in find_clips(*args)]  # type: ignore[arg-type]


def save_video(path: Path, fps: int, count: int = 6) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    source = VideoInfo(
        path, 'folder', 64, 48, Fraction(fps), count, Fraction(1, fps)
    )
    with VideoWriter(path, 64, 48, source) as writer:
        for i in range(count):
            image = np.zeros((48, 64, 3), np.uint8)
            writer.write(image, Fraction(i, fps), Fraction(1, fps))


def test_all_sets_of_the_first_method(tmp_path: Path):
    found = methods(tmp_path, 'b/two', 'b/one', 'a/one')
    assert names(found) == ['a/one', 'b/one', 'b/two']
    assert names(found, ['b']) == ['b/one', 'b/two']


def test_files_belong_to_their_method(tmp_path: Path):
    (clip,) = find_clips(methods(tmp_path))
    assert clip.files == {
        name: tmp_path / name / 'set' / 'one'
        for name in ('alpha', 'beta', 'gamma')
    }


def test_run_folders_keep_clips_in_restored(tmp_path: Path):
    sources = save_methods(tmp_path, ('restored/set/one',))
    assert names(parse_methods(sources)) == ['set/one']


def test_draws_clips_by_the_seed(tmp_path: Path):
    clips = tuple(f'set/{i}' for i in range(9))
    found = methods(tmp_path, *clips)
    drawn = [names(found, [], 3, seed) for seed in (1, 1, 2)]
    assert drawn[0] == drawn[1] != drawn[2]
    assert len(set(drawn[0])) == 3 and set(drawn[0]) < set(clips)


@pytest.mark.parametrize(
    ('sources', 'message'),
    [
        (['a=.'], '`methods` must be two or more to compare, got 1'),
        (['a=.', 'b'], "`methods` must be NAME=FOLDER, got 'b'"),
        (['a=.', '=.'], "`methods` must be NAME=FOLDER, got '=.'"),
        (['a=.', 'a=.'], "`methods` must differ, got 'a' twice"),
        (['a=.', 'b=/no/x'], '`methods`: b: there is no folder /no/x'),
    ],
)
def test_wrong_methods(sources: list[str], message: str):
    with pytest.raises(ValueError) as caught:
        parse_methods(sources)
    assert str(caught.value) == message


def test_missing_clip(tmp_path: Path):
    found = methods(tmp_path)
    save_clip(tmp_path / 'beta' / 'set' / 'more', 'beta')
    with pytest.raises(ValueError) as caught:
        find_clips(found)
    assert str(caught.value) == 'alpha lacks 1 of 2 clips of set: more'


@pytest.mark.parametrize('name', ['other', '../alpha/set', '.'])
def test_missing_set(tmp_path: Path, name: str):
    found = methods(tmp_path)
    with pytest.raises(ValueError, match=r'^alpha has no set '):
        find_clips(found, [name])


def test_too_many_clips(tmp_path: Path):
    found = methods(tmp_path)
    message = r'`clips` must be <= 1, the number of clips of set, got 2$'
    with pytest.raises(ValueError, match=message):
        find_clips(found, [], 2)
    with pytest.raises(ValueError, match='`clips` must be >= 1, got 0'):
        find_clips(found, [], 0)


def test_one_name_twice(tmp_path: Path):
    found = methods(tmp_path)
    save_video(tmp_path / 'beta' / 'set' / 'one.mp4', 25)
    with pytest.raises(ValueError, match="two results are named 'one'"):
        find_clips(found)


def replaced(folder: Path, **options: object):
    """Replace a method's clip by one that does not fit the others."""
    found = methods(folder)
    place = folder / 'beta' / 'set' / 'one'
    place.rename(folder / 'old')
    save_clip(place, 'beta', **options)  # type: ignore[arg-type]
    return find_clips(found)[0]


def test_unequal_sizes(tmp_path: Path):
    with pytest.raises(ValueError) as caught:
        inspect(replaced(tmp_path, size=(48, 62)))
    assert str(caught.value) == (
        'set/one: its versions differ in size: alpha 64x48, beta 62x48, '
        'gamma 64x48'
    )


def test_unequal_lengths(tmp_path: Path):
    with pytest.raises(ValueError) as caught:
        inspect(replaced(tmp_path, count=5))
    assert str(caught.value) == (
        'set/one: its versions differ in number of frames: alpha 6, beta 5, '
        'gamma 6'
    )


def test_rate_is_the_videos(tmp_path: Path):
    save_video(tmp_path / 'a' / 'set' / 'one.mp4', 30)
    save_clip(tmp_path / 'b' / 'set' / 'one', 'beta')
    sources = [f'{name}={tmp_path / name}' for name in 'ab']
    (clip,) = find_clips(parse_methods(sources))
    assert inspect(clip).fps == 30
    assert inspect(clip, Fraction(50)).fps == 50
    assert (inspect(clip).num_frames, clip.num_frames) == (6, 0)


def test_unequal_rates(tmp_path: Path):
    for name, fps in (('a', 30), ('b', 24)):
        save_video(tmp_path / name / 'set' / 'one.mp4', fps)
    sources = [f'{name}={tmp_path / name}' for name in 'ab']
    (clip,) = find_clips(parse_methods(sources))
    with pytest.raises(ValueError, match=r'rate \(--fps .*a 30, b 24$'):
        inspect(clip)
    assert inspect(clip, Fraction(24)).fps == 24
