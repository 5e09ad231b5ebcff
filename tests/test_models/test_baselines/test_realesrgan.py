"""Real-ESRGAN's compact networks, from their description and real weights."""

import pytest
import torch
from einops import rearrange, repeat
from torch import Tensor
from torch.nn import functional as F

from star.models.baselines import RealESRGANCompact
from star.models.baselines.realesrgan import SRVGGNetCompact
from star.registry import MODELS
from tests.paths import WEIGHTS

FILES = {
    'realesr-general-x4v3.fp16-values.pth': 32,
    'realesr-animevideov3.pth': 16,
}


def described(x: Tensor, state: dict[str, Tensor]) -> Tensor:
    """Compute the network from its file's tensors alone."""
    last = max(int(name.split('.')[1]) for name in state)
    y = x
    for i in range(last + 1):
        weight = state[f'body.{i}.weight']
        if weight.ndim == 1:
            y = torch.where(y > 0, y, y * weight.view(1, -1, 1, 1))
        else:
            y = F.conv2d(y, weight, state[f'body.{i}.bias'], padding=1)
    y = rearrange(y, 'n (c p q) h w -> n c (h p) (w q)', p=4, q=4)
    return y + repeat(x, 'n c h w -> n c (h p) (w q)', p=4, q=4)


def clip() -> Tensor:
    generator = torch.Generator().manual_seed(0)
    coarse = torch.rand(2, 3, 4, 5, generator=generator) * 255
    smooth = F.interpolate(coarse, scale_factor=4, mode='bilinear')
    return smooth.round().to(torch.uint8)


@pytest.mark.parametrize(
    ('num_conv', 'count'), [(32, 1_213_296), (16, 621_424)]
)
def test_number_of_parameters(num_conv: int, count: int):
    with torch.device('meta'):
        model = RealESRGANCompact(num_conv)
    assert sum(p.numel() for p in model.parameters()) == count


def test_network_from_its_description():
    torch.manual_seed(0)
    network = SRVGGNetCompact(3, dim=8)
    x = torch.rand(2, 3, 6, 7)
    with torch.no_grad():
        expected = described(x, network.state_dict())
        assert (network(x) - expected).abs().max() < 1e-6


@pytest.mark.parametrize('name', FILES)
def test_released_weights(name: str):
    path = WEIGHTS / name if WEIGHTS else None
    if path is None or not path.is_file():
        pytest.skip(f'no {name} (set STAR_WEIGHTS)')
    config = {
        'type': 'RealESRGANCompact',
        'num_conv': FILES[name],
        'weights': str(path),
    }
    out = MODELS.build(config).eval().restore(clip())
    saved = torch.load(path, map_location='cpu', weights_only=True)
    state = saved['params']
    with torch.no_grad():
        expected = described(clip() / 255, state) * 255
    assert out.dtype == torch.uint8
    assert (out - expected.clamp(0, 255)).abs().max() <= 0.51


def test_frames_do_not_depend_on_each_other():
    torch.manual_seed(0)
    model = RealESRGANCompact(2)
    model.load_state_dict(model.state_dict())
    whole = model.restore(clip())
    assert torch.equal(whole[1:], model.restore(clip()[1:]))


@pytest.mark.parametrize('wrapper', [None, 'params', 'params_ema'])
def test_wrappers_of_released_files(tmp_path, wrapper: str | None):
    torch.manual_seed(0)
    source = SRVGGNetCompact(1)
    state = source.state_dict()
    if wrapper == 'params_ema':  # comes before the other
        wrong = {k: torch.zeros_like(v) for k, v in state.items()}
        saved = {'params': wrong, 'params_ema': state}
    else:
        saved = {wrapper: state} if wrapper else state
    torch.save(saved, tmp_path / 'net.pth')
    model = RealESRGANCompact(1, str(tmp_path / 'net.pth'))
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, state[name])


def test_refuses_weights_that_do_not_fit(tmp_path):
    torch.save(SRVGGNetCompact(1).state_dict(), tmp_path / 'net.pth')
    with pytest.raises(ValueError, match=r'net\.pth does not fit `num_conv`'):
        RealESRGANCompact(2, str(tmp_path / 'net.pth'))
    with pytest.raises(ValueError, match=r'none\.pth'):
        RealESRGANCompact(2, str(tmp_path / 'none.pth'))


def test_restores_nothing_without_weights():
    model = RealESRGANCompact(1)
    with pytest.raises(ValueError, match='`weights` must name a file'):
        model.restore(clip())
