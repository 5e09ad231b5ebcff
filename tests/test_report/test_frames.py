"""Choice of clips, files and crops."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from star.report.comparison import Comparison, compare
from star.report.frames import (
    GROUND_TRUTH,
    LOW_QUALITY,
    Crop,
    choose_clips,
    find_versions,
    fit,
    most_detailed,
    read_frames,
    reduced,
)
from star.report.results import load_results
from tests.test_report import made


def listed(folder: Path) -> Comparison:
    clips = [made.clip('A', f'{i}', {'PSNR': 1.0}) for i in range(7)]
    clips += [made.clip('B', 'x', {'PSNR': 1.0})]
    data = made.results('a', clips)
    return compare(load_results([str(made.write(folder, data))]))


def test_clips_are_spread_over_each_set(tmp_path: Path):
    chosen = choose_clips(listed(tmp_path), 3, [])
    assert chosen == [('A', '0'), ('A', '2'), ('A', '4'), ('B', 'x')]


def test_clips_by_name(tmp_path: Path):
    comparison = listed(tmp_path)
    assert choose_clips(comparison, 3, ['B/x']) == [('B', 'x')]
    assert choose_clips(comparison, 0, []) == []
    with pytest.raises(ValueError, match="no method has the clip 'A/9'"):
        choose_clips(comparison, 3, ['B/x', 'A/9'])


def test_sources_are_what_is_still_there(tmp_path: Path):
    runs = made.pictured_runs(tmp_path, ['a', 'b'], 'clip')
    for file in (tmp_path / 'a/restored/set/clip').iterdir():
        file.unlink()
    (tmp_path / 'a/restored/set/clip').rmdir()
    (tmp_path / 'gt').rename(tmp_path / 'moved')
    comparison = compare(load_results(runs))
    found, gone = find_versions(comparison, ('set', 'clip'))
    assert [source.name for source in found] == [LOW_QUALITY, 'b']
    assert found[1].path == tmp_path / 'b/restored/set/clip'
    assert [source.name for source in gone] == [GROUND_TRUTH]


def test_frames_are_read_as_they_are(tmp_path: Path):
    clip = made.frames()
    made.save_frames(tmp_path, clip)
    read = [np.asarray(i) for i in read_frames(tmp_path, made.SIZE, 3)]
    assert np.array_equal(np.stack(read), clip[:3])


def test_other_sizes_are_resized(tmp_path: Path):
    clip = made.frames()
    made.save_frames(tmp_path, clip, 4)
    first = next(read_frames(tmp_path, made.SIZE, 3))
    small = Image.fromarray(clip[0][::4, ::4])
    expected = small.resize(first.size, Image.Resampling.BICUBIC)
    assert first.size == (96, 64)
    assert np.array_equal(np.asarray(first), np.asarray(expected))


def test_most_detailed_square_has_the_highest_variance():
    image = Image.fromarray(made.frames()[0])
    luma = np.asarray(image.convert('L'), dtype=float)
    crop = most_detailed(image, 24)
    variances = {
        (x, y): luma[y : y + 24, x : x + 24].var()
        for y in range(0, 41, 3)
        for x in range(0, 73, 3)
    }
    best = max(variances, key=lambda place: variances[place])
    assert (crop.left, crop.top) == best
    assert crop.left >= 60  # where the waves are
    assert (crop.width, crop.height) == (24, 24)


def test_square_is_no_larger_than_the_frame():
    crop = most_detailed(Image.new('RGB', (40, 20)), 96)
    assert crop == Crop(0, 0, 20, 20)


def test_crop_is_cut_to_the_frame():
    assert fit(Crop(90, 10, 50, 20), (64, 96)) == Crop(90, 10, 6, 20)
    with pytest.raises(ValueError, match='frame of 64x96, got left 96'):
        fit(Crop(96, 0, 5, 5), (64, 96))


@pytest.mark.parametrize('numbers', [(-1, 0, 5, 5), (0, 0, 0, 5)])
def test_no_crop(numbers: tuple[int, int, int, int]):
    with pytest.raises(ValueError, match='`crop` must be LEFT TOP'):
        Crop(*numbers)


def test_sizes_are_reduced_in_proportion():
    assert reduced((720, 1280), 640) == (360, 640)
    assert reduced((720, 1280), 1280) == (720, 1280)
