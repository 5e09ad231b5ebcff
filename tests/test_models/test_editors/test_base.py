"""Baselines restore with the methods and options of a STARModel."""

import pytest
import torch
from torch import Tensor

from star.models.editors import Baseline, Recipe
from star.models.restoration.options import RestoreOptions
from tests.test_models.fakes import Listener, random_clip


class Repeater(Baseline):
    """Repeats pixels; notes how many frames it was given."""

    def __init__(self, window: int = 2, any_scale: bool = False) -> None:
        super().__init__(Recipe(2, window), any_scale=any_scale)
        self.given: list[int] = []

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        self.given.append(len(frames))
        factor = size[0] // frames.shape[-2]
        return frames.repeat_interleave(factor, -1).repeat_interleave(
            factor, -2
        )


def clip(frames: int = 5) -> Tensor:
    return random_clip(frames, 6, 8)


def test_restores_in_windows_and_reports():
    model, listener = Repeater(), Listener()
    out = model.restore(clip(), events=listener)
    assert torch.equal(out[:, :, ::2, 1::2], clip())
    assert model.given == [2, 2, 1]
    assert listener.told == [
        ('decode', 2, 5),
        ('decode', 4, 5),
        ('decode', 5, 5),
    ]


def test_streams_take_no_more_than_a_window():
    taken = 0

    def frames():
        nonlocal taken
        for frame in clip():
            taken += 1
            yield frame

    pieces = Repeater().restore_stream(frames())
    assert next(pieces).shape == (2, 3, 12, 16)
    assert taken == 3  # one more, to know the last window


def test_scale_is_the_methods_own_or_any():
    options = RestoreOptions(scale=4)
    with pytest.raises(ValueError, match='`scale` must be 2 for Repeater'):
        Repeater().restore(clip(), options)
    out = Repeater(any_scale=True).restore(clip(), options)
    assert out.shape == (5, 3, 24, 32)


@pytest.mark.parametrize(
    'lq', [clip()[0], clip()[:0], clip().float()], ids=['3d', 'none', 'float']
)
def test_refuses_clips(lq: Tensor):
    with pytest.raises(ValueError, match='`lq` must be'):
        Repeater().restore(lq)


def test_refuses_wrong_use():
    with pytest.raises(ValueError, match='`window` must be at least 1'):
        Repeater(window=0)
    with pytest.raises(ValueError, match=r'a frame must be .3, h, w. uint8'):
        list(Repeater().restore_stream(clip().float()))
    with pytest.raises(ValueError, match='all frames must have one shape'):
        list(Repeater().restore_stream([clip()[0], clip()[0, :, :4]]))


class Neighbours(Baseline):
    """Averages each frame with its neighbours; the ends stand for more."""

    def __init__(
        self,
        blend: str = 'trim',
        window: int | None = None,
        overlap: int | None = None,
    ) -> None:
        super().__init__(Recipe(1, 5, 2, blend), window, overlap)

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        padded = torch.cat([frames[:1], frames, frames[-1:]]).int()
        mean = (padded[:-2] + padded[1:-1] + padded[2:]) // 3
        return mean.to(torch.uint8)


@pytest.mark.parametrize('length', [1, 2, 4, 5, 6, 9, 12])
def test_trimmed_windows_are_exact(length: int):
    lq = clip(length)
    whole = Neighbours(window=99).restore(lq)
    assert torch.equal(Neighbours().restore(lq), whole)
    assert torch.equal(Neighbours(window=3).restore(lq), whole)


def test_faded_windows_are_nearer_than_cut_ones():
    lq = clip(40)
    whole = Neighbours(window=99).restore(lq).int()
    errors = [
        (Neighbours('fade', overlap=n).restore(lq) - whole).abs().sum()
        for n in (0, 2)
    ]
    assert 0 < errors[1] < 0.9 * errors[0]


def test_overlaps_that_were_not_asked_for():
    assert Neighbours('fade', window=2).restore_options.overlap == 1
    assert Neighbours('fade', window=9).restore_options.overlap == 2
    assert Neighbours('trim', window=3).restore_options.overlap == 2
    assert 'overlap' in Neighbours().options_used
    assert 'overlap' not in Repeater().options_used
    rule = '`window` must be at least 3 and `overlap` at least 2 for Neighb'
    for window, overlap in ((2, None), (5, 1)):
        with pytest.raises(ValueError, match=rule):
            Neighbours(window=window, overlap=overlap)


def test_describes_its_recipe():
    model = Neighbours(window=7)
    facts = model.describe_options(model.restore_options)
    assert facts == {
        'scale': 1,
        'window': 7,
        'overlap': 2,
        'blend': 'trim',
        'size_multiple': 1,
        'min_size': 1,
        'pad': 'reflect',
        'licence': '',
        'source': '',
    }
