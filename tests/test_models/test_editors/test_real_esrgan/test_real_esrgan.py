"""Real-ESRGAN's methods: released weights, their mix, sizes, a photograph."""

import os
from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image
from torch import Tensor
from torch.nn import functional as F

from star.models.editors import RealESRGAN, RealESRGANCompact
from star.models.editors.real_esrgan.rrdbnet import RRDBNet
from star.models.editors.real_esrgan.srvgg import SRVGGNetCompact
from star.registry import MODELS
from tests.paths import VECTORS, WEIGHTS, needs_vectors
from tests.test_models.test_editors.test_real_esrgan.test_srvgg import (
    described,
)

FILES = {
    'realesr-general-x4v3.fp16-values.pth': 32,
    'realesr-animevideov3.pth': 16,
}
# PSNR in dB that was measured with the official networks on the photograph
PHOTO_PSNR = {
    'bicubic': 20.28,
    'realesr-general-x4v3.fp16-values.pth': 19.37,
    'realesr-animevideov3.pth': 20.01,
}
# the same on a part of it, measured here with networks written apart
PART_PSNR = {
    'bicubic': 22.909,
    'realesr-general-x4v3.fp16-values.pth': 20.849,
    'realesr-animevideov3.pth': 22.046,
}


def clip(height: int = 16, width: int = 20) -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 4, 5, generator=generator) * 255
    smooth = F.interpolate(coarse, (height, width), mode='bilinear')
    return smooth.round().to(torch.uint8)


def released(name: str) -> Path:
    path = WEIGHTS / name if WEIGHTS else None
    if path is None or not path.is_file():
        pytest.skip(f'no {name} (set STAR_WEIGHTS)')
    return path


def save(folder: Path, name: str, seed: int, num_conv: int = 1) -> str:
    torch.manual_seed(seed)
    state = SRVGGNetCompact(num_conv).state_dict()
    torch.save({'params': state}, folder / name)
    return str(folder / name)


def loaded(name: str) -> RealESRGANCompact:
    config = {'type': 'RealESRGANCompact', 'num_conv': FILES[name]}
    model = MODELS.build(config).eval()
    model.load_weights(released(name))
    return model


@pytest.mark.parametrize('name', FILES)
def test_released_weights(name: str):
    out = loaded(name).restore(clip())
    saved = torch.load(released(name), map_location='cpu', weights_only=True)
    with torch.no_grad():
        expected = described(clip() / 255, saved['params']) * 255
    assert out.dtype == torch.uint8
    assert (out - expected.clamp(0, 255)).abs().max() <= 0.51


@pytest.mark.parametrize('name', FILES)
def test_photograph(name: str):
    """The photograph of mmagic's tests, tests/data/image/gt/baboon.png."""
    photo = os.environ.get('STAR_PHOTO')
    if not photo:
        pytest.skip("no photograph (set STAR_PHOTO: mmagic's baboon.png)")
    image = np.array(Image.open(photo).convert('RGB'))
    bicubic, restored = reduced_and_back(image, loaded(name))
    assert bicubic == pytest.approx(PHOTO_PSNR['bicubic'], abs=0.1)
    assert restored == pytest.approx(PHOTO_PSNR[name], abs=0.1)


@needs_vectors
@pytest.mark.parametrize('name', FILES)
def test_part_of_the_photograph(name: str):
    assert VECTORS is not None
    part = np.load(VECTORS / 'metrics' / 'iqa_pairs.npz')['baboon_ref']
    bicubic, restored = reduced_and_back(part, loaded(name))
    assert bicubic == pytest.approx(PART_PSNR['bicubic'], abs=0.01)
    assert restored == pytest.approx(PART_PSNR[name], abs=0.01)


