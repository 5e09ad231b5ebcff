"""Results that share frames are faded or trimmed into one clip."""

import pytest
import torch

from star.video.blending import WindowJoiner, fade, fade_pieces


def windows(length, size, overlap, shift=0.0):
    """Cut 0, 1, 2 ...; window number i is `i * shift` brighter."""
    clip = torch.arange(float(length)).view(-1, 1, 1, 1)
    start, number = 0, 0
    while True:
        last = start + size >= length
        yield clip[start : start + size] + number * shift, last
        if last:
            return
        start, number = start + size - overlap, number + 1


def joined(*args, blend, **kwargs):
    overlap = args[2]
    pieces, joiner = [], WindowJoiner(overlap, blend)
    for window, last in windows(*args, **kwargs):
        pieces.append(joiner.join(window, last))
        # as a later run goes on
        joiner = WindowJoiner(overlap, blend, True, joiner.earlier)
    assert all(len(piece) for piece in pieces)
    return torch.cat(pieces).flatten()


@pytest.mark.parametrize('blend', ['fade', 'trim'])
@pytest.mark.parametrize('overlap', [0, 1, 2, 3])
@pytest.mark.parametrize('length', [1, 3, 4, 5, 6, 11, 12])
def test_every_frame_once(blend, overlap, length):
    clip = joined(length, 4, overlap, blend=blend)
    assert (clip - torch.arange(length)).abs().max() < 1e-6


def test_fades_linearly():
    shift = joined(12, 6, 3, 1.0, blend='fade') - torch.arange(12)
    ramp = [0.25, 0.5, 0.75]
    expected = [0, 0, 0, *ramp, *(1 + each for each in ramp), 2, 2, 2]
    assert shift.tolist() == pytest.approx(expected)


@pytest.mark.parametrize(
    ('overlap', 'expected'),
    [(2, [0, 0, 0, 1, 1, 2, 2]), (3, [0, 0, 1, 2, 3, 3, 3])],
)
def test_trims_in_the_middle(overlap, expected):
    clip = joined(7, 4, overlap, 1.0, blend='trim')
    assert (clip - torch.arange(7)).tolist() == expected


def test_fade():
    earlier, later = torch.zeros(1, 1, 3, 1, 1), torch.ones(1, 1, 5, 1, 1)
    out = fade(earlier, later, 2).flatten().tolist()
    assert out == pytest.approx([0.25, 0.5, 0.75, 1, 1])
    assert later.min() == 1  # the argument is left alone
    assert fade(earlier[:, :, :0], later, 2).flatten().tolist() == [1] * 5


@pytest.mark.parametrize('sizes', [[5], [1, 4], [3, 2], [1, 1, 1, 2], [2, 8]])
def test_faded_pieces(sizes):
    earlier = torch.zeros(1, 1, 3, 1, 1)
    clip = torch.ones(1, 1, sum(sizes), 1, 1)
    out = list(fade_pieces(earlier, iter(clip.split(sizes, 2)), 5))
    assert all(piece.shape[2] for piece in out)
    joined = torch.cat(out, dim=2)
    torch.testing.assert_close(joined, fade(earlier, clip, 2)[:, :, :5])
    out = list(fade_pieces(None, iter(clip.split(sizes, 2)), 4))
    assert torch.equal(torch.cat(out, dim=2), clip[:, :, :4])
