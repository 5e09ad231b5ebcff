from collections import Counter

import pytest
import torch

from star.models.editors.star.random_state import ClipRandom

CPU = torch.device('cpu')
SHAPE = torch.Size([2, 3])


def test_a_seed_gives_the_same_numbers():
    a, b, c = ClipRandom(7, CPU), ClipRandom(7, CPU), ClipRandom(8, CPU)
    assert torch.equal(a.noise(SHAPE), b.noise(SHAPE))
    assert not torch.equal(a.noise(SHAPE), c.noise(SHAPE))
    numbers = [[d.integer(10**6) for _ in range(3)] for d in (a, b, c)]
    assert numbers[0] == numbers[1] != numbers[2]


def test_sources_do_not_disturb_one_another():
    """Noise does not depend on whether the posterior was drawn."""
    a, b = ClipRandom(7, CPU), ClipRandom(7, CPU)
    posterior = torch.randn(SHAPE, generator=a.posterior)
    a.integer(5)
    noise = a.noise(SHAPE)
    assert torch.equal(noise, b.noise(SHAPE))
    assert not torch.equal(noise, posterior)


def test_without_a_seed_the_global_state_decides():
    torch.manual_seed(3)
    a, other = ClipRandom(None, CPU), ClipRandom(None, CPU)
    torch.manual_seed(3)
    b = ClipRandom(None, CPU)
    noise = a.noise(SHAPE)
    assert torch.equal(noise, b.noise(SHAPE))
    assert not torch.equal(noise, other.noise(SHAPE))


def test_integers_are_uniform():
    draws = ClipRandom(0, CPU)
    counts = Counter(draws.integer(4) for _ in range(4000))
    assert sorted(counts) == [0, 1, 2, 3]
    assert all(900 < count < 1100 for count in counts.values())


def test_noise_is_normal():
    noise = ClipRandom(0, CPU).noise(torch.Size([10000]))
    assert noise.mean().item() == pytest.approx(0, abs=0.05)
    assert noise.std().item() == pytest.approx(1, abs=0.05)


@pytest.mark.parametrize('margin', [0, 1, 2, 9])
def test_crops(margin):
    """All of one size, inside the axis, every start as likely."""
    draws = ClipRandom(1, CPU)
    starts = Counter()
    for _ in range(700):
        crop = draws.crop(9, 3, margin)
        decoded, kept = crop.decoded, crop.kept
        assert 0 <= decoded.start < decoded.stop <= 9
        assert decoded.stop - decoded.start == min(3 + 2 * margin, 9)
        assert kept.stop - kept.start == 3
        start = decoded.start + kept.start
        starts[start] += 1
        inner = min(margin, start, 9 - start - 3)
        assert kept.start >= inner  # no less context than there is
        assert decoded.stop - (start + 3) >= inner
    assert sorted(starts) == list(range(7))
    assert min(starts.values()) > 60


def test_crop_in_pixels():
    crop = ClipRandom(1, CPU).crop(9, 3, 1)
    clip, inner = crop.pixels(4)
    start = crop.decoded.start + crop.kept.start
    assert (clip.start, clip.stop) == (4 * start, 4 * (start + 3))
    assert inner.start == 4 * crop.kept.start
    assert inner.stop - inner.start == 12


def test_crop_of_a_whole_axis():
    for size in (None, 9, 20):
        crop = ClipRandom(1, CPU).crop(9, size, 2)
        assert crop.decoded == crop.kept == slice(0, 9)
