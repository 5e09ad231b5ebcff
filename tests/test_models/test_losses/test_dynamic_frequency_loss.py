import math

import numpy as np
import pytest
import torch

from star.models.losses.dynamic_frequency_loss import (
    frequency_weights,
    low_pass,
    spectral_distance,
    split_by_magnitude,
    split_frequencies,
)
from star.registry import MODELS


def build(**options):
    return MODELS.build({'type': 'DynamicFrequencyLoss', **options})


def wave(rows, columns, height=16, width=24, amplitude=1.0):
    """A cosine of whole cycles, (1, 1, 1, H, W), with a phase."""
    y, x = torch.meshgrid(
        torch.arange(height), torch.arange(width), indexing='ij'
    )
    phase = rows * y / height + columns * x / width
    clip = amplitude * torch.cos(2 * math.pi * phase + 0.4)
    return clip[None, None, None]


def clips(n=2, height=12, width=10, seed=0):
    generator = torch.Generator().manual_seed(seed)
    return torch.randn(2, n, 3, 2, height, width, generator=generator)


E = math.e


@pytest.mark.parametrize(
    'b, expected',
    [
        ('linear', [1.0, 1 - 500 / 999, 0.0]),
        ('exponential', [1.0, (E ** (499 / 999) - 1) / (E - 1), 0.0]),
        ('constant', [1.0, 1.0, 1.0]),
    ],
)
def test_weight_of_the_loss(b, expected):
    found, _ = frequency_weights(torch.tensor([0, 500, 999]), b=b, beta=0.5)
    np.testing.assert_allclose(found, np.multiply(expected, 0.5), atol=1e-7)


@pytest.mark.parametrize('alpha', [0.25, 1, 2])
def test_weight_of_the_low_band(alpha):
    t = torch.tensor([0, 500, 999])
    expected = np.array([0, (500 / 999) ** alpha, 1])
    _, c = frequency_weights(t, alpha=alpha)
    np.testing.assert_allclose(c, expected, atol=1e-7)
    _, c = frequency_weights(t, alpha=alpha, order='inverse')
    np.testing.assert_allclose(c, 1 - expected, atol=1e-7)


def test_weights_of_a_shorter_schedule():
    b, c = frequency_weights(torch.tensor([0, 5, 10]), num_timesteps=11)
    np.testing.assert_allclose(b, [1, 0.5, 0])
    np.testing.assert_allclose(c, [0, 0.25, 1])


@pytest.mark.parametrize('size', [(8, 8), (7, 9), (12, 5)])
@pytest.mark.parametrize('cutoff', [0.1, 0.25, 0.6])
def test_filters(size, cutoff):
    height, width = size
    rows, columns = np.fft.fftfreq(height), np.fft.rfftfreq(width)
    radius = np.hypot(rows[:, None], columns[None])
    hard = low_pass(height, width, 'radial', cutoff)
    np.testing.assert_array_equal(hard, radius <= cutoff + 1e-6)
    soft = low_pass(height, width, 'gaussian', cutoff)
    np.testing.assert_allclose(
        soft, 0.5 ** ((radius / cutoff) ** 2), rtol=1e-5
    )


@pytest.mark.parametrize(
    'rows, columns, is_low',
    [
        (0, 0, True),
        (2, 3, True),
        (4, 0, True),
        (0, 6, True),
        (3, 5, False),
        (-3, 5, False),
        (8, 0, False),
        (8, 12, False),
    ],
)
def test_a_wave_is_in_one_band(rows, columns, is_low):
    """Of 16 x 24 pixels, 4 and 6 cycles are the cutoff, 0.25 per pixel."""
    clip = wave(rows, columns)
    bands = split_frequencies(clip, cutoff=0.25)
    low, high = (spectral_distance(band, 24, 'l2').item() for band in bands)
    energy = clip.square().mean().item()
    expected = (energy, 0) if is_low else (0, energy)
    assert (low, high) == pytest.approx(expected, abs=1e-6)


def test_gaussian_halves_a_wave_at_the_cutoff():
    clip = wave(0, 6)
    for band in split_frequencies(clip, 'gaussian', 0.25):
        energy = spectral_distance(band, 24, 'l2').item()
        assert energy == pytest.approx(clip.square().mean().item() / 4)


