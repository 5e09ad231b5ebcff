"""`star demo`: the files it writes, and the detail it shows."""

from pathlib import Path

import cv2
import numpy as np

from star.cli.demo import find_texture
from tests.paths import ROOT
from tests.test_apis.clips import read_clip
from tests.test_cli.conftest import Star


def test_demo(star: Star, tmp_path: Path) -> None:
    result = star('demo', '--output', tmp_path)
    assert result.code == 0, result.err
    (video,) = tmp_path.glob('*.mp4')
    (picture,) = tmp_path.glob('*.png')
    assert str(video) in result.out and str(picture) in result.out
    frames, _ = read_clip(video)
    (sample,) = (ROOT / 'data' / 'samples').glob('*.mp4')
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
