import json

import numpy as np
import pytest
import torch
from torch import Tensor

from star.datasets.transforms import degradation_ops as ops
from star.datasets.transforms.blur_kernels import blur_kernel, sinc_kernel
from star.datasets.transforms.degradation_jpeg import diff_jpeg
from tests.test_reference.vectors import (
    Vector,
    each_vector,
    find_vectors,
    thin,
)


def to_clip(image: np.ndarray) -> Tensor:
    """Turn 8-bit images (N, H, W, C) or one into a clip in [0, 1]."""
    frames = image[None] if image.ndim == 3 else image
    return torch.from_numpy(frames).permute(0, 3, 1, 2).float() / 255


def make_kernel(case: dict) -> np.ndarray:
    if case['type'] == 'sinc':
        kernel = sinc_kernel(case['size'], case['cutoff'])
    else:
        sigma = case['sig_x'], case.get('sig_y', case['sig_x'])
        theta, beta = case.get('theta', 0.0), case.get('beta', 1.0)
        kernel = blur_kernel(case['type'], case['size'], sigma, theta, beta)
    return np.pad(kernel, max(0, case.get('pad_to', 0) - len(kernel)) // 2)


def close(found: Tensor, vector: Vector, key: str, tolerance: float) -> None:
    np.testing.assert_allclose(
        thin(found, vector), vector[key], rtol=0, atol=tolerance
    )


def test_every_file_is_read():
    names = ('kernels', 'usm', 'filter2d', 'resize', 'diffjpeg', 'chain')
    read = [set(find_vectors(f'degradation/{name}*.npz')) for name in names]
    assert all(read)
    assert set.union(*read) == set(find_vectors('degradation/*.npz'))


@each_vector('degradation/kernels*.npz')
def test_kernels(path):
    data = np.load(path)
    cases = json.loads(str(data['cases_json']))
    assert len(cases) == len(data.files) - 1
    for index, case in enumerate(cases):
        kernel = make_kernel(case)
        expected = data[f'k{index:02d}']
        assert np.abs(kernel - expected).max() < 1e-10, case


@each_vector('degradation/usm*.npz')
def test_sharpening(path):
    data = np.load(path)
    clip = to_clip(data['image_u8_hwc'])
    weight, threshold = float(data['weight']), float(data['threshold'])
    default = ops.sharpen(clip, weight, threshold)[0]
    close(default, data, 'out_chw', 2e-5)
    close(ops.sharpen(clip, 0.8, 4)[0], data, 'out_w08_t4_chw', 2e-5)


@each_vector('degradation/filter2d*.npz')
def test_filters(path):
    data = np.load(path)
    clip = to_clip(data['images_u8_nhwc'])
    a, b = data['kernel_a'], data['kernel_b']
    close(ops.filter2d(clip, a[None]), data, 'out_shared_a_nchw', 1e-5)
    both = ops.filter2d(clip, np.stack([a, b]))
    close(both, data, 'out_per_image_ab_nchw', 1e-5)


@each_vector('degradation/resize*.npz')
def test_resizing(path):
    data = np.load(path)
    clip = to_clip(data['image_u8_hwc'])
    for index, case in enumerate(json.loads(str(data['meta_json']))):
        size = case['arg']
        size = tuple(size) if isinstance(size, list) else size
        result = ops.resize(clip, size, case['mode'])[0]
        assert list(result.shape) == case['out']
        close(result, data, f'r{index}', 1e-5)


@each_vector('degradation/diffjpeg*.npz')
def test_jpeg(path):
    data = np.load(path)
    names = [name for name in data.files if name.startswith('out_')]
    assert len(names) == 2 * len(data['qualities'])
    for name in names:
        _, image, quality, _ = name.split('_')
        clip = to_clip(data[f'image_{image}_u8_hwc'])
        result = diff_jpeg(clip, torch.tensor([float(quality[1:])]))
        close(result[0], data, name, 1e-4)


@each_vector('degradation/chain*.npz')
@pytest.mark.parametrize(
    'order', ['resize_sinc_then_jpeg', 'jpeg_then_resize_sinc']
)
def test_chain(path, order):
    data = np.load(path)
    params = json.loads(str(data['params_json']))
    clip = ops.sharpen(to_clip(data['image_u8_hwc']))
    close(clip[0], data, 'gt_usm', 2e-5)
    clip = filtered(clip, params['kernel1'])
    mode, factor = params['resize1']
    clip = ops.resize(clip, factor, mode)
    nearly_equal(clip.clamp(0, 1)[0], data, f'stage1_pre_jpeg_{order}')
    clip = compressed(clip, params['jpeg1'])
    clip = filtered(clip, params['kernel2'])
    final = tuple(side // 4 for side in data['image_u8_hwc'].shape[:2])
    mode, factor = params['resize2']
    clip = ops.resize(clip, tuple(int(side * factor) for side in final), mode)
    clip = ended(clip, order, params, final)
    nearly_equal(clip[0], data, f'lq_{order}')
    pixels = thin((clip[0] * 255).round(), data)
    assert np.abs(pixels - data[f'lq_u8_{order}']).max() <= 1


def ended(clip: Tensor, order: str, params: dict, size: tuple) -> Tensor:
    """Apply the last steps in either order."""
    if order.startswith('jpeg'):
        clip = compressed(clip, params['jpeg2'])
    clip = ops.resize(clip, size, params['final_resize'])
    clip = filtered(clip, params['sinc'])
    if order.endswith('jpeg'):
        clip = compressed(clip, params['jpeg2'])
    return clip.clamp(0, 1)


def filtered(clip: Tensor, case: dict) -> Tensor:
    return ops.filter2d(clip, make_kernel({'pad_to': 21, **case})[None])


def compressed(clip: Tensor, quality: float) -> Tensor:
    return diff_jpeg(clip, torch.tensor([float(quality)]))


def nearly_equal(found: Tensor, vector: Vector, key: str) -> None:
    """Compare a chain: a coefficient of JPEG may round the other way."""
    difference = np.abs(thin(found, vector) - vector[key])
    assert difference.max() < 1e-3 or difference.mean() < 1e-4
