"""Pictures show the frame, the crop and the row that they name."""

import base64
import dataclasses
import io
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.report.comparison import Comparison, compare
from star.report.frames import GROUND_TRUTH, LOW_QUALITY, Crop
from star.report.pictures import Picture, PictureOptions, make_pictures
from star.report.results import load_results
from tests.test_report import made

KEY = ('set', 'clip')


@pytest.fixture
def comparison(tmp_path: Path) -> Comparison:
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    return compare(load_results(runs))


def pixels(picture: Picture) -> np.ndarray:
    head, code = picture.url.split(',')
    assert head == 'data:image/jpeg;base64'
    image = Image.open(io.BytesIO(base64.b64decode(code)))
    assert image.size == (picture.width, picture.height)
    return np.asarray(image).astype(float)


def by_name(pictures: list[Picture]) -> dict[str, np.ndarray]:
    return {picture.name: pixels(picture) for picture in pictures}


def test_pictures_are_of_the_middle_frame(comparison: Comparison):
    crop = Crop(60, 8, 32, 16)
    options = PictureOptions(crop=crop, crop_side=24, quality=95)
    found = make_pictures(comparison, KEY, options)
    assert found is not None
    assert (found.frame, found.row, found.problems) == (2, 16, [])
    clips = {GROUND_TRUTH: made.frames(0), 'a': made.frames(1)}
    clips['b'] = made.frames(2) // 2
    names = [LOW_QUALITY, GROUND_TRUTH, 'a', 'b']
    assert [picture.name for picture in found.whole] == names
    whole, crops = by_name(found.whole), by_name(found.crops)
    for name, clip in clips.items():
        # JPEG of noisy pixels: a few levels on average
        assert np.abs(whole[name] - clip[2]).mean() < 4
        assert np.abs(crops[name] - clip[2, 8:24, 60:92]).mean() < 4


def test_row_over_time(comparison: Comparison):
    options = PictureOptions(crop=Crop(60, 8, 32, 16), crop_side=10)
    found = make_pictures(comparison, KEY, options)
    assert found is not None
    start, count = found.columns
    assert (start, count) == (56, 40)  # 4 x 10 columns around the crop
    profile = by_name(found.profiles)['a']
    assert profile.shape == (made.FRAMES * 19, 40, 3)
    rows = made.frames(1)[:, 16, start : start + count]
    assert np.abs(profile[9::19] - rows).mean() < 4


def test_frames_that_were_not_restored_are_not_shown(
    comparison: Comparison,
):
    """A run of the first frames only, of clips that go on."""
    for results in comparison.results.values():
        clip = results.clips[KEY]
        results.clips[KEY] = dataclasses.replace(clip, num_frames=3)
    found = make_pictures(comparison, KEY, PictureOptions())
    assert found is not None
    assert (found.frame, found.count) == (1, 3)
    assert {picture.height for picture in found.profiles} == {96}
    truth = by_name(found.profiles)[GROUND_TRUTH]
    start, count = found.columns
    rows = made.frames(0)[:3, found.row, start : start + count]
    assert np.abs(truth[16::32] - rows).mean() < 4


def test_crop_is_chosen_by_the_ground_truth(comparison: Comparison):
    found = make_pictures(comparison, KEY, PictureOptions(crop_side=24))
    assert found is not None
    assert found.crop.left >= 60
    assert found.crop.width == 24


def test_large_frames_are_reduced(comparison: Comparison):
    found = make_pictures(comparison, KEY, PictureOptions(longest=48))
    assert found is not None
    assert {(p.width, p.height) for p in found.whole} == {(48, 32)}
    assert found.size == (64, 96)


def test_crop_outside(comparison: Comparison):
    with pytest.raises(ValueError, match='`crop` must lie in the frame'):
        make_pictures(comparison, KEY, PictureOptions(crop=Crop(96, 0, 1, 1)))


def test_damaged_files_are_named(comparison: Comparison, tmp_path: Path):
    (tmp_path / 'b/restored/set/clip/00000001.png').write_bytes(b'no image')
    found = make_pictures(comparison, KEY, PictureOptions())
    assert found is not None
    (problem,) = found.problems
    assert problem.startswith('b: ')
    assert '00000001.png' in problem
    assert [p.name for p in found.crops] == [LOW_QUALITY, GROUND_TRUTH, 'a']


def test_other_sizes_are_told(comparison: Comparison, tmp_path: Path):
    clip = comparison.results['b'].clips[KEY]
    comparison.results['b'].clips[KEY] = dataclasses.replace(
        clip, size=(16, 24)
    )
    found = make_pictures(comparison, KEY, PictureOptions())
    assert found is not None
    assert found.problems == ['b: resized from 24x16']


def test_a_method_without_the_clip_is_not_asked_for_it(tmp_path: Path):
    """Another --save would not bring its pictures."""
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    data = made.results('c', [made.clip('set', 'other', {'PSNR': 30.0})])
    runs.append(str(made.write(tmp_path / 'c', data)))
    found = make_pictures(
        compare(load_results(runs)), KEY, PictureOptions(crop_side=24)
    )
    assert found is not None
    assert found.problems == []


def test_no_restored_clips(tmp_path: Path):
    data = made.results('a', [made.clip('set', 'clip', {'PSNR': 1.0})])
    gt = made.save_frames(tmp_path / 'gt', made.frames())
    data['clips'][0]['files'] = {'gt': str(gt), 'pred': 'restored/gone'}
    found = compare(load_results([str(made.write(tmp_path / 'a', data))]))
    assert make_pictures(found, KEY, PictureOptions()) is None
