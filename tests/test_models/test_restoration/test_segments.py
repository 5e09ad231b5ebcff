import pytest
import torch

from star.models.restoration.segments import (
    frame_generator,
    frame_noise,
    lengthen,
    segments,
)


def cut(length, size, overlap):
    """Indices of the frames of each segment, and their starts and ends."""
    frames = [torch.tensor([i]) for i in range(length)]
    return [
        (start, clip.flatten().tolist(), last)
        for start, clip, last in segments(
            frames[0], iter(frames[1:]), size, overlap
        )
    ]


@pytest.mark.parametrize('size, overlap', [(1, 0), (4, 0), (4, 1), (4, 3)])
def test_segments_cover_the_stream(size, overlap):
    for length in range(1, 20):
        parts = cut(length, size, overlap)
        assert [last for *_, last in parts] == [False] * (len(parts) - 1) + [
            True
        ]
        kept = []
        for start, frames, last in parts:
            assert frames == list(range(start, start + len(frames)))
            assert len(frames) == size or (last and len(frames) <= size)
            assert len(frames) > overlap or len(parts) == 1
            kept += frames if last else frames[: size - overlap]
        assert kept == list(range(length))


def test_segments_read_no_further_than_they_must():
    read = []

    def frames():
        for i in range(1, 100):
            read.append(i)
            yield torch.tensor([i])

    parts = segments(torch.tensor([0]), frames(), 5, 2)
    next(parts)
    assert read[-1] == 5  # one more, to know that it is not the last
    next(parts)
    assert read[-1] == 8


def test_a_frame_unlike_the_first_is_refused():
    frames = [torch.zeros(3, 4, 5)] * 2
    with pytest.raises(ValueError, match=r'\(3, 4, 5\).*\(3, 5, 4\)'):
        list(segments(frames[0], iter([torch.zeros(3, 5, 4)]), 8, 0))
    with pytest.raises(ValueError, match=r'float32 and .*float64'):
        list(segments(frames[0], iter([frames[1].double()]), 8, 0))


@pytest.mark.parametrize('length, wanted', [(1, 1), (2, 5), (5, 5), (6, 9)])
def test_lengthen(length, wanted):
    clip = torch.arange(length)
    out = lengthen(clip, 4).tolist()
    assert out == [*range(length), *[length - 1] * (wanted - length)]
    assert torch.equal(lengthen(clip, 1), clip)


def test_noise_belongs_to_the_latents_frames():
    """A segment of 16 frames later shares all latents but the last four."""
    whole = frame_noise(7, 2, 0, torch.Size((1, 4, 11, 8, 9)), step=4)
    part = frame_noise(7, 2, 16, torch.Size((1, 4, 7, 8, 9)), step=4)
    assert torch.equal(part, whole[:, :, 4:])
    assert torch.equal(
        part[:, :, :1], frame_noise(7, 2, 16, part[:, :, :1].shape)
    )


def test_noise_belongs_to_the_frame():
    whole = frame_noise(7, 2, 0, torch.Size((1, 4, 6, 8, 9)))
    part = frame_noise(7, 2, 2, torch.Size((1, 4, 3, 8, 9)))
    assert torch.equal(part, whole[:, :, 2:5])


def test_noise_is_standard_normal_and_independent():
    shape = torch.Size((1, 4, 8, 32, 32))
    draws = [frame_noise(s, d, 0, shape) for s in (0, 1) for d in (0, 1)]
    flat = torch.stack([d[:, :, i].flatten() for d in draws for i in range(8)])
    assert flat.mean(1).abs().max() < 0.08  # 5 deviations of the mean
    assert (flat.std(1) - 1).abs().max() < 0.06
    correlation = torch.corrcoef(flat) - torch.eye(len(flat))
    assert correlation.abs().max() < 0.08


def test_every_seed_counts():
    seeds = [0, 1, 2**16, 2**31, 2**32 - 1]
    values = {
        torch.randn(1, generator=frame_generator(s, 3, 5)).item()
        for s in seeds
    }
    assert len(values) == len(seeds)
    # -1 is the draw of the autoencoder's posterior
    numbers = {
        frame_generator(9, draw, frame).initial_seed()
        for draw in range(-1, 20)
        for frame in range(1000)
    }
    assert len(numbers) == 21 * 1000
