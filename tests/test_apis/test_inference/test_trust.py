"""The measurements of restored frames against their input."""

import json

import numpy as np
import pytest

from star.apis.inference.trust import EQUAL, WIDEST, TrustMeter

RNG = np.random.default_rng(7)


def images(count: int, height: int, width: int, deep: bool) -> np.ndarray:
    top, dtype = (65536, np.uint16) if deep else (256, np.uint8)
    return RNG.integers(0, top, (count, height, width, 3)).astype(dtype)


def area_weights(before: int, after: int) -> np.ndarray:
    """Share of each pixel before in each after, (after, before)."""
    ends = np.arange(after + 1) * before / after
    low = np.maximum(ends[:-1, None], np.arange(before))
    high = np.minimum(ends[1:, None], np.arange(before) + 1)
    return np.maximum(high - low, 0) * after / before


def shrunk(image: np.ndarray, height: int, width: int) -> np.ndarray:
    down = area_weights(image.shape[0], height)
    across = area_weights(image.shape[1], width)
    return np.einsum('ya,xb,abc->yxc', down, across, image.astype(float))


def measure(lq: np.ndarray, pred: np.ndarray) -> list[dict]:
    meter = TrustMeter()
    for pair in zip(lq, pred, strict=True):
        meter.add(*pair)
    return meter.take()


@pytest.mark.parametrize('deep', [False, True])
@pytest.mark.parametrize('size', [(24, 32), (36, 48), (31, 45), (12, 16)])
def test_values_are_those_of_an_area_mean(
    size: tuple[int, int], deep: bool
) -> None:
    lq, pred = images(3, 12, 16, deep), images(3, *size, deep)
    level = 257 if deep else 1
    rows = measure(lq, pred)
    small = np.stack([shrunk(image, 12, 16) for image in pred])
    before = lq.astype(float)
    for i, row in enumerate(rows):
        error = np.mean((small[i] - before[i]) ** 2)
        psnr = 10 * np.log10((255 * level) ** 2 / error)
        assert row['frame'] == i
        assert row['psnr'] == pytest.approx(psnr, abs=0.02)
        drift = (small[i] - before[i]).mean(axis=(0, 1)) / level
        assert row['drift'] == pytest.approx(drift, abs=0.3)
    assert [rows[0][f'change_{n}'] for n in ('lq', 'pred', 'fine')] == [
        None
    ] * 3
    for i in (1, 2):
        assert rows[i]['change_lq'] == pytest.approx(
            np.abs(before[i] - before[i - 1]).mean() / level, abs=1e-4
        )
        assert rows[i]['change_pred'] == pytest.approx(
            np.abs(small[i] - small[i - 1]).mean() / level, abs=0.1
        )
        fine = pred[:, ::8, :, 1].astype(float)
        assert rows[i]['change_fine'] == pytest.approx(
            np.abs(fine[i] - fine[i - 1]).mean() / level, abs=1e-4
        )


def test_repeated_pixels_equal_their_input() -> None:
    lq = images(2, 12, 16, False)
    rows = measure(lq, lq.repeat(4, axis=1).repeat(4, axis=2))
    assert [row['psnr'] for row in rows] == [EQUAL, EQUAL]
    assert rows[1]['drift'] == [0, 0, 0]
    assert rows[1]['change_pred'] == rows[1]['change_lq'] > 0


def test_wide_frames_are_compared_at_a_smaller_width() -> None:
    lq = np.zeros((4, 2 * WIDEST, 3), np.uint8)
    lq[:, ::2] = 200  # stripes that shrinking turns into grey
    (row,) = measure(lq[None], np.full_like(lq, 100)[None])
    assert row['psnr'] == EQUAL


@pytest.mark.parametrize('stop', [1, 3, 5])
def test_resuming_gives_the_rows_of_one_run(stop: int) -> None:
    lq, pred = images(6, 12, 16, False), images(6, 30, 40, False)
    first, second = TrustMeter(), TrustMeter()
    for pair in zip(lq[:stop], pred[:stop], strict=True):
        first.add(*pair)
    rows = json.loads(json.dumps(first.take()))
    assert first.take() == []
    second.resume(first.carry())
    for pair in zip(lq[stop:], pred[stop:], strict=True):
        second.add(*pair)
    assert rows + second.take() == measure(lq, pred)


def test_a_meter_resumes_before_its_first_frame() -> None:
    lq = images(2, 12, 16, False)
    meter = TrustMeter()
    meter.resume(TrustMeter().carry())
    for image in lq:
        meter.add(image, image)
    assert meter.take() == measure(lq, lq)


def test_types_must_agree() -> None:
    lq = images(1, 12, 16, False)[0]
    with pytest.raises(ValueError, match='got uint8 and uint16'):
        TrustMeter().add(lq, lq.astype(np.uint16))
    with pytest.raises(ValueError, match='got float32 and float32'):
        TrustMeter().add(lq.astype(np.float32), lq.astype(np.float32))
