import numpy as np
import pytest
import torch
from PIL import Image

from star.models.data_preprocessor import (
    VideoDataPreprocessor,
    check_frame,
    to_float,
    to_pixels,
    to_uint8,
    upsample_clip,
)
from star.structures import VideoSample
from tests.test_models.fakes import random_clip


def test_range_both_ways():
    levels = torch.arange(256, dtype=torch.uint8)
    x = to_float(levels)
    assert x[[0, 255]].tolist() == [-1, 1]
    assert torch.equal(to_uint8(x), levels)
    assert torch.equal(to_uint8(x.double()), levels)
    step = 2 / 255
    assert torch.equal(to_uint8(x + 0.49 * step), levels)
    assert to_uint8(torch.tensor([-7.0, 7.0])).tolist() == [0, 255]


def test_range_of_16_bits_both_ways():
    levels = torch.arange(65536, dtype=torch.int32).to(torch.uint16)
    x = to_float(levels)
    assert x[[0, 65535]].tolist() == [-1, 1]
    assert torch.equal(to_pixels(x, torch.uint16), levels)
    bytes_ = torch.arange(256, dtype=torch.uint8)
    same = to_float((bytes_.int() * 257).to(torch.uint16))
    assert torch.allclose(same, to_float(bytes_), rtol=0, atol=1e-7)
    ends = to_pixels(torch.tensor([-7.0, 7.0]), torch.uint16)
    assert ends.tolist() == [0, 65535]


def test_frames_are_pixels():
    for dtype in (torch.uint8, torch.uint16):
        check_frame(torch.zeros(3, 4, 5, dtype=dtype))
    for wrong in (torch.zeros(3, 4, 5), torch.zeros(3, 4).byte()):
        with pytest.raises(ValueError, match=r'must be \(3, h, w\) uint8'):
            check_frame(wrong)


@pytest.mark.parametrize(
    'mode, kernel', [('bilinear', 'BILINEAR'), ('bicubic', 'BICUBIC')]
)
def test_enlargement_is_pillows(mode, kernel):
    """Pillow's bicubic has a = -0.5, torch's -0.75: near, not equal."""
    lq = random_clip(2, 9, 7)
    out = to_uint8(upsample_clip(to_float(lq), (36, 21), mode)).float()
    for frame, got in zip(lq, out, strict=True):
        image = Image.fromarray(frame.permute(1, 2, 0).numpy())
        image = image.resize((21, 36), getattr(Image.Resampling, kernel))
        expected = torch.from_numpy(np.array(image)).permute(2, 0, 1)
        worst = 1 if mode == 'bilinear' else 45
        assert (got - expected.float()).abs().max() <= worst
        assert (got - expected.float()).mean().abs() < 0.3


def test_enlargement_stays_in_range():
    step = torch.full((1, 3, 8, 8), -1.0)
    step[..., 4:] = 1
    out = upsample_clip(step, (32, 32))
    assert (out.min(), out.max()) == (-1, 1)
    assert upsample_clip(step, (8, 8)) is step


@pytest.mark.parametrize('scale', [1, 4])
def test_training_batch(scale):
    clips = [random_clip(3, 4, 6, seed=i) for i in range(2)]
    samples = [VideoSample(name='a'), VideoSample(name='b')]
    preprocessor = VideoDataPreprocessor(scale=scale)
    data = {'inputs': clips, 'data_samples': samples}
    batch = preprocessor(data, training=True)
    assert batch['data_samples'] is samples
    inputs = batch['inputs']
    assert inputs.shape == (2, 3, 3, 4 * scale, 6 * scale)
    for clip, x in zip(clips, inputs, strict=True):
        size = (4 * scale, 6 * scale)
        expected = upsample_clip(clip / 127.5 - 1, size).transpose(0, 1)
        torch.testing.assert_close(x, expected)
    assert preprocessor(data) is data


def test_stack():
    clips = [random_clip(3, 4, 6, seed=i) for i in range(2)]
    samples = [VideoSample(gt=clip) for clip in clips]
    x = VideoDataPreprocessor().stack(samples, 'gt')
    assert x.shape == (2, 3, 3, 4, 6)
    assert torch.equal(to_uint8(x[1]).transpose(0, 1), clips[1])


def test_wrong_options():
    with pytest.raises(ValueError, match='`scale` must be at least 1, got 0'):
        VideoDataPreprocessor(scale=0)
    with pytest.raises(ValueError, match=r"`upsample` .*'nearest'"):
        VideoDataPreprocessor(upsample='nearest')
    with pytest.raises(ValueError, match=r"`upsample` .*'area'"):
        upsample_clip(torch.zeros(1, 3, 2, 2), (4, 4), 'area')
