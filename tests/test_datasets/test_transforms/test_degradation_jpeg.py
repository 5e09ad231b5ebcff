import cv2
import numpy as np
import pytest
import torch
from scipy.fft import dctn, idctn

from star.datasets.transforms.degradation_jpeg import diff_jpeg, libjpeg

# luma of Annex K, read down the columns as DiffJPEG does
TABLE = np.array(
    [
        [16, 12, 14, 14, 18, 24, 49, 72],
        [11, 12, 13, 17, 22, 35, 64, 92],
        [10, 14, 16, 22, 37, 55, 78, 95],
        [16, 19, 24, 29, 56, 64, 87, 98],
        [24, 26, 40, 51, 68, 81, 103, 112],
        [40, 58, 57, 87, 109, 104, 121, 100],
        [51, 60, 69, 80, 103, 113, 120, 103],
        [61, 55, 56, 62, 77, 92, 101, 99],
    ]
)


def draw_gray(height: int, width: int) -> np.ndarray:
    rng = np.random.default_rng(3)
    image = rng.uniform(0.2, 0.8, (height // 4, width // 4))
    return np.kron(image, np.ones((4, 4))).astype(np.float32)


@pytest.mark.parametrize(('quality', 'factor'), [(30, 5 / 3), (80, 0.4)])
def test_gray_blocks_against_scipy(quality, factor):
    gray = draw_gray(16, 32)
    expected = np.empty_like(gray)
    for y in range(0, 16, 8):
        for x in range(0, 32, 8):
            block = gray[y : y + 8, x : x + 8] * 255 - 128
            code = np.rint(dctn(block, norm='ortho') / (TABLE * factor))
            pixels = idctn(code * TABLE * factor, norm='ortho') + 128
            expected[y : y + 8, x : x + 8] = pixels.clip(0, 255) / 255
    clip = torch.from_numpy(gray).expand(1, 3, 16, 32)
    result = diff_jpeg(clip, torch.tensor([float(quality)]))
    # the colour matrices cancel to about 1e-6
    for channel in result[0]:
        np.testing.assert_allclose(channel, expected, atol=1e-5)


def test_each_frame_has_its_quality():
    clip = torch.rand(2, 3, 20, 24, generator=torch.manual_seed(0))
    quality = torch.tensor([35.0, 90.0])
    both = diff_jpeg(clip, quality)
    for index in range(2):
        one = diff_jpeg(clip[index : index + 1], quality[index : index + 1])
        torch.testing.assert_close(both[index : index + 1], one)
    assert quality.tolist() == [35.0, 90.0]


def test_libjpeg_is_the_standard_one():
    """Colours in their order, frames as the library codes them."""
    rng = np.random.default_rng(0)
    image = cv2.resize(rng.integers(0, 256, (5, 6, 3), np.uint8), (46, 37))
    bgr = np.ascontiguousarray(image[..., ::-1])
    _, code = cv2.imencode('.jpg', bgr, [cv2.IMWRITE_JPEG_QUALITY, 71])
    expected = cv2.imdecode(code, cv2.IMREAD_COLOR)[..., ::-1]
    clip = torch.from_numpy(image).permute(2, 0, 1)[None] / 255
    result = libjpeg(clip, np.array([71.4]))[0].permute(1, 2, 0) * 255
    np.testing.assert_array_equal(result.round().numpy(), expected)
