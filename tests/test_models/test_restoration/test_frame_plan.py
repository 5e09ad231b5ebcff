from types import SimpleNamespace

import pytest
import torch

from star.models.restoration.frame_plan import plan_frames
from star.models.restoration.limits import Limits
from star.models.restoration.options import RestoreOptions

AUTOENCODER = SimpleNamespace(downsample=8)
DIT = SimpleNamespace(
    size_multiple=(2, 2), size_remainder=(0, 0), limits=Limits()
)
ONE_SCALE = SimpleNamespace(**{**vars(DIT), 'limits': Limits(scale=4)})


def plan(height, width, **options):
    frame = torch.zeros(3, height, width, dtype=torch.uint8)
    return plan_frames(frame, RestoreOptions(**options), AUTOENCODER, DIT)


@pytest.mark.parametrize(
    'size, scale, output, latents',
    [
        ((120, 180), 4, (480, 720), (60, 90)),
        ((121, 181), 4, (484, 724), (62, 92)),
        ((33, 47), 1, (33, 47), (6, 6)),
        ((1, 1), 4, (4, 4), (2, 2)),
    ],
)
def test_sizes(size, scale, output, latents):
    found = plan(*size, scale=scale)
    assert (found.size, found.latent_size) == (output, latents)
    x = torch.rand(2, 3, *output)
    padded = found.pad(x)
    assert padded.shape[-2:] == (8 * latents[0], 8 * latents[1])
    assert torch.equal(found.crop(padded), x)
    # the edge is repeated
    assert torch.equal(padded[..., -1, -1], x[..., -1, -1])


def test_a_backbone_for_one_scale():
    frame = torch.zeros(3, 6, 8, dtype=torch.uint8)
    options = RestoreOptions(scale=2)
    found = plan_frames(frame, options, AUTOENCODER, ONE_SCALE)
    assert (found.size, found.output_size) == ((24, 32), (12, 16))
    found = plan_frames(frame, RestoreOptions(), AUTOENCODER, ONE_SCALE)
    assert found.size == found.output_size == (24, 32)


def corners(tiles):
    return [(t.top, t.bottom, t.left, t.right) for t in tiles]


def test_tiles_of_the_trained_size():
    options = {'scale': 4, 'tile': (480, 720), 'tile_overlap': 128}
    assert corners(plan(120, 180, **options).tiles) == [(0, 60, 0, 90)]
    # 270 x 480 enlarged: 1080 x 1920, padded to 1088 x 1920
    tiles = plan(270, 480, **options).tiles
    assert {t.bottom - t.top for t in tiles} == {60}
    assert {t.right - t.left for t in tiles} == {90}
    assert len(tiles) == 3 * 4
    total = torch.zeros(136, 240)
    for t in tiles:
        total[t.top : t.bottom, t.left : t.right] += t.weight
    torch.testing.assert_close(total, torch.ones(136, 240))


def test_a_side_is_for_both_axes():
    square = plan(270, 480, tile=256, tile_overlap=64).tiles
    pair = plan(270, 480, tile=(256, 256), tile_overlap=64).tiles
    assert corners(square) == corners(pair)


def test_what_cannot_be_planned():
    with pytest.raises(ValueError, match=r'`tile` \(8, 480\) does not fit'):
        plan(270, 480, tile=(8, 480), tile_overlap=7)
    with pytest.raises(ValueError, match=r'`scale` 0\.01 makes 8x6 vanish'):
        plan(6, 8, scale=0.01)
    with pytest.raises(ValueError, match=r'must be \(3, h, w\) uint8'):
        frame = torch.zeros(3, 4, 4)
        plan_frames(frame, RestoreOptions(), AUTOENCODER, DIT)