@pytest.mark.parametrize('kind', ['radial', 'gaussian'])
@pytest.mark.parametrize('width', [10, 11])
def test_bands_add_up(kind, width):
    clip = clips(width=width)[0]
    low, high = split_frequencies(clip, kind, 0.2)
    found = torch.fft.irfft2(low + high, s=(12, width), norm='ortho')
    torch.testing.assert_close(found, clip)


@pytest.mark.parametrize('height, width', [(12, 10), (9, 11)])
def test_distance_is_that_of_the_whole_spectrum(height, width):
    """Parseval for l2, numpy's full spectrum for both."""
    clip = clips(3, height, width)[0]
    half = torch.fft.rfft2(clip, norm='ortho')
    square = spectral_distance(half, width, 'l2')
    torch.testing.assert_close(square, clip.square().mean((1, 2, 3, 4)))
    full = np.abs(np.fft.fft2(clip.numpy(), norm='ortho'))
    np.testing.assert_allclose(
        spectral_distance(half, width, 'l1'),
        full.mean((1, 2, 3, 4)),
        rtol=1e-5,
    )


@pytest.mark.parametrize('order', ['direct', 'inverse'])
@pytest.mark.parametrize('norm', ['l1', 'l2'])
def test_loss_of_two_waves(order, norm):
    """Two lines of a spectrum hold a wave; their distances are known."""
    loss = build(order=order, norm=norm, alpha=3, beta=0.8, weight=5)
    gt = clips(1, 16, 24)[0][:, :1, :1]
    pred = gt + wave(1, 2, amplitude=0.3) + wave(7, 9, amplitude=0.1)
    t = torch.tensor([700])
    terms = loss.terms(pred, gt, t)
    low, high = {
        'l1': (0.3 / math.sqrt(16 * 24), 0.1 / math.sqrt(16 * 24)),
        'l2': (0.3**2 / 2, 0.1**2 / 2),
    }[norm]
    b, c = 0.8 * (1 - 700 / 999), (700 / 999) ** 3
    c = c if order == 'direct' else 1 - c
    assert terms['frequency_low'].item() == pytest.approx(low, rel=1e-3)
    assert terms['frequency_high'].item() == pytest.approx(high, rel=1e-3)
    assert terms['frequency_weight'].item() == pytest.approx(b, rel=1e-5)
    expected = 5 * b * (c * low + (1 - c) * high)
    assert terms['loss_frequency'].item() == pytest.approx(expected, rel=1e-3)
    assert loss(pred, gt, t).equal(terms['loss_frequency'])


def test_bands_that_are_not_separated():
    """Then nothing but b(t) and the distance of the clips counts."""
    pred, gt = clips()
    t = torch.tensor([100, 800])
    b, _ = frequency_weights(t)
    for norm in ('l1', 'l2'):
        found = [
            build(separate=False, norm=norm, **options)(pred, gt, t).item()
            for options in (
                {},
                {'cutoff': 0.1},
                {'alpha': 0.5, 'order': 'inverse'},
                {'filter': 'gaussian'},
            )
        ]
        assert found == pytest.approx([found[0]] * 4, rel=1e-5)
    each = (pred - gt).square().mean((1, 2, 3, 4))
    assert found[0] == pytest.approx((b * each).mean().item(), rel=1e-5)


@pytest.mark.parametrize('cutoff', [0.1, 0.3])
@pytest.mark.parametrize('filter', ['radial', 'gaussian'])
def test_equal_weights_give_half_of_the_whole(filter, cutoff):
    """In l1 every line counts psi and 1 - psi, which add up to 1."""
    pred, gt = clips()
    t = torch.tensor([500, 500])
    alpha = math.log(0.5) / math.log(500 / 999)  # c(500) = 1 / 2
    options = {'filter': filter, 'cutoff': cutoff, 'alpha': alpha}
    parts = build(**options)(pred, gt, t)
    whole = build(separate=False, **options)(pred, gt, t)
    assert parts.item() == pytest.approx(whole.item() / 2, rel=1e-5)


@pytest.mark.parametrize('filter', ['radial', 'gaussian', 'official'])
def test_each_clip_has_its_own_weights(filter):
    pred, gt = clips()
    t = torch.tensor([50, 850])
    loss = build(filter=filter)
    single = [
        loss(pred[i : i + 1], gt[i : i + 1], t[i : i + 1]).item()
        for i in range(2)
    ]
    assert abs(single[0] - single[1]) > 0.1 * max(single)
    assert loss(pred, gt, t).item() == pytest.approx(np.mean(single))


