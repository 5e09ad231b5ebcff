"""RealBasicVSR: equal to mmagic's, without touching what it is given."""

import importlib.util
import re
import sys

import pytest
import torch
from torch import Tensor
from torch.nn import functional as F

from star.models.editors import RealBasicVSR

needs_mmagic = pytest.mark.skipif(
    importlib.util.find_spec('mmagic') is None,
    reason='no mmagic (extra "baselines")',
)
SMALL = {'dim': 8, 'num_blocks': 2, 'num_cleaning_blocks': 2}


def make(**settings) -> RealBasicVSR:
    """Build a small network whose recurrence and cleaning count."""
    model = RealBasicVSR(**SMALL, **settings).eval()
    generator = torch.Generator().manual_seed(0)
    for name, weight in model.network.named_parameters():
        weight.data.normal_(generator=generator)
        if weight.ndim > 1:
            weight.data *= 0.7 * weight[0].numel() ** -0.5
        elif 'image_cleaning.1' in name:
            weight.data *= 0.2
        else:
            weight.data *= 0.05
    model.loaded = True
    return model


def mmagic_net(model: RealBasicVSR, sequential: bool):
    """Build mmagic's network with the weights and the threshold of ours."""
    from star.utils.compat import import_mmagic

    net = import_mmagic().RealBasicVSRNet(
        8, 2, 2, model.clean_threshold, is_sequential_cleaning=sequential
    )
    net.load_state_dict(model.network.state_dict())
    return net.eval()


