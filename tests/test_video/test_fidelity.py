"""Fidelity of a frame: what the input shows is taken back."""

import numpy as np
import pytest
import torch
from PIL import Image
from scipy import ndimage
from torch import Tensor

from star.video.fidelity import keep_input, resize, wiener_gain

KNOB = (0, 0.25, 0.5, 0.75, 1)
# sizes of the input and of the result
SIZES = [
    ((9, 11), (36, 44)),
    ((9, 11), (9, 11)),  # scale 1
    ((9, 11), (14, 17)),  # 1.5, rounded
    ((30, 21), (15, 11)),  # smaller than the input
    ((1, 1), (4, 4)),
    ((2, 40), (8, 160)),
]


def noise(*shape: int, seed: int = 0) -> Tensor:
    generator = torch.Generator().manual_seed(seed)
    return torch.randint(256, shape, generator=generator, dtype=torch.uint8)


def scene(side: int = 96) -> Tensor:
    """Draw flat areas with edges, (3, side, side) uint8."""
    y, x = np.mgrid[:side, :side] / side
    frame = np.full((side, side, 3), (90, 140, 60), np.float64)
    frame[(x - 0.4) ** 2 + (y - 0.5) ** 2 < 0.05] = (200, 60, 70)
    frame[(x > 0.7) & ((16 * y).astype(int) % 2 == 0)] = (30, 40, 160)
    return torch.from_numpy(frame.astype(np.uint8)).permute(2, 0, 1)


def shrink(frame: Tensor, side: int) -> Tensor:
    small = resize(frame.float(), (side, side))
    return small.round().clamp(0, 255).to(torch.uint8)


def distort(frame: Tensor, texture: float = 6) -> Tensor:
    """Make what a method might: other colours, soft edges, own texture."""
    soft = resize(shrink(frame, 16).float(), tuple(frame.shape[-2:]))
    own = torch.randn(frame.shape, generator=torch.Generator().manual_seed(1))
    return (soft * 0.9 + 18 + texture * own).round().clamp(0, 255).byte()


def psnr(a: Tensor, b: Tensor) -> float:
    error = (a.double() - b.double()).square().mean()
    return float(10 * torch.log10(255**2 / error))


def by_pillow(x: np.ndarray, size: tuple[int, ...]) -> np.ndarray:
    """Resize planes (C, h, w) by Pillow's bicubic filter, in floats."""
    return np.stack(
        [
            Image.fromarray(plane.astype(np.float32), mode='F').resize(
                size[::-1], Image.Resampling.BICUBIC
            )
            for plane in x
        ]
    ).astype(np.float64)


def mean_of(x: np.ndarray, side: int) -> np.ndarray:
    """Average twice over boxes, which end at the border."""
    size = (1, side, side)
    ones = ndimage.uniform_filter(np.ones(x.shape), size, mode='constant')
    for _ in range(2):
        x = ndimage.uniform_filter(x, size, mode='constant') / ones
    return x


def formula(pred: Tensor, lq: Tensor, f: float) -> np.ndarray:
    """Compute what `keep_input` says, by other libraries."""
    y, x = pred.numpy().astype(float), lq.numpy().astype(float)
    large, low = y.shape[1:], x.shape[1:]
    small = tuple(np.minimum(large, low))
    missing = by_pillow(x, small) - by_pillow(y, small)
    coarse = mean_of(missing, 7)
    detail = missing - coarse
    power = mean_of(detail**2, 5).mean(0)
    floor = np.sort(power.ravel())[max(1, round(0.35 * power.size)) - 1]
    gain = np.clip(1 - floor / np.maximum(power, 1e-12), 0, None)
    more = (2 * f - f * f) * coarse + f * f * gain * detail
    more = 2 * more - by_pillow(by_pillow(more, large), small)
    return np.clip(y + by_pillow(more, large), 0, 255)


@pytest.mark.parametrize('low, large', SIZES)
def test_nothing_at_0(low, large):
    pred, lq = noise(3, *large), noise(3, *low, seed=1)
    assert keep_input(pred, lq, 0) is pred


