"""What metrics of two clips share: checks, borders, luma."""

import pytest
import torch

from star.evaluation.functional.clips import (
    check_pair,
    crop_border,
    to_channel,
)

CLIP = torch.zeros(2, 3, 12, 16, dtype=torch.uint8)


@pytest.mark.parametrize(
    ('pred', 'message'),
    [
        (
            CLIP.float(),
            r'`pred` must be .* got \(2, 3, 12, 16\) torch.float32',
        ),
        (CLIP[0], '`pred` must be'),
        (CLIP[:0], 'T >= 1'),
        (CLIP[:, :1], '`pred` must be'),
        (CLIP[:1], r'one shape .* got \(1, 3, 12, 16\) and \(2, 3, 12, 16\)'),
        (CLIP[..., 1:], 'one shape'),
    ],
)
def test_refuses_clips(pred: torch.Tensor, message: str):
    with pytest.raises(ValueError, match=message):
        check_pair(pred, CLIP)


def test_crops_borders():
    clip = torch.arange(2 * 3 * 6 * 8).view(2, 3, 6, 8)
    assert torch.equal(crop_border(clip, 2), clip[:, :, 2:4, 2:6])
    assert torch.equal(crop_border(clip, 0), clip)


@pytest.mark.parametrize('border', [-1, 6])
def test_refuses_borders(border: int):
    with pytest.raises(ValueError, match=f'below half of 12x16, got {border}'):
        crop_border(CLIP, border)


def test_luma_of_known_colours():
    colours = torch.tensor(
        [[0, 0, 0], [255, 255, 255], [255, 0, 0], [0, 255, 0], [0, 0, 255]],
        dtype=torch.uint8,
    ).view(5, 3, 1, 1)
    luma = to_channel(colours, 'y').flatten()
    expected = [16, 235, 81.481, 144.553, 40.966]
    assert luma.tolist() == pytest.approx(expected, abs=1e-9)


def test_refuses_channel():
    with pytest.raises(ValueError, match=r"`channel` must be .* got 'luma'"):
        to_channel(CLIP, 'luma')
