from itertools import pairwise

import pytest
import torch

from star.video.windows import (
    blend_weights,
    official_windows,
    plan_windows,
)

SIZES = [
    (size, overlap)
    for size in (1, 3, 8, 32)
    for overlap in sorted({0, size // 4, size // 2, size - 1})
    if overlap < size
]
MODES = ('cut', 'smooth')


def stitch(x, windows, mode):
    """Run an identity model over windows of axis 0."""
    out = torch.zeros_like(x)
    weights = blend_weights(len(x), windows, mode)
    for (start, end), weight in zip(windows, weights, strict=True):
        out[start:end] += x[start:end] * weight[:, None]
    return out


@pytest.mark.parametrize('size, overlap', SIZES)
def test_windows_of_every_length(size, overlap):
    for length in range(1, 101):
        windows = plan_windows(length, size, overlap)
        assert windows[0][0] == 0
        assert windows[-1][1] == length
        if length <= size:
            assert windows == [(0, length)]
        for start, end in windows:
            assert end - start == min(size, length)
        for a, b in pairwise(windows):
            assert a[0] < b[0]
            assert a[1] - b[0] >= overlap


def test_windows_are_no_more_than_needed():
    assert plan_windows(32, 32, 8) == [(0, 32)]
    assert plan_windows(33, 32, 8) == [(0, 32), (1, 33)]
    assert plan_windows(56, 32, 8) == [(0, 32), (24, 56)]
    assert plan_windows(57, 32, 8) == [(0, 32), (24, 56), (25, 57)]


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('size, overlap', SIZES)
def test_identity_of_every_length(size, overlap, mode):
    for length in range(1, 101):
        x = torch.arange(2 * length).reshape(length, 2) / length - 1
        out = stitch(x, plan_windows(length, size, overlap), mode)
        torch.testing.assert_close(out, x, atol=1e-6, rtol=0)


@pytest.mark.parametrize('mode', MODES)
@pytest.mark.parametrize('size', [1, 3, 8, 32])
def test_identity_of_official_windows(size, mode):
    for length in range(1, 101):
        x = torch.arange(2 * length).reshape(length, 2) / length - 1
        out = stitch(x, official_windows(length, size), mode)
        torch.testing.assert_close(out, x, atol=1e-6, rtol=0)


@pytest.mark.parametrize('length', range(33, 41))
def test_official_windows_where_the_official_code_fails(length):
    assert official_windows(length, 32) == [(0, length)]


def test_official_windows():
    assert official_windows(41, 32) == [(0, 32), (16, 41)]
    assert official_windows(72, 32) == [(0, 32), (16, 48), (32, 72)]


@pytest.mark.parametrize('mode', MODES)
def test_weights_lie_in_0_to_1_and_sum_to_1(mode):
    windows = plan_windows(100, 32, 24)
    total = torch.zeros(100)
    weights = blend_weights(100, windows, mode)
    for (start, end), weight in zip(windows, weights, strict=True):
        assert weight.shape == (end - start,)
        assert weight.dtype == torch.float32
        assert weight.min() >= 0
        assert weight.max() <= 1
        total[start:end] += weight
    assert (total - 1).abs().max() < 1e-6


def test_cut_is_at_the_middle_of_each_overlap():
    windows = [(0, 32), (16, 48), (32, 72)]
    weights = blend_weights(72, windows, 'cut')
    assert [w.nonzero().flatten().tolist() for w in weights] == [
        list(range(24)),
        list(range(8, 24)),
        list(range(8, 40)),
    ]
    assert all(set(w.tolist()) <= {0.0, 1.0} for w in weights)


def test_smooth_ramps_rise_over_the_overlap_only():
    first, second = blend_weights(12, [(0, 8), (4, 12)], 'smooth')
    assert (first[:4] == 1).all()
    assert (second[4:] == 1).all()
    assert (second[:4].diff() > 0).all()
    torch.testing.assert_close(first[4:], second[:4].flip(0))
    # sin^2 at the eighths 1, 3, 5, 7 of a right angle
    want = torch.tensor([0.038060, 0.308658, 0.691342, 0.961940])
    torch.testing.assert_close(second[:4], want, atol=1e-6, rtol=0)


def test_smooth_hides_a_seam_that_cut_shows():
    windows = plan_windows(56, 32, 8)
    jumps = {}
    for mode in MODES:
        out = torch.zeros(56)
        weights = blend_weights(56, windows, mode)
        for i, ((start, end), weight) in enumerate(
            zip(windows, weights, strict=True)
        ):
            out[start:end] += i * weight
        jumps[mode] = out.diff().max().item()
    assert jumps['cut'] == 1
    assert jumps['smooth'] < 0.2


@pytest.mark.parametrize(
    'args, message',
    [
        ((0, 8, 2), '`length` must be at least 1, got 0'),
        ((10, 0, 0), '`size` must be at least 1, got 0'),
        ((10, 8, 8), r'`overlap` must lie in \[0, size\), got 8 at size 8'),
        ((10, 8, -1), r'`overlap` must lie in \[0, size\), got -1'),
        ((4, 8, 9), r'`overlap` must lie in \[0, size\), got 9'),
    ],
)
def test_refuses_bad_windows(args, message):
    with pytest.raises(ValueError, match=message):
        plan_windows(*args)


def test_official_windows_refuse_bad_arguments():
    with pytest.raises(ValueError, match='`size` must be at least 1, got 0'):
        official_windows(10, 0)
    with pytest.raises(ValueError, match='`length` must be at least 1'):
        official_windows(0, 10)


def test_refuses_an_unknown_mode():
    with pytest.raises(ValueError, match="got 'linear'"):
        blend_weights(4, [(0, 4)], 'linear')


@pytest.mark.parametrize(
    'windows',
    [
        [],
        [(0, 4)],
        [(1, 6)],
        [(0, 2), (3, 6)],
        [(0, 6), (2, 6)],
        [(2, 6), (0, 4)],
        [(0, 0), (0, 6)],
    ],
)
def test_refuses_windows_that_do_not_cover(windows):
    with pytest.raises(ValueError, match=r'must cover \[0, 6\)'):
        blend_weights(6, windows, 'smooth')