def frames(num_frames: int = 4, height: int = 64, width: int = 68) -> Tensor:
    """Draw a soft texture that moves, in [0, 1]."""
    generator = torch.Generator().manual_seed(1)
    shape = (1, 3, height // 4 + 1, (width + 2 * num_frames) // 4 + 1)
    whole = F.interpolate(
        torch.rand(shape, generator=generator), scale_factor=4.0
    )[0]
    views = [
        whole[:, :height, 2 * t : 2 * t + width] for t in range(num_frames)
    ]
    return torch.stack(views)


def clip(num_frames: int, height: int = 64, width: int = 68) -> Tensor:
    return (frames(num_frames, height, width) * 255).to(torch.uint8)


@needs_mmagic
def test_number_of_parameters():
    model = RealBasicVSR()
    parts = {
        'image_cleaning': 1_480_643,
        'basicvsr': 4_814_191,
        'basicvsr.spynet': 1_440_300,
    }
    for name, count in parts.items():
        part = model.network.get_submodule(name)
        assert sum(p.numel() for p in part.parameters()) == count


@needs_mmagic
@pytest.mark.parametrize('sequential', [False, True])
@pytest.mark.parametrize('threshold', [255, 60, 0])
def test_equals_mmagic(threshold: float, sequential: bool):
    model, x = make(clean_threshold=threshold), frames()
    before = x.clone()
    with torch.no_grad():
        out = model.restore_frames(x)
        # a clone: it cleans in place where it goes frame by frame
        expected = mmagic_net(model, sequential)(x.clone()[None])[0]
    assert torch.equal(x, before)
    assert (out - expected).abs().max() < 1e-6 * expected.abs().max()


@needs_mmagic
def test_passes_of_cleaning():
    """One where any change is small enough, three where none is."""
    x = frames()
    results = {}
    with torch.no_grad():
        for threshold, most in ((255, 3), (0, 1), (0, 2), (0, 3)):
            model = make(clean_threshold=threshold, max_cleanings=most)
            results[threshold, most] = model.clean(x)
        expected, sums = x, []
        for _ in range(3):
            expected = expected + model.network.image_cleaning(expected)
            sums.append(expected)
    for key, each in zip(((0, 1), (0, 2), (0, 3)), sums, strict=True):
        assert (results[key] - each).abs().max() < 1e-5
    assert torch.equal(results[255, 3], results[0, 1])
    assert (sums[1] - sums[0]).abs().mean() > 1e-3


@needs_mmagic
def test_clip_is_unchanged_and_rounded():
    model, lq = make(), clip(3)
    before = lq.clone()
    out = model.restore(lq)
    assert torch.equal(lq, before)
    with torch.no_grad():
        expected = mmagic_net(model, False)((lq / 255)[None])[0] * 255
    assert out.shape == (3, 3, 256, 272)
    assert (out - expected.clamp(0, 255)).abs().max() <= 0.51


@needs_mmagic
@pytest.mark.parametrize(
    ('num_frames', 'height', 'width'), [(1, 64, 64), (2, 33, 47), (3, 7, 90)]
)
def test_short_clips_of_small_frames(num_frames: int, height: int, width: int):
    out = make().restore(clip(num_frames, height, width))
    assert out.shape == (num_frames, 3, 4 * height, 4 * width)


@needs_mmagic
def test_one_frame_is_two_equal_ones():
    model, lq = make(), clip(1)
    assert torch.equal(
        model.restore(lq)[0], model.restore(lq.repeat(2, 1, 1, 1))[0]
    )


@needs_mmagic
def test_overlap_hides_borders_of_chunks():
    """Frames beside a border come nearer to the clip restored at once."""
    lq = clip(12)
    whole = make(window=12, overlap=0).restore(lq).float()
    worst = {}
    for window, overlap in ((6, 0), (8, 4)):
        out = make(window=window, overlap=overlap).restore(lq).float()
        worst[overlap] = (out - whole).abs().mean((1, 2, 3)).max()
    assert worst[0] > 0.4  # of 255: the network's weights are random
    assert worst[4] < 0.3 * worst[0]


def file_of(state: dict[str, Tensor], layout: str) -> dict:
    """Write a state dict as it is published."""
    if layout == 'mmagic':
        ema = {f'generator_ema.{k}': v for k, v in state.items()}
        other = {
            f'generator.{k}': torch.zeros_like(v) for k, v in state.items()
        }
        rest = {
            'step_counter': torch.tensor([1]),
            'discriminator.conv_0.weight': torch.zeros(1),
        }
        return {'meta': {'epoch': 1}, 'state_dict': {**other, **ema, **rest}}
    renamed = {}
    for k, v in state.items():
        k = k.replace('ward_resblocks', 'ward_trunk')
        k = re.sub(r'upsample(\d)\.upsample_conv', r'upconv\1', k)
        k = re.sub(
            r'(spynet\.basic_module\.\d\.basic_module)\.(\d)\.conv',
            lambda m: f'{m[1]}.{2 * int(m[2])}',
            k,
        )
        renamed[k] = v
    return renamed if layout == 'basicsr' else state


@needs_mmagic
@pytest.mark.parametrize('layout', ['mmagic', 'basicsr', 'plain'])
def test_loads_published_files(tmp_path, layout: str):
    source = make()
    state = source.network.state_dict()
    torch.save(file_of(state, layout), tmp_path / 'net.pth')
    model = RealBasicVSR(**SMALL)
    model.load_weights(tmp_path / 'net.pth')
    for name, tensor in model.network.state_dict().items():
        assert torch.equal(tensor, state[name]), name


@needs_mmagic
def test_refuses_files_without_the_averaged_generator(tmp_path):
    state = make().network.state_dict()
    saved = {f'generator.{k}': v for k, v in state.items()}
    torch.save({'state_dict': saved}, tmp_path / 'net.pth')
    model = RealBasicVSR(**SMALL)
    with pytest.raises(ValueError, match=r'net\.pth does not fit RealBasic'):
        model.load_weights(tmp_path / 'net.pth')
    assert not model.loaded


@pytest.mark.parametrize(
    ('settings', 'message'),
    [
        ({'clean_threshold': 256}, r'`clean_threshold` must lie in \[0, 255'),
        ({'max_cleanings': 0}, '`max_cleanings` must be at least 1, got 0'),
    ],
)
def test_refuses_wrong_arguments(settings: dict, message: str):
    with pytest.raises(ValueError, match=message):
        RealBasicVSR(**settings)


def test_missing_mmagic_is_named_with_its_extra(monkeypatch):
    monkeypatch.setitem(sys.modules, 'mmagic', None)
    with pytest.raises(ImportError) as caught:
        RealBasicVSR()
    assert str(caught.value) == (
        '`mmagic` is not installed; it comes with the extra '
        '\'baselines\': pip install "star-vsr[baselines]", in a checkout '
        '".[baselines]"'
    )