@pytest.mark.parametrize('fidelity', [0.3, 1])
@pytest.mark.parametrize('low, large', SIZES)
def test_is_the_formula(low, large, fidelity):
    pred, lq = noise(3, *large), noise(3, *low, seed=1)
    out = keep_input(pred, lq, fidelity)
    assert out.shape == pred.shape and out.dtype == torch.uint8
    error = np.abs(out.numpy() - formula(pred, lq, fidelity)).max()
    assert error < 0.51  # it is rounded


def test_1_gives_the_input_back_when_shrunk():
    gt = scene()
    lq, pred = shrink(gt, 24), distort(gt, 0)
    out = keep_input(pred, lq, 1)
    before, after = (
        (resize(x.float(), (24, 24)) - lq).abs() for x in (pred, out)
    )
    assert before.mean() > 10 and after.mean() < 0.2 * before.mean()
    # coarsely it is the input itself
    averages = [x.float().mean((1, 2)) for x in (out, lq)]
    assert (averages[0] - averages[1]).abs().max() < 0.5


@pytest.mark.parametrize('strength', [0, 6])
def test_distortion_falls_along_the_knob(strength):
    gt = scene()
    grain = torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(2))
    noisy = shrink(gt, 24) + strength * grain
    lq = noisy.round().clamp(0, 255).to(torch.uint8)
    found = [psnr(keep_input(distort(gt), lq, f), gt) for f in KNOB]
    assert found == sorted(found)
    assert found[-1] > found[0] + 2


def test_noise_of_the_input_stays_away():
    gt = scene()
    grain = torch.randn(3, 24, 24, generator=torch.Generator().manual_seed(2))
    lq = (shrink(gt, 24) + 10 * grain).clamp(0, 255).to(torch.uint8)
    errors = [
        (x.float() - gt)[:, :20, :40].std()  # a flat area
        for x in (
            keep_input(gt, lq, 1),
            keep_input(gt, shrink(gt, 24), 1),
            resize(lq.float(), (96, 96)),
        )
    ]
    assert errors[1] < 1 and errors[0] < 0.6 * errors[2]


def test_gain_tells_edges_from_noise():
    detail = torch.randn(3, 64, 64, generator=torch.Generator().manual_seed(0))
    detail[:, :, 30:34] += 20
    gain = wiener_gain(detail)
    assert gain.shape == (1, 64, 64) and gain.min() == 0
    assert gain[..., 31:33].min() > 0.9 > 0.4 > gain[..., :16].mean()
    assert torch.equal(wiener_gain(8 * detail), gain)
    assert torch.isfinite(wiener_gain(torch.zeros(3, 5, 5))).all()


def test_gray_stays_gray():
    pred, lq = noise(1, 37, 23), noise(1, 15, 9, seed=1)
    out = keep_input(pred.expand(3, -1, -1), lq.expand(3, -1, -1), 0.7)
    assert torch.equal(out, out[:1].expand(3, -1, -1))


def test_16_bits_are_finer_and_the_same():
    pred, lq = noise(3, 36, 44), noise(3, 9, 11, seed=1)
    deep = [(x.int() * 257).to(torch.uint16) for x in (pred, lq)]
    out = keep_input(*deep, 0.8)
    assert out.dtype == torch.uint16
    assert (out.int() % 257 != 0).any()
    error = out.float() / 257 - keep_input(pred, lq, 0.8).float()
    assert error.abs().max() < 0.51


@pytest.mark.parametrize(
    'pred, lq',
    [
        (noise(3, 8, 8), noise(1, 2, 2)),
        (noise(1, 3, 8, 8), noise(1, 3, 2, 2)),
        (noise(3, 8, 8), noise(3, 2, 2).to(torch.uint16)),
    ],
)
def test_refuses_what_does_not_fit(pred, lq):
    with pytest.raises(ValueError, match='`pred` and `lq` must be'):
        keep_input(pred, lq, 0.5)
