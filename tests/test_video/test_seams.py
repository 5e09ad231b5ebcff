"""Tests of star.video.seams on made-up seams of a known size."""

import numpy as np
import pytest

from star.video.seams import space_seam, time_seam


@pytest.mark.parametrize('factor', [0.5, 1, 3])
def test_time_seam_is_the_ratio_to_the_frames_around(factor):
    changes = np.linspace(2, 2.4, 40)
    changes[0] = np.nan
    expected = [
        changes[20] * factor / np.median(np.r_[changes[14:20], changes[21:27]])
    ]
    changes[20] *= factor
    np.testing.assert_allclose(time_seam(changes, [20]), expected)


def test_other_borders_are_not_part_of_the_neighbourhood():
    changes = np.ones(30)
    changes[[10, 12, 14, 16]] = 5
    np.testing.assert_allclose(time_seam(changes, [10, 12, 14, 16]), 5)


def test_borders_without_a_neighbourhood_have_no_score():
    assert np.isnan(time_seam([np.nan, 1.0], [1, 7])).all()
    assert time_seam([], []).shape == (0,)
    assert np.isnan(time_seam([np.nan, 1, 1, 1], [0]))[0]


def test_still_clips_have_no_seam_unless_they_jump():
    assert time_seam(np.zeros(20), [10]) == [1]
    assert time_seam(np.eye(20)[10], [10]) == [np.inf]


def noise(seed=0):
    return np.random.default_rng(seed).normal(size=(96, 120, 3))


def test_noise_has_no_seam_in_space():
    rows, columns = space_seam(noise(), [30, 60], [20, 90])
    np.testing.assert_allclose([*rows, *columns], 1, atol=0.1)


@pytest.mark.parametrize('axis', [0, 1])
def test_a_step_between_tiles_is_found(axis):
    image = noise()
    where = [slice(None)] * 3
    where[axis] = slice(48, None)
    image[tuple(where)] += 10
    # |N(10, sqrt 2)| against |N(0, sqrt 2)|, whose mean is 2 / sqrt pi
    expected = 10 * np.sqrt(np.pi) / 2
    scores = space_seam(image, [48], [48])
    np.testing.assert_allclose(scores[axis], expected, rtol=0.05)
    np.testing.assert_allclose(scores[1 - axis], 1, atol=0.15)


def test_a_grid_everywhere_is_no_seam():
    grid = np.zeros((96, 120))
    grid[np.arange(96) // 4 % 2 == 0] = 5
    image = grid + noise()[..., 0] * 0.1
    assert space_seam(image, [48])[0] > 10
    np.testing.assert_allclose(space_seam(image, [48], period=4)[0], 1, 0.1)


def test_smooth_transitions_are_no_seam():
    image = noise()[..., 0] + 10 * np.linspace(0, 1, 120).clip(0.3, 0.7)
    np.testing.assert_allclose(space_seam(image, (), [60])[1], 1, atol=0.15)
