import numpy as np
import pytest
import torch

from star.video.padding import (
    crop,
    official_padding,
    pad_amount,
    pad_official,
    pad_reflect,
    pad_replicate,
)


def test_pad_amount_is_the_least_that_the_network_accepts():
    for height in range(1, 200, 7):
        for width in range(1, 200, 11):
            bottom, right = pad_amount(height, width, (64, 64), (16, 0))
            assert (height + bottom) % 64 == 16
            assert (width + right) % 64 == 0
            assert 0 <= bottom < 64
            assert 0 <= right < 64


@pytest.mark.parametrize(
    'size, padding',
    [
        ((720, 1280), (0, 0)),
        ((976, 1728), (0, 0)),
        ((480, 640), (48, 0)),
        ((1080, 1920), (24, 0)),
        ((40, 48), (40, 16)),
    ],
)
def test_pad_amount(size, padding):
    assert pad_amount(*size, (64, 64), (16, 0)) == padding


@pytest.mark.parametrize('dtype', [torch.uint8, torch.float16, torch.float32])
@pytest.mark.parametrize('shape', [(5, 7), (3, 1, 1), (2, 3, 4, 6, 5)])
@pytest.mark.parametrize('bottom, right', [(0, 0), (3, 0), (0, 9), (11, 2)])
def test_pad_replicate_matches_numpy_and_crops_back(
    dtype, shape, bottom, right
):
    x = torch.randint(0, 255, shape).to(dtype)
    out = pad_replicate(x, bottom, right)
    width = [(0, 0)] * (len(shape) - 2) + [(0, bottom), (0, right)]
    assert np.array_equal(out.numpy(), np.pad(x.numpy(), width, 'edge'))
    assert out.dtype == dtype
    assert torch.equal(crop(out, *shape[-2:]), x)


def test_official_padding():
    # left, right, top, bottom
    assert official_padding(720, 1280) == (0, 0, 0, 0)
    assert official_padding(480, 640) == (320, 320, 120, 120)
    assert official_padding(1080, 1920) == (0, 64, 0, 24)
    assert official_padding(1280, 720) == (280, 280, 0, 16)


def test_official_padding_is_white_and_fits_the_network():
    for height, width in ((33, 1301), (721, 5), (720, 1280)):
        x = torch.zeros(1, 2, height, width)
        out = pad_official(x)
        assert out.shape[-2] % 64 == 16
        assert out.shape[-1] % 64 == 0
        left, _, top, _ = official_padding(height, width)
        inner = crop(out, height, width, top, left)
        assert torch.equal(inner, x)
        border = out.numel() - x.numel()
        assert out.sum() == border  # all ones


def test_crop_elsewhere():
    x = torch.arange(20).reshape(4, 5)
    assert crop(x, 2, 3, top=1, left=2).tolist() == [[7, 8, 9], [12, 13, 14]]


@pytest.mark.parametrize(
    'args', [(5, 5), (4, 6), (0, 5), (4, 5, 1, 0), (2, 2, -1, 0)]
)
def test_crop_refuses_what_lies_outside(args):
    with pytest.raises(ValueError, match='must lie inside 4x5'):
        crop(torch.zeros(4, 5), *args)


@pytest.mark.parametrize(
    'args, message',
    [
        ((0, 4, (8, 8), (0, 0)), '`height` and `width` .* got 0, 4'),
        ((4, 4, (8, 8), (0, 8)), r'`remainder` must lie in \[0, multiple\)'),
        ((4, 4, (0, 8), (0, 0)), r'`remainder` must lie in \[0, multiple\)'),
    ],
)
def test_pad_amount_refuses_bad_arguments(args, message):
    with pytest.raises(ValueError, match=message):
        pad_amount(*args)


def test_refuses_negative_padding():
    with pytest.raises(ValueError, match='must not be negative, got -1, 0'):
        pad_replicate(torch.zeros(4, 4), -1, 0)
    with pytest.raises(ValueError, match='at least 1, got 0, 9'):
        official_padding(0, 9)


def test_pad_reflect_mirrors_or_repeats():
    x = torch.arange(12.0).reshape(1, 1, 3, 4)
    for bottom, right in ((2, 3), (0, 1), (2, 0)):
        wide = np.pad(x[0, 0], ((0, bottom), (0, right)), 'reflect')
        assert (pad_reflect(x, bottom, right)[0, 0].numpy() == wide).all()
    for bottom, right in ((3, 0), (1, 4), (60, 60)):  # too far to mirror
        wide = np.pad(x[0, 0], ((0, bottom), (0, right)), 'edge')
        assert (pad_reflect(x, bottom, right)[0, 0].numpy() == wide).all()
    with pytest.raises(ValueError, match='must not be negative'):
        pad_reflect(x, -1, 0)
