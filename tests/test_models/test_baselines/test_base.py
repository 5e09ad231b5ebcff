"""Baselines restore with the methods and options of a STARModel."""

import pytest
import torch
from torch import Tensor

from star.models.baselines import Baseline
from star.structures import RestoreOptions, VideoSample


class Repeater(Baseline):
    """Repeats pixels; notes how many frames it was given."""

    def __init__(self, chunk: int = 2, any_scale: bool = False) -> None:
        super().__init__(2, chunk, any_scale)
        self.given: list[int] = []

    def enlarge(self, frames: Tensor, size: tuple[int, int]) -> Tensor:
        self.given.append(len(frames))
        factor = size[0] // frames.shape[-2]
        return frames.repeat_interleave(factor, -1).repeat_interleave(
            factor, -2
        )


def clip(frames: int = 5) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    shape = (frames, 3, 6, 8)
    return torch.randint(0, 256, shape, generator=generator).to(torch.uint8)


def test_restores_in_chunks_and_reports():
    model, seen = Repeater(), []
    out = model.restore(clip(), progress=lambda *args: seen.append(args))
    assert torch.equal(out[:, :, ::2, 1::2], clip())
    assert model.given == [2, 2, 1]
    assert seen == [('decode', 2, 5), ('decode', 4, 5), ('decode', 5, 5)]


def test_predict_and_forward_equal_restore():
    model = Repeater()
    samples = [VideoSample(prompt='a boat'), VideoSample()]
    clips = [clip(3), clip(1)]
    for result in (model.predict(clips, samples), model(clips, samples)):
        for sample, lq in zip(result, clips, strict=True):
            assert torch.equal(sample.pred, model.restore(lq))


def test_streams_take_no_more_than_a_chunk():
    taken = 0

    def frames():
        nonlocal taken
        for frame in clip():
            taken += 1
            yield frame

    pieces = Repeater().restore_stream(frames())
    assert next(pieces).shape == (2, 3, 12, 16)
    assert taken == 2


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
    with pytest.raises(ValueError, match="`mode` must be 'predict'"):
        Repeater()([clip()], [VideoSample()], mode='loss')
    with pytest.raises(ValueError, match='`chunk` must be at least 1'):
        Repeater(chunk=0)
    with pytest.raises(ValueError, match='`strength`'):
        Repeater().restore(clip(), RestoreOptions(scale=2, strength=2))