def numpy_official(pred, gt, t):
    """The released formula for one clip, with the exact percentile."""
    bands = []
    for clip in (pred, gt):
        spectrum = np.fft.rfft2(clip.astype(np.float64))
        magnitude = np.abs(spectrum)
        cutoff = np.quantile(magnitude, 0.8, method='lower')
        with np.errstate(over='ignore'):
            low = 1 / (1 + np.exp(-10 * (cutoff - magnitude)))
        bands.append((spectrum * low, spectrum * (1 - low)))
    distances = []
    for ours, other in zip(*bands, strict=True):
        error = ours - other
        parts = np.stack([error.real, error.imag])
        distances.append(np.abs(parts).mean())
    c = (t / 999) ** 2
    mixed = c * distances[0] + (1 - c) * distances[1]
    return (1 - t / 999) * 0.01 * mixed


@pytest.mark.parametrize('t', [0, 400, 900])
def test_released_formula(t):
    pred, gt = clips(1, 13, 18)
    found = build(filter='official')(pred, gt, torch.tensor([t]))
    expected = numpy_official(pred.numpy(), gt.numpy(), t)
    assert found.item() == pytest.approx(expected, rel=1e-4)


def test_released_split_is_upside_down():
    """Of a picture, whose magnitudes fall as 1 / f, 'low' is the detail."""
    rows, columns = torch.fft.fftfreq(64), torch.fft.rfftfreq(64)
    radius = torch.hypot(rows[:, None], columns[None]).clamp(min=1 / 64)
    noise = torch.fft.rfft2(clips(1, 64, 64)[0])
    picture = torch.fft.irfft2(noise / noise.abs() / radius * 20)
    low, high = (x.abs().square() for x in split_by_magnitude(picture))
    share = low / (low + high)
    assert share[..., radius < 0.2].max() < 0.01
    assert share[..., radius > 0.6].min() > 0.99


def test_gradient_of_mean_square():
    pred, gt = clips()
    pred.requires_grad_(True)
    t = torch.tensor([0, 999])
    build(separate=False, norm='l2')(pred, gt, t).backward()
    expected = 2 * (pred.detach() - gt) / pred.numel()
    expected[1] = 0  # b is 0 at the last timestep
    torch.testing.assert_close(pred.grad, expected)


@pytest.mark.parametrize('filter', ['radial', 'gaussian', 'official'])
def test_gradient_leads_to_the_ground_truth(filter):
    pred, gt = clips()
    pred.requires_grad_(True)
    loss = build(filter=filter, cutoff=0.2)
    t = torch.tensor([300, 600])
    before = loss(pred, gt, t)
    before.backward()
    step = 0.05 * before.detach() / pred.grad.square().sum()
    after = loss(pred.detach() - step * pred.grad, gt, t)
    assert after.item() == pytest.approx(0.95 * before.item(), rel=0.02)


def test_gradient_is_finite_where_nothing_differs():
    pred = clips()[0].requires_grad_(True)
    loss = build()(pred, pred.detach(), torch.tensor([1, 2]))
    loss.backward()
    assert loss.item() == 0
    assert not pred.grad.any()


def test_float32_even_under_autocast():
    pred, gt = clips()
    t = torch.tensor([10, 500])
    expected = build()(pred, gt, t)
    with torch.autocast('cpu', dtype=torch.bfloat16):
        assert torch.equal(build()(pred, gt, t), expected)
        found = build()(pred.bfloat16(), gt, t)
    assert found.dtype == torch.float32
    assert found.item() == pytest.approx(expected.item(), rel=1e-2)


@pytest.mark.parametrize(
    'options, message',
    [
        ({'b': 'cubic'}, "`b` must be one of .* 'cubic'"),
        ({'order': 'none'}, '`order` must be one of'),
        ({'filter': 'box'}, '`filter` must be one of'),
        ({'norm': 'l3'}, '`norm` must be one of'),
        ({'norm': 'l2', 'filter': 'official'}, "`norm` must be 'l1'"),
        ({'alpha': 0}, '`alpha` must be above 0, got 0'),
        ({'beta': -1}, '`beta` must not be negative, got -1'),
        ({'cutoff': 0}, '`cutoff` must lie between'),
        ({'cutoff': 0.8}, '`cutoff` must lie between'),
        ({'num_timesteps': 1}, '`num_timesteps` must be at least 2'),
    ],
)
def test_wrong_options(options, message):
    with pytest.raises(ValueError, match=message):
        build(**options)
