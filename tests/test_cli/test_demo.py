"""`star demo`: the files it writes, and the detail it shows."""

from fractions import Fraction
from itertools import islice
from pathlib import Path

import cv2
import numpy as np
import pytest

from star.cli import demo
from star.cli.demo import find_sample, find_texture
from star.video.io import VideoReader, VideoWriter
from tests.paths import ROOT
from tests.test_apis.clips import read_clip
from tests.test_cli.conftest import Star


def test_demo(
    star: Star, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (sample,) = (ROOT / 'data' / 'samples').glob('*.mp4')
    assert find_sample() == sample
    start = tmp_path / 'start' / 'sample.mp4'
    start.parent.mkdir()
    write_start(sample, start, frames=3)
    monkeypatch.setattr(demo, 'find_sample', lambda: start)
    check_demo(star, start, tmp_path)


@pytest.mark.slow
def test_demo_of_the_whole_sample(star: Star, tmp_path: Path) -> None:
    check_demo(star, find_sample(), tmp_path)


def write_start(src: Path, dst: Path, frames: int) -> None:
    with VideoReader(src) as reader:
        images = [frame.image for frame in islice(reader, frames)]
    height, width = images[0].shape[:2]
    with VideoWriter(dst, width, height) as writer:
        for i, image in enumerate(images):
            writer.write(image, Fraction(i, 12), Fraction(1, 12))


def check_demo(star: Star, sample: Path, tmp_path: Path) -> None:
    result = star('demo', '--output', tmp_path)
    assert result.code == 0, result.err
    (video,) = tmp_path.glob('*.mp4')
    (picture,) = tmp_path.glob('*.png')
    assert str(video) in result.out and str(picture) in result.out
    frames, _ = read_clip(video)
    lq, _ = read_clip(sample)
    assert frames.shape[:3] == (len(lq), 4 * lq.shape[1], 4 * lq.shape[2])
    image = cv2.imread(str(picture))
    assert image is not None and image.shape[1] > 2 * frames.shape[2]


def test_demo_picks_the_textured_detail() -> None:
    frame = np.full((90, 120, 3), 128, np.uint8)
    frame[50:70, 80:110] = np.random.default_rng(0).integers(
        0, 256, (20, 30, 3)
    )
    top, left = find_texture(frame)
    assert 40 <= top <= 50 and 70 <= left <= 80


def test_demo_without_input(star: Star, tmp_path: Path) -> None:
    assert 'no.mp4' in star('demo', '--input', tmp_path / 'no.mp4').error
