"""Pixels of 8 and of 16 bits."""

import numpy as np

from star.video.colour.depth import set_depth


def test_8_bits_survive_16():
    codes = np.arange(256, dtype=np.uint8)
    deep = set_depth(codes, 16)
    assert deep.dtype == np.uint16
    assert deep[[0, 1, 255]].tolist() == [0, 257, 65535]
    np.testing.assert_array_equal(set_depth(deep, 8), codes)


def test_16_bits_are_rounded():
    codes = np.arange(65536, dtype=np.uint16)
    rounded = set_depth(codes, 8)
    assert rounded.dtype == np.uint8
    wanted = np.floor(codes / 257 + 0.5)
    np.testing.assert_array_equal(rounded, wanted)


def test_the_same_depth_is_the_same_array():
    codes = np.arange(4, dtype=np.uint16)
    assert set_depth(codes, 16) is codes
