"""Made-up scenes with structure that moves, for the tests of cuts."""

from fractions import Fraction

import cv2
import numpy as np

from star.video.info import Frame

RATE = 25


def scene(num_frames, seed=0, size=(72, 96), speed=1.0):
    """Film a random picture with a moving camera, (T, H, W, 3) uint8."""
    rng = np.random.default_rng(seed)
    height, width = size
    shape = (height + 64, width + 64, 3)
    picture = np.zeros(shape)
    for grain, weight in ((2, 0.3), (8, 0.6), (24, 1.0)):
        spots = rng.normal(size=(shape[0] // grain + 2, shape[1] // grain, 3))
        picture += weight * cv2.resize(spots, shape[1::-1])
    tint = rng.uniform(60, 190, 3)
    picture = (picture * 40 + tint).clip(0, 255).round().astype(np.uint8)
    shifts = [64 - abs(64 - int(i * speed) % 128) for i in range(num_frames)]
    return np.stack([picture[x : x + height, x : x + width] for x in shifts])


def as_frames(images, start=0):
    """Wrap images as frames of a clip of `RATE`."""
    return [
        Frame(image, Fraction(i, RATE), Fraction(1, RATE))
        for i, image in enumerate(images, start)
    ]
