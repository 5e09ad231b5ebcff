"""Tests of star.video.cuts: hard cuts are found, other changes are none."""

import random

import numpy as np
import pytest

from star.video import cuts
from star.video.cuts import LOOK_AHEAD, LOOK_BACK, CutFinder, split_scenes
from star.video.info import VideoError
from star.video.reader import VideoReader
from tests.paths import CLIPS, needs_clips
from tests.test_video.scenes import as_frames, scene


def find(images, how='auto'):
    """List the numbers of the frames that begin a scene, the first apart."""
    pairs = list(split_scenes(as_frames(images), how))
    assert [f.time for f, _ in pairs] == [f.time for f in as_frames(images)]
    assert not pairs or pairs[0][1]
    return [i for i, (_, is_cut) in enumerate(pairs) if is_cut][1:]


def join(*lengths, seed=0):
    parts = [scene(n, seed + i) for i, n in enumerate(lengths)]
    return np.concatenate(parts), np.cumsum(lengths)[:-1].tolist()


@pytest.mark.parametrize(
    'lengths',
    [(12, 12), (4, 12), (12, 4), (1, 12), (12, 1), (6, 4, 5, 4), (3, 3, 3)],
)
@pytest.mark.parametrize('seed', [0, 10])
def test_hard_cuts_are_found_wherever_they_are(lengths, seed):
    images, expected = join(*lengths, seed=seed)
    assert find(images) == expected


@pytest.mark.parametrize('length', [0, 1, 2, 3, 30])
@pytest.mark.parametrize('speed', [0, 1, 4])
def test_one_scene_has_no_cut(length, speed):
    images = scene(max(length, 1), speed=speed)[:length]
    assert find(images) == []


def test_deep_frames_have_the_same_cuts():
    images, expected = join(8, 8)
    assert find(images.astype(np.uint16) * 257) == expected


def test_films_without_colour_have_cuts():
    images, expected = join(8, 8)
    gray = images.mean(-1, keepdims=True).repeat(3, -1)
    assert find(gray.round().astype(np.uint8)) == expected


@pytest.mark.parametrize('other', [[5, 5, 5], [90, 90, 90], [200, 40, 40]])
def test_cuts_from_and_to_grain_are_found(other):
    grain = np.random.default_rng(0).integers(0, 256, (10, 48, 64, 3))
    plain = np.tile(other, (10, 48, 64, 1))
    images = np.concatenate([grain, plain]).astype(np.uint8)
    assert find(images) == find(images[::-1]) == [10]


def test_cuts_between_plain_colours_are_found():
    colours = np.array([(255, 0, 0), (0, 0, 255), (30, 30, 30)], np.uint8)
    images = np.tile(colours.repeat(6, 0)[:, None, None], (1, 48, 64, 1))
    assert find(images) == [6, 12]


@pytest.mark.parametrize('steps', [2, 4, 12])
def test_dissolves_are_no_cuts(steps):
    a, b = scene(10 + steps, 1), scene(10 + steps, 2)
    weight = (np.arange(steps) + 1)[:, None, None, None] / (steps + 1)
    mixed = a[10:] * (1 - weight) + b[:steps] * weight
    images = [*a[:10], *mixed.round().astype(np.uint8), *b[steps:]]
    assert find(images) == []


@pytest.mark.parametrize('level', [0, 255])
@pytest.mark.parametrize('backwards', [False, True])
def test_fades_are_no_cuts(level, backwards):
    weight = np.clip((20 - np.arange(26)) / 12, 0, 1)[:, None, None, None]
    faded = scene(26) * weight + level * (1 - weight)
    images = faded.round().astype(np.uint8)
    assert find(images[::-1] if backwards else images) == []


@pytest.mark.parametrize('lengths', [(1,), (2,), (3,), (1, 1), (2, 3)])
def test_flashes_are_no_cuts(lengths):
    images, at = scene(30).astype(int), 6
    for length in lengths:
        images[at : at + length] += np.linspace(250, 120, length, dtype=int)[
            :, None, None, None
        ]
        at += length + 5
    assert find(images.clip(0, 255).astype(np.uint8)) == []


def test_lightning_that_lasts_is_no_cut():
    images = scene(30).astype(float)
    images[8:20] = images[8:20] * 1.5 + 30
    assert find(images.clip(0, 255).astype(np.uint8)) == []


def test_a_sudden_fast_pan_is_no_cut():
    still, fast = scene(10, speed=0), scene(12, speed=5)
    images = [*still, *fast, *still[:1].repeat(5, 0)]
    assert find(images[: 10 + 12]) == []


def test_noise_is_no_cut():
    noise = np.random.default_rng(0).integers(0, 256, (30, 48, 64, 3))
    assert find(noise.astype(np.uint8)) == []


def test_repeated_frames_are_no_cuts():
    images, expected = join(16, 16)
    twice = images[::2].repeat(2, 0)
    assert find(twice) == expected


def test_no_cuts_are_found_when_none_are_wanted():
    images, _ = join(8, 8)
    assert find(images, 'none') == []


def test_a_later_start_finds_the_same_cuts():
    images, expected = join(7, 4, 5, 9, 6, 5)
    whole = [is_cut for _, is_cut in split_scenes(as_frames(images))]
    for start in (1, 6, 7, 8, 13, 20, 24, 30):
        first = max(0, start - LOOK_BACK)
        rest = split_scenes(as_frames(images[first:], first), 'auto', first)
        found = [is_cut for _, is_cut in rest][start - first :]
        assert found == whole[start:]
    assert [i for i, x in enumerate(whole) if x][1:] == expected


def test_frames_are_held_no_longer_than_promised():
    read = 0

    def frames():
        nonlocal read
        for frame in as_frames(scene(40)):
            read += 1
            yield frame

    for yielded, _ in enumerate(split_scenes(frames()), 1):
        assert read <= yielded + LOOK_AHEAD


def test_memory_does_not_grow_with_the_clip():
    finder = CutFinder()
    for image in join(10, 10, 10)[0]:
        finder.add(image)
    assert len(finder._views) <= LOOK_BACK + LOOK_AHEAD + 1
    assert len(finder._proposed) <= LOOK_AHEAD + 1


def test_one_scene_correlates_and_two_do_not():
    a, b = scene(8, 1), scene(1, 2)[0]
    assert cuts.match_scenes(a[0], a[2]) > 0.8
    assert cuts.match_scenes(a[0], a[2] // 2 + 90) > 0.8
    assert cuts.match_scenes(a[0], a[7]) > 0.5
    assert cuts.match_scenes(a[0], b) < 0.3


def test_a_missing_file_of_cuts_is_named_before_anything_is_read():
    with pytest.raises(VideoError, match='no_such_file'):
        split_scenes(iter(()), 'no_such_file.txt')


@needs_clips
def test_joined_films_are_cut_where_they_were_joined():
    names = ['lq/starpage_007_boy.mp4', 'lq/vmaf_parade_384x288.mp4']
    names += ['lq/videolq_024.mp4', 'lq/uav_old_animation.mp4']
    films = []
    for name in names:
        with VideoReader(CLIPS / name, 24) as reader:
            films.append([cuts._shrink(f.image, 160) for f in reader])
    for film in films:
        assert find(film) == []
    rng = random.Random(0)
    for _ in range(4):
        a, b = rng.sample(films, 2)
        length = rng.choice((4, 9, 24))
        size = a[0].shape[1::-1]
        images = [*a[:length], *(cuts.cv2.resize(x, size) for x in b)]
        assert find(images) == [length]
