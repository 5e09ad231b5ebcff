import pytest
import torch
from torch import Tensor

from star.video.canvas import plan_canvas


def waves(height: int, width: int) -> Tensor:
    rows = torch.arange(height)[:, None] / height
    columns = torch.arange(width) / width
    return ((3 * rows).sin() * (2 * columns).cos()).expand(2, 3, -1, -1)


@pytest.mark.parametrize('official', [False, True])
@pytest.mark.parametrize('size', [(9, 11), (128, 129), (61, 80), (98, 98)])
def test_what_is_prepared_and_finished_is_the_enlarged_frame(size, official):
    canvas = plan_canvas(size, official=official)
    clip = waves(*size)
    padded = canvas.prepare(clip)
    assert padded.shape == (2, 3, *canvas.padded)
    assert all(side % 32 == 0 and side >= 512 for side in canvas.padded)
    out = canvas.finish(padded)
    assert out.shape == (2, 3, 4 * size[0], 4 * size[1])
    expected = torch.nn.functional.interpolate(
        clip, scale_factor=4, mode='bicubic'
    )
    inner = (..., slice(2, -2), slice(2, -2))
    error = (out - expected)[inner].abs().max()
    # the script's two ratios are not quite the same
    assert error < (0.02 if official else 0.01)


def test_pads_a_side_only_where_it_must():
    assert plan_canvas((180, 320)).padded == (736, 1280)
    assert plan_canvas((180, 320), official=True).padded == (736, 1312)
    assert plan_canvas((128, 160), official=True).padded == (512, 640)


@pytest.mark.parametrize('official', [False, True])
def test_every_size_has_its_result(official):
    for height in range(1, 40):
        for width in range(1, 40, 3):
            canvas = plan_canvas((height, width), 4, 64, official)
            if max(canvas.padded) < 200:
                frames = torch.zeros(1, 1, *canvas.padded)
                out = canvas.finish(frames)
                assert out.shape[-2:] == (4 * height, 4 * width)


def test_the_least_side_is_a_setting():
    canvas = plan_canvas((9, 11), least=64)
    assert canvas.padded == (64, 96)
    assert canvas.enlarged == (64, 78)