def reduced_and_back(
    image: np.ndarray, model: RealESRGANCompact
) -> tuple[float, float]:
    """Reduce an image four times; the PSNR of bicubic and of the model."""
    height, width = image.shape[:2]
    bicubic = Image.Resampling.BICUBIC
    size = (width // 4, height // 4)
    small = Image.fromarray(image).resize(size, bicubic)
    large = small.resize((width, height), bicubic)
    restored = model.restore(as_clip(small))
    gt = as_clip(image)
    return psnr(as_clip(large), gt), psnr(restored, gt)


def as_clip(image: Image.Image | np.ndarray) -> Tensor:
    return torch.from_numpy(np.array(image)).permute(2, 0, 1)[None]


def psnr(a: Tensor, b: Tensor) -> float:
    error = (a.double() - b.double()).square().mean()
    return float(10 * torch.log10(255**2 / error))


def test_frames_do_not_depend_on_each_other():
    torch.manual_seed(0)
    model = RealESRGANCompact(2)
    model.load_state_dict(model.state_dict())
    whole = model.restore(clip())
    assert torch.equal(whole[1:], model.restore(clip()[1:]))


@pytest.mark.parametrize('wrapper', [None, 'params', 'params_ema'])
def test_wrappers_of_released_files(tmp_path, wrapper: str | None):
    torch.manual_seed(0)
    state = RRDBNet(1).state_dict()
    if wrapper == 'params_ema':  # comes before the other
        wrong = {k: torch.zeros_like(v) for k, v in state.items()}
        saved = {'params': wrong, 'params_ema': state}
    else:
        saved = {wrapper: state} if wrapper else state
    torch.save(saved, tmp_path / 'net.pth')
    model = RealESRGAN(1)
    model.load_weights(tmp_path / 'net.pth')
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_refuses_weights_that_do_not_fit(tmp_path):
    path = save(tmp_path, 'net.pth', 0)
    with pytest.raises(ValueError, match=r'net\.pth does not fit RealESRGAN'):
        RealESRGANCompact(2).load_weights(path)
    with pytest.raises(ValueError, match=r'net\.pth does not fit RealESRGAN'):
        RealESRGAN(1).load_weights(path)
    with pytest.raises(ValueError, match=r'none\.pth'):
        RealESRGAN(1).load_weights(tmp_path / 'none.pth')


@pytest.mark.parametrize('kind', [RealESRGAN, RealESRGANCompact])
def test_restores_nothing_without_weights(kind: type):
    with pytest.raises(ValueError, match='has no weights'):
        kind(1).restore(clip())


def test_odd_sizes_of_a_network_that_doubles():
    """The frame is mirrored at the bottom and on the right, then cropped."""
    torch.manual_seed(0)
    model = RealESRGAN(1, scale=2)
    model.load_state_dict(model.state_dict())
    lq = clip(15, 21)
    padded = torch.from_numpy(
        np.pad(lq.numpy(), ((0, 0), (0, 0), (0, 1), (0, 1)), 'reflect')
    )
    with torch.no_grad():
        expected = model.network(padded / 255)[..., :30, :42] * 255
    out = model.restore(lq)
    assert out.shape == (2, 3, 30, 42)
    assert (out - expected.clamp(0, 255)).abs().max() <= 0.51


@pytest.mark.parametrize('denoise', [0, 0.25, 0.5, 1])
def test_denoise_mixes_two_files(tmp_path, denoise: float):
    one = save(tmp_path, 'one.pth', 1)
    two = save(tmp_path, 'two.pth', 2)
    model = RealESRGANCompact(1, one, weights_denoise=two, denoise=denoise)
    assert model.weight_files == ((one,) if denoise == 1 else (one, two))
    model.load_weights(*model.weight_files)
    assert model.loaded
    first, second = (torch.load(path)['params'] for path in (one, two))
    for name, tensor in model.network.state_dict().items():
        expected = denoise * first[name] + (1 - denoise) * second[name]
        assert torch.allclose(tensor, expected, rtol=0, atol=1e-7)


def test_refuses_to_mix_with_one_file(tmp_path):
    with pytest.raises(ValueError, match=r'`denoise` 0\.5 mixes two files'):
        RealESRGANCompact(1, denoise=0.5)
    with pytest.raises(ValueError, match=r'`denoise` must lie in \[0, 1\]'):
        RealESRGANCompact(1, denoise=1.5)
    one = save(tmp_path, 'one.pth', 1)
    model = RealESRGANCompact(1, one, weights_denoise=one, denoise=0.5)
    with pytest.raises(ValueError, match=r'mixes two files, got 1'):
        model.load_weights(one)
    other = save(tmp_path, 'other.pth', 1, num_conv=2)
    with pytest.raises(ValueError, match=r'other\.pth does not fit'):
        model.load_weights(one, other)
    assert not model.loaded
