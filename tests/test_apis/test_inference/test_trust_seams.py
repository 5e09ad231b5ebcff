"""Seams that were made are found, and clips without any have none."""

import numpy as np

from star.apis.inference.borders import Borders
from star.apis.inference.trust import TrustMeter
from star.apis.inference.trust_seams import EVERY, tile_seams, worst_seams

RNG = np.random.default_rng(3)
TILES = Borders(rows=(48,), columns=(64, 100))


def clip(count: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise that changes a little, and the same with fine noise added."""
    lq = RNG.integers(110, 150, (24, 40, 3)).astype(np.int64)
    lq = np.stack([lq + RNG.integers(-3, 4, lq.shape) for _ in range(count)])
    pred = lq.repeat(4, axis=1).repeat(4, axis=2)
    pred = pred + RNG.integers(-9, 10, pred.shape)
    return lq.astype(np.uint8), pred.astype(np.uint8)


def measure(lq: np.ndarray, pred: np.ndarray, borders: Borders) -> list[dict]:
    meter = TrustMeter(borders)
    for pair in zip(lq, pred, strict=True):
        meter.add(*pair)
    return meter.take()


def test_a_step_between_tiles_is_found() -> None:
    lq, pred = clip(EVERY + 1)
    rows = measure(lq, pred, TILES)
    assert ['seams' in row for row in rows].count(True) == 2
    found = worst_seams(rows, TILES, [0])
    assert found['time'] is None
    assert 0.7 < found['space']['score'] < 1.3
    pred[:, :, 64:] += 30
    found = worst_seams(measure(lq, pred, TILES), TILES, [0])['space']
    assert (found['axis'], found['position']) == ('column', 64)
    assert found['score'] > 1.5 and found['usual'] < 1.3


def test_deep_frames_have_the_scores_of_flat_ones() -> None:
    lq, pred = (images[0] for images in clip(1))
    deep = [image.astype(np.uint16) * 257 for image in (lq, pred)]
    flat = tile_seams(lq, pred, TILES)
    for name, scores in tile_seams(*deep, TILES).items():
        np.testing.assert_allclose(scores, flat[name], rtol=0.03)


def test_a_jump_between_segments_is_found() -> None:
    lq, pred = clip(30)
    borders = Borders(segments=(10, 20), windows=(15,))
    even = worst_seams(measure(lq, pred, borders), borders, [0])['time']
    assert 0.9 < even['score'] < 1.1
    pred[20:] += 20
    rows = measure(lq, pred, borders)
    found = worst_seams(rows, borders, [0])
    assert found['space'] is None
    assert found['time']['frame'] == 20 and found['time']['score'] > 1.5
    assert found['time']['usual'] < 1.1
    # where a scene begins, a jump is none
    found = worst_seams(rows, borders, [0, 20])['time']
    assert found['frame'] != 20 and found['score'] < 1.1


def test_a_jump_in_a_still_clip_is_found() -> None:
    lq = np.full((20, 24, 40, 3), 90, np.uint8)
    pred = np.full((20, 96, 160, 3), 90, np.uint8)
    borders = Borders(segments=(10,))
    found = worst_seams(measure(lq, pred, borders), borders, [0])['time']
    assert found['score'] == 1
    pred[10:] += 2
    found = worst_seams(measure(lq, pred, borders), borders, [0])['time']
    assert found == {'score': 21, 'frame': 10, 'usual': 21}


def test_a_clip_without_borders_has_no_seams() -> None:
    rows = measure(*clip(3), Borders())
    assert worst_seams(rows, Borders(), [0]) == {'time': None, 'space': None}
